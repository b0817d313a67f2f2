"""In: synthetic models and faults. Out: sites that are whole whatever happens, and folders that are not ours untouched."""

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import synthetic
from synthetic import Built

from mwv.errors import SiteError
from mwv.site import folder as folder_module
from mwv.site.manifest import TileList, decode, decode_tiles
from mwv.site.templates import find_templates
from mwv.site.writer import SiteReport, SiteWriter, regenerate


def write(where: Path, *built: Built, remove: tuple[str, ...] = (), templates: Path | None = None) -> SiteReport:
    with SiteWriter(where, templates) as site:
        for slug in remove:
            site.remove(slug)
        for item in built:
            site.add_model(item.model, item.files, item.overview)
        return site.finish()


def snapshot(where: Path) -> dict[str, bytes]:
    return {path.relative_to(where).as_posix(): path.read_bytes() for path in sorted(where.rglob("*")) if path.is_file()}


def check_whole(where: Path) -> None:
    """Every page is there with all that it refers to, and every file that the manifest names."""
    manifest = decode((where / "site.json").read_bytes(), where / "site.json")
    for path in manifest.files:
        assert (where / path).is_file(), path
    for slug, entry in manifest.models.items():
        tiles: TileList = decode_tiles((where / slug / entry.tile_list).read_bytes(), where)
        for path, size in tiles.files.items():
            assert (where / path).stat().st_size == size, path
        page = (where / slug / "index.html").read_text("utf-8")
        for name in references(page):
            target = (where / slug / name).resolve()
            assert target.is_file(), name
            if name.startswith("scene-"):
                facts = json.loads(target.read_text("ascii")[len("mwv.scene(") : -3])
                for level in facts["tiles"]["map"].values():
                    for key in filter(None, (key for keys in level.values() for key in keys)):
                        assert (where / "tiles" / key[:2] / f"{key}.png").is_file()
                assert all((where / slug / name).is_file() for name in facts["details"]["files"])


def references(page: str) -> Iterator[str]:
    for attribute in ('src="', 'href="'):
        for part in page.split(attribute)[1:]:
            yield part.split('"')[0]


def test_a_site_holds_what_its_manifest_says_and_nothing_else(tmp_path: Path, tiny: Built, odd: Built) -> None:
    site = tmp_path / "site"
    report = write(site, tiny, odd)
    assert report.models == ("odd", "tiny")
    check_whole(site)
    manifest = decode((site / "site.json").read_bytes(), site)
    named = set(manifest.files) | {"site.json"}
    for slug, entry in manifest.models.items():
        named.update(decode_tiles((site / slug / entry.tile_list).read_bytes(), site).files)
    assert set(snapshot(site)) == named
    assert {path: len(content) for path, content in snapshot(site).items() if path in manifest.files} == {
        path: entry.size for path, entry in manifest.files.items()
    }


def test_equal_input_gives_equal_bytes_in_any_order(tmp_path: Path, tiny: Built, odd: Built) -> None:
    write(tmp_path / "a", tiny, odd)
    write(tmp_path / "b", odd, tiny)
    write(tmp_path / "c", odd)
    write(tmp_path / "c", tiny)
    write(tmp_path / "c", tiny, odd)
    assert snapshot(tmp_path / "a") == snapshot(tmp_path / "b") == snapshot(tmp_path / "c")


def test_tiles_are_linked_not_copied(tmp_path: Path, tiny: Built) -> None:
    write(tmp_path / "site", tiny)
    for key, source in tiny.files.paths.items():
        assert source.samefile(tmp_path / "site" / "tiles" / key[:2] / f"{key}.png")


def test_tiles_are_copied_where_links_cannot_be(tmp_path: Path, tiny: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_link(*_: Any, **__: Any) -> None:
        raise OSError(errno.EXDEV, "another file system")

    write(tmp_path / "a", tiny)
    monkeypatch.setattr(os, "link", no_link)
    write(tmp_path / "b", tiny)
    assert snapshot(tmp_path / "a") == snapshot(tmp_path / "b")


def test_a_full_disk_is_blamed_on_the_site_and_not_on_what_is_copied(
    tmp_path: Path, tiny: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(*_: Any, **__: Any) -> None:
        raise OSError(errno.EXDEV, "another file system")

    def full(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(source), None, str(target))

    monkeypatch.setattr(os, "link", no_link)
    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(SiteError) as caught:
        write(tmp_path / "site", tiny)
    assert str(caught.value).startswith(f"{tmp_path / 'site' / 'tiles'}")


def test_a_second_build_links_nothing_and_writes_no_file_again(
    tmp_path: Path, tiny: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    write(site, tiny)
    before = {path: path.stat().st_mtime_ns for path in site.rglob("*") if path.is_file()}

    def never(*_: Any) -> None:
        raise AssertionError("nothing is to be linked")

    monkeypatch.setattr(folder_module.Folder, "link", never)
    write(site, tiny)
    assert {path: path.stat().st_mtime_ns for path in site.rglob("*") if path.is_file()} == before


def test_a_damaged_tile_is_put_right(tmp_path: Path, tiny: Built) -> None:
    site = tmp_path / "site"
    write(site, tiny)
    whole = snapshot(site)
    tile = next((site / "tiles").rglob("*.png"))
    tile.unlink()
    tile.write_bytes(b"cut")
    write(site, tiny)
    assert snapshot(site) == whole


@pytest.mark.parametrize("page", ["index.html", "tiny/index.html", "tiny/tensors.html"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda page: page.write_bytes(page.read_bytes()[::-1])])
def test_a_damaged_page_is_put_right(tmp_path: Path, tiny: Built, page: str, damage: Callable[[Path], object]) -> None:
    write(tmp_path, tiny)
    before = snapshot(tmp_path)
    damage(tmp_path / page)
    write(tmp_path, tiny)
    assert snapshot(tmp_path) == before


def test_removing_a_model_keeps_the_tiles_that_others_share(tmp_path: Path, tiny: Built, odd: Built) -> None:
    twin = synthetic.renamed(tiny, slug="twin", identity="twin")
    write(tmp_path / "site", tiny, twin, odd)
    write(tmp_path / "site", remove=("tiny", "odd"))
    write(tmp_path / "clean", twin)
    assert snapshot(tmp_path / "site") == snapshot(tmp_path / "clean")
    assert not (tmp_path / "site" / "odd").exists()


def test_a_rebuilt_model_replaces_itself(tmp_path: Path, tiny: Built, tuned: Built) -> None:
    write(tmp_path / "site", tiny)
    write(tmp_path / "site", tuned)
    write(tmp_path / "clean", tuned)
    assert snapshot(tmp_path / "site") == snapshot(tmp_path / "clean")


def test_the_last_model_can_go(tmp_path: Path, tiny: Built) -> None:
    write(tmp_path / "site", tiny)
    write(tmp_path / "site", remove=("tiny",))
    left = snapshot(tmp_path / "site")
    assert not [path for path in left if path.startswith(("tiny/", "tiles/"))]
    assert b"No models here yet" in left["index.html"]
    with pytest.raises(SiteError, match=r"no model 'tiny'; it has none"):
        write(tmp_path / "site", remove=("tiny",))


def test_an_equal_slug_of_another_model_gets_a_digest(tmp_path: Path, tiny: Built, tuned: Built) -> None:
    other = synthetic.renamed(tuned, identity="somewhere else")
    with SiteWriter(tmp_path / "site") as site:
        assert site.add_model(tiny.model, tiny.files, tiny.overview) == "tiny"
        suffixed = site.add_model(other.model, other.files, other.overview)
        assert suffixed.startswith("tiny-") and len(suffixed) == len("tiny-") + 8
        site.finish()
    check_whole(tmp_path / "site")
    # Built again alone, it finds itself; it takes no more names.
    assert write(tmp_path / "site", other).models == ("tiny", suffixed)


def test_equal_models_of_one_call_are_both_kept(tmp_path: Path, tiny: Built, tuned: Built) -> None:
    assert len(write(tmp_path / "site", tiny, tuned).models) == 2


def test_a_slug_that_is_no_folder_name_is_refused(tmp_path: Path, tiny: Built) -> None:
    for slug in ("../up", "tiles", "assets", "", ".hidden", "a/b", "index.html"):
        with pytest.raises(SiteError), SiteWriter(tmp_path / "site") as site:
            site.add_model(replace(tiny.model, slug=slug), tiny.files, tiny.overview)
    assert not (tmp_path / "site").exists()


def test_regenerating_needs_neither_sources_nor_cache(tmp_path: Path, tile_folder: Path) -> None:
    built = synthetic.build(tmp_path / "gone", slug="solo", layers=1, seed=5)
    write(tmp_path / "site", built)
    whole = snapshot(tmp_path / "site")
    for path in (tmp_path / "gone").iterdir():
        path.unlink()
    for page in ("index.html", "solo/index.html", "solo/tensors.html"):
        (tmp_path / "site" / page).write_text("old")
    regenerate(tmp_path / "site")
    assert snapshot(tmp_path / "site") == whole


def test_pages_are_made_again_when_templates_change(tmp_path: Path, tiny: Built, odd: Built) -> None:
    templates = tmp_path / "templates"
    shutil.copytree(find_templates(), templates)
    site = tmp_path / "site"
    with SiteWriter(site, templates) as writer:
        writer.add_model(tiny.model, tiny.files, tiny.overview)
        writer.finish()
    assets = {path for path in snapshot(site) if path.startswith("assets/panel-") and path.endswith(".js")}
    script = templates / "js" / "panel.js"
    script.write_text(script.read_text("utf-8") + "// changed\n", "utf-8")
    with SiteWriter(site, templates) as writer:
        writer.add_model(odd.model, odd.files, odd.overview)
        writer.finish()
    check_whole(site)
    assert assets.isdisjoint(snapshot(site))


def test_regenerating_what_is_no_site_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match=r"site\.json is missing"):
        regenerate(tmp_path)


@pytest.mark.parametrize("mode", ["xyz", "pmtiles"])
def test_other_ways_to_address_tiles(tmp_path: Path, tiny: Built, tuned: Built, mode: Any) -> None:
    def addressed(built: Built) -> Built:
        if mode == "xyz":
            return replace(built, files=replace(built.files, mode=mode))
        archive = tmp_path / built.model.tensors[0].digest
        archive.write_bytes(b"archive of " + built.model.tensors[0].digest.encode())
        scene = replace(built.model.scenes[0], archives={(0, 0): "ab" * 16, None: archive.name})
        paths = {"ab" * 16: archive, archive.name: archive}
        return replace(built, model=replace(built.model, scenes=(scene,)), files=replace(built.files, mode=mode, paths=paths))

    site = tmp_path / "site"
    write(site, addressed(tiny))
    files = snapshot(site)
    if mode == "xyz":
        levels = tiny.model.scenes[0].levels
        for (level, x, y), key in tiny.model.scenes[0].tiles.items():
            assert files[f"tiny/tiles/{levels - 1 - level}/{x}/{y}.png"] == tiny.files.paths[key].read_bytes()
    else:
        assert f"tiles/ab/{'ab' * 16}.pmtiles" in files
    # Weights change: what lies at a place is replaced; a change of mode leaves nothing behind.
    write(site, addressed(tuned))
    write(tmp_path / "clean", addressed(tuned))
    if mode == "xyz":
        assert snapshot(site) == snapshot(tmp_path / "clean")
    write(site, tiny)
    write(tmp_path / "plain", tiny)
    assert snapshot(site) == snapshot(tmp_path / "plain")


class TestDestinations:
    def test_foreign_files_are_refused_and_left_alone(self, tmp_path: Path, tiny: Built) -> None:
        (tmp_path / "thesis.txt").write_text("precious")
        with pytest.raises(SiteError, match="holds files but no site of mwv"):
            write(tmp_path, tiny)
        assert snapshot(tmp_path) == {"thesis.txt": b"precious"}

    def test_a_file_is_refused(self, tmp_path: Path, tiny: Built) -> None:
        (tmp_path / "file").write_text("precious")
        for place in (tmp_path / "file", tmp_path / "file" / "below"):
            with pytest.raises(SiteError, match="folder"):
                write(place, tiny)

    @pytest.mark.parametrize(
        "text", ["", "{", "[]", '{"format": "other"}', '{"format": "mwv-site", "version": 99, "generator": "x"}', "[" * 100000]
    )
    def test_a_site_json_that_is_not_ours_is_refused(self, tmp_path: Path, tiny: Built, text: str) -> None:
        (tmp_path / "site.json").write_text(text)
        with pytest.raises(SiteError):
            write(tmp_path, tiny)
        assert snapshot(tmp_path) == {"site.json": text.encode()}

    def test_a_manifest_that_names_files_elsewhere_is_refused(self, tmp_path: Path, tiny: Built) -> None:
        precious = tmp_path / "precious.txt"
        precious.write_text("precious")
        write(tmp_path / "site", tiny)
        index = tmp_path / "site" / "site.json"
        value = json.loads(index.read_text())
        for path in ("../precious.txt", str(precious), "a/../../precious.txt", "a//b", ""):
            index.write_text(json.dumps({**value, "files": {**value["files"], path: {"size": 8, "kind": "page", "hash": ""}}}))
            with pytest.raises(SiteError, match="outside the site"):
                write(tmp_path / "site", tiny)
        assert precious.read_text() == "precious"

    def test_nothing_is_deleted_through_a_link(self, tmp_path: Path, tiny: Built) -> None:
        write(tmp_path / "site", tiny)
        outside = tmp_path / "outside"
        (tmp_path / "site" / "tiny").rename(outside)
        (tmp_path / "site" / "tiny").symlink_to(outside)
        before = snapshot(outside)
        write(tmp_path / "site", remove=("tiny",))
        assert snapshot(outside) == before

    def test_files_of_others_in_a_site_survive(self, tmp_path: Path, tiny: Built, tuned: Built) -> None:
        write(tmp_path, tiny)
        for name in ("CNAME", "tiny/notes.txt", "tiles/readme.md", "assets/logo.svg"):
            (tmp_path / name).write_text("mine")
        write(tmp_path, tuned)
        write(tmp_path, remove=("tiny",))
        files = snapshot(tmp_path)
        assert all(files[name] == b"mine" for name in ("CNAME", "tiny/notes.txt", "tiles/readme.md", "assets/logo.svg"))

    def test_a_foreign_page_in_the_way_is_not_overwritten(self, tmp_path: Path, tiny: Built, odd: Built) -> None:
        write(tmp_path, tiny)
        (tmp_path / "odd").mkdir()
        (tmp_path / "odd" / "index.html").write_text("mine")
        with pytest.raises(SiteError, match="in the way"):
            write(tmp_path, odd)
        assert (tmp_path / "odd" / "index.html").read_text() == "mine"
        check_whole(tmp_path)

    def test_nothing_is_made_when_no_model_came(self, tmp_path: Path) -> None:
        write(tmp_path / "site")
        assert not (tmp_path / "site").exists()

    def test_two_builds_at_once_are_told_apart(self, tmp_path: Path, tiny: Built) -> None:
        write(tmp_path, tiny)
        with SiteWriter(tmp_path), pytest.raises(SiteError, match="another build"):
            SiteWriter(tmp_path)

    def test_a_site_that_another_build_made_meanwhile_is_not_overwritten(self, tmp_path: Path, tiny: Built, odd: Built) -> None:
        with SiteWriter(tmp_path / "site") as late:
            write(tmp_path / "site", tiny)
            with pytest.raises(SiteError, match="another build"):
                late.add_model(odd.model, odd.files, odd.overview)
        check_whole(tmp_path / "site")

    def test_a_full_disk_is_one_clear_line(
        self, tmp_path: Path, tiny: Built, tuned: Built, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(tmp_path / "site", tiny)

        def full(*_: Any, **__: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "link", full)
            with pytest.raises(SiteError, match="No space left"):
                write(tmp_path / "site", tuned)
        check_whole(tmp_path / "site")


class Killed(BaseException):
    """Stands for the end of the process."""


@contextmanager
def killed_at(step: int, after: bool, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """End the process at the `step`-th change of the file system, before it or (`after`) when it is done, or half done."""
    count = [0]

    def deadly(real: Callable[..., Any], half: Callable[..., Any] | None = None) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            count[0] += 1
            if count[0] == step:
                if after:
                    (half or real)(*arguments, **options)
                raise Killed
            return real(*arguments, **options)

        return call

    def half_written(path: Path, content: bytes) -> None:
        with open(path, "wb") as file:
            file.write(content[: len(content) // 2])

    with monkeypatch.context() as patch:
        for name in ("link", "replace", "unlink", "mkdir", "rmdir"):
            patch.setattr(os, name, deadly(getattr(os, name)))
        patch.setattr(Path, "write_bytes", deadly(Path.write_bytes, half_written))
        yield count


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """Templates of a few lines, so that a site has few files and every step can be tried."""
    root = tmp_path / "templates"
    pages = {
        "gallery.html": '<link href="{{ asset("a.css") }}">{% for card in cards %}{{ card.title }}{% endfor %}',
        "model.html": '<img src="{{ entry.overview }}"><script src="{{ entry.scenes[0] }}"></script>',
        "tensors.html": "{{ record.title }}",
    }
    for name, text in pages.items():
        (root / "pages").mkdir(parents=True, exist_ok=True)
        (root / "pages" / name).write_text(text)
    (root / "vendor").mkdir()
    (root / "vendor" / "vendor.json").write_text('{"libraries": []}')
    (root / "a.css").write_text("body {}")
    return root


def few_tiles(built: Built) -> Built:
    """The same without its leaves."""
    scene = built.model.scenes[0]
    scene = replace(scene, tiles={place: key for place, key in scene.tiles.items() if place[0] > 0})
    return replace(built, model=replace(built.model, scenes=(scene,)))


@pytest.mark.parametrize("after", [False, True])
def test_a_build_killed_at_any_step_leaves_the_old_site_whole(
    tmp_path: Path, tiny: Built, tuned: Built, bare: Path, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny, tuned = few_tiles(tiny), few_tiles(tuned)
    other = synthetic.renamed(tiny, slug="other", identity="other")
    write(tmp_path / "clean", tuned, templates=bare)
    clean = snapshot(tmp_path / "clean")
    write(tmp_path / "old", tiny, other, templates=bare)
    for step in range(1, 1000):
        site = tmp_path / f"site-{step}"
        copy(tmp_path / "old", site)
        with killed_at(step, after, monkeypatch) as count:
            with suppress(Killed):
                write(site, tuned, remove=("other",), templates=bare)
            steps = count[0]
        check_whole(site)
        write(site, tuned, remove=("other",) if "other" in models(site) else (), templates=bare)
        assert snapshot(site) == clean
        if steps < step:
            break
    assert 40 < step < 999


@pytest.mark.parametrize("after", [False, True])
def test_a_first_build_killed_at_any_step_can_go_on(
    tmp_path: Path, tiny: Built, bare: Path, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = few_tiles(tiny)
    write(tmp_path / "clean", tiny, templates=bare)
    clean = snapshot(tmp_path / "clean")
    for step in range(1, 1000):
        site = tmp_path / f"site-{step}"
        with killed_at(step, after, monkeypatch) as count:
            with suppress(Killed):
                write(site, tiny, templates=bare)
            steps = count[0]
        write(site, tiny, templates=bare)
        assert snapshot(site) == clean
        if steps < step:
            break
    assert 30 < step < 999


def test_what_a_killed_build_left_is_deleted_even_if_its_model_never_comes(
    tmp_path: Path, tiny: Built, odd: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "site", tiny)
    clean = snapshot(tmp_path / "site")
    with killed_at(60, True, monkeypatch), pytest.raises(Killed):
        write(tmp_path / "site", odd)
    assert set(snapshot(tmp_path / "site")) > set(clean)
    write(tmp_path / "site", tiny)
    assert snapshot(tmp_path / "site") == clean


def models(site: Path) -> list[str]:
    return sorted(decode((site / "site.json").read_bytes(), site).models)


def copy(source: Path, target: Path) -> None:
    for path in source.rglob("*"):
        if path.is_file():
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, place)
