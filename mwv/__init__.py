"""mwv: checkpoints in, a static web site that shows every weight out."""

from typing import Final

__version__: Final = "0.1.0"
