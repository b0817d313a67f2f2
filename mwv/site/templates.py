"""The folder `site_templates` in, Jinja2 pages and the files of `assets/` out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mwv.checkpoint.wording import plural
from mwv.errors import SiteError
from mwv.pyramid import byte_palette
from mwv.pyramid.palette import export
from mwv.site import text
from mwv.site.data import digest

if TYPE_CHECKING:
    from jinja2 import Environment

_PAGES: Final = "pages"
_ASSET_SUFFIXES: Final = {".js", ".css", ".svg"}


def find_templates() -> Path:
    """`site_templates` inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    for place in (package / "site_templates", package.parent / "site_templates"):
        if (place / _PAGES).is_dir():
            return place
    raise SiteError(f"{package / 'site_templates'}: not found, the installation of mwv is incomplete; install it again")


@dataclass(frozen=True)
class Templates:
    """The templates of one folder. `assets` maps a name such as `js/panel.js` to its path in the site and its content."""

    root: Path

    @cached_property
    def assets(self) -> Mapping[str, tuple[str, bytes]]:
        """Everything that goes to `assets/`: our scripts and styles, vendored libraries, the palettes."""
        sources = {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.suffix in _ASSET_SUFFIXES and path.is_file()
        }
        sources["js/palettes.js"] = f"mwv.palettes({text.canonical(export() | {'tables': byte_palette.export()})});\n".encode(
            "ascii"
        )
        return {name: (_asset_path(name, content), content) for name, content in sorted(sources.items())}

    @cached_property
    def digest(self) -> str:
        """Changes whenever a page made by these templates, and the code that fills them, may look different."""
        sources = [*sorted((self.root / _PAGES).glob("*.html")), *sorted(Path(__file__).parent.glob("*.py"))]
        pages = [(path.name, digest(path.read_bytes())) for path in sources]
        assets = [path for path, _ in self.assets.values()]
        return digest(text.canonical([pages, assets, self.third_party()]).encode())

    @cached_property
    def _environment(self) -> "Environment":
        from jinja2 import Environment, FileSystemLoader, StrictUndefined  # late: most second builds write no page
        from markupsafe import Markup, escape

        def prose(value: str) -> Markup:
            """Text of several lines: what is invisible is shown, but line ends stay."""
            return Markup("\n").join(escape(text.visible(line)) for line in value.splitlines())

        environment = Environment(
            loader=FileSystemLoader(self.root / _PAGES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            # Whatever a model says goes through here, so no template can forget it.
            finalize=lambda value: text.visible(value) if type(value) is str else value,
        )
        environment.filters.update(
            size=text.size,
            amount=text.amount,
            thousands=text.thousands,
            plural=plural,
            shape=lambda sizes: text.shape(tuple(sizes)),
            number=text.number,
            prose=prose,
        )
        return environment

    def render(self, page: str, root: str, context: Mapping[str, Any]) -> bytes:
        """The page `page` as bytes; `root` is the relative path from it to the site's root ("" or "../")."""

        def asset(name: str) -> str:
            return root + self.assets[name][0]

        rendered = self._environment.get_template(page).render(**context, asset=asset, root=root)
        return rendered.encode("utf-8")

    def third_party(self) -> str:
        """THIRD_PARTY.txt: name, version and licence text of each vendored library."""
        vendored = json.loads((self.root / "vendor" / "vendor.json").read_bytes())["libraries"]
        parts = ["This site contains the following libraries, unchanged.\n"]
        for library in vendored:
            licence = (self.root / "vendor" / library["name"] / "LICENSE").read_text("utf-8")
            parts.append(f"{library['name']} {library['version']} ({library['licence']})\n\n{licence.strip()}\n")
        return ("\n" + "-" * 78 + "\n\n").join(parts)


def _asset_path(name: str, content: bytes) -> str:
    path = Path(name)
    return f"assets/{path.stem}-{digest(content)}{path.suffix}"
