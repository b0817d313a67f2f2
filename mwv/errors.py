"""What can go wrong, as exceptions whose text is the one line that the user reads."""

from collections.abc import Sequence
from typing import Final


class MwvError(Exception):
    """Base of every error that is the input's or the machine's fault; shown without a traceback."""

    exit_code = 1

    @property
    def lines(self) -> tuple[str, ...]:
        """What the user reads: one line, but for an error that gathers others."""
        return (str(self),)


class ModelsFailedError(MwvError):
    """Some of the models of a build failed, which has otherwise been done."""

    def __init__(self, failures: Sequence[str], models: int) -> None:
        """The messages of the models that failed, and how many models there were in all."""
        super().__init__("\n".join(failures))
        head = (f"{len(failures)} of {models} models failed:",) if models > 1 else ()
        self._lines = (*head, *failures)

    @property
    def lines(self) -> tuple[str, ...]:
        """A line for each model, below a line that counts them if there was more than one."""
        return self._lines


class SourceError(MwvError):
    """A file or directory cannot be found, opened or read."""


class SourceChangedError(SourceError):
    """A file was cut short, replaced or rewritten while it was being read."""


class FormatError(MwvError):
    """A file is not what its format demands: truncated, overlapping, lying about its sizes."""


class UnsupportedError(MwvError):
    """A well-formed file holds something that mwv cannot show."""


UNUSABLE: Final = (SourceError, FormatError, UnsupportedError)
"""What is wrong with a file, so that others may be taken instead: not that the Hub does not give it just now."""


class LayoutError(MwvError):
    """The tensors cannot be arranged on a canvas within its limits."""


class SiteError(MwvError):
    """The destination cannot be written, or is not a site of ours."""


class StoreError(MwvError):
    """The cache is not ours, cannot be used, or neither it nor its stand-in can be written."""


class LostError(StoreError):
    """A cached result that a build counted on proved gone or damaged when it was read; it can be made again."""


class HubError(MwvError):
    """The Hub cannot be reached, refuses, or has not what was asked for."""


class AbsentError(HubError):
    """A file or folder is not there, in a repository that is."""


class UsageError(MwvError):
    """Contradictory or missing options."""

    exit_code = 2


class ConditionMetError(MwvError):
    """What the user asked to fail on was found; all was done otherwise."""

    exit_code = 3

    def __init__(self, head: str, found: Sequence[str]) -> None:
        """A line that says what was found, and a line for each find."""
        super().__init__(head)
        self._lines = (head, *found)

    @property
    def lines(self) -> tuple[str, ...]:
        """The head, then what was found."""
        return self._lines
