"""Builds disturbed in every way that a disk, a neighbour or a killer knows: the next is right, the old site whole."""

import errno
import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from buildkit import (
    Steps,
    check_whole,
    pictures,
    run,
    run_and_die,
    run_quietly,
    settled,
    tile_keys,
    tree,
    write_model,
    write_tiny,
)

from mwv.decode.stored import StoredTensor
from mwv.errors import MwvError, SiteError
from mwv.memory import Memory
from mwv.pyramid.plan import sums_key
from mwv.site.writer import SiteWriter
from mwv.store.store import Store
from mwv.store.upkeep import prune, verify

ENOSPC = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
EROFS = OSError(errno.EROFS, os.strerror(errno.EROFS))


def fail(error: OSError) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("small") / "model.safetensors")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """A folder with the site and the cache of a clean build."""
    folder = tmp_path_factory.mktemp("built")
    report = run(model, folder / "site", folder / "cache")
    assert report["tiles"]["rendered"] == len(tile_keys(folder / "site")) > 20
    assert report["canvas"]["levels"] > 4  # overviews above the blocks, too
    return folder


@pytest.fixture(scope="module")
def clean(built: Path) -> dict[str, bytes]:
    return tree(built / "site")


@pytest.fixture
def cache(tmp_path: Path, built: Path) -> Path:
    """A copy of the clean build's cache."""
    return Path(shutil.copytree(built / "cache", tmp_path / "cache"))


# Neighbours


def test_two_builds_started_together_on_one_cache_are_both_right(tmp_path, model, clean, spawn):
    both = [spawn(run_quietly, model, tmp_path / f"site{i}", tmp_path / "cache", 1 + i) for i in range(2)]
    for process in both:
        process.join(60)
        assert process.exitcode == 0
    assert tree(tmp_path / "site0") == tree(tmp_path / "site1") == clean
    assert run(model, tmp_path / "site", tmp_path / "cache")["tiles"]["rendered"] == 0
    with Store.open(tmp_path / "cache") as store:
        assert verify(store).bad == ()


def prune_forever(cache: Path) -> None:
    while True:
        with Store.open(cache) as store:
            prune(store, 0)


def test_builds_are_right_while_another_process_prunes_to_nothing(tmp_path, model, clean, spawn):
    cache = tmp_path / "cache"
    run(model, tmp_path / "first", cache)
    shutil.rmtree(tmp_path / "first")  # so that its tiles are the cache's alone and can be pruned
    pruner = spawn(prune_forever, cache)
    rendered = 0
    for i in range(4):
        site = tmp_path / f"site{i}"
        rendered += run(model, site, cache, jobs=2)["tiles"]["rendered"]
        assert tree(site) == clean
        shutil.rmtree(site)
    assert rendered > 0  # the pruner did prune
    assert pruner.is_alive()


# Lost parts of the cache


@pytest.mark.parametrize("part", ["index", "blobs", "running", "CACHEDIR.TAG"])
def test_a_deleted_part_of_the_cache_costs_time_alone(tmp_path, model, clean, cache, part):
    lost = cache / part
    shutil.rmtree(lost) if lost.is_dir() else lost.unlink()
    if part == "CACHEDIR.TAG":
        with pytest.raises(MwvError, match="not a cache of mwv"):
            run(model, tmp_path / "site", cache)
        shutil.rmtree(cache)
    run(model, tmp_path / "site", cache, jobs=2)
    assert tree(tmp_path / "site") == clean
    again = run(model, tmp_path / "again", cache)
    assert again["tiles"]["rendered"] == again["bytes"]["read"] == again["bytes"]["hashed"] == 0


@pytest.mark.parametrize("part", ["index", "blobs", "running"])
@pytest.mark.parametrize("warm", [False, True])
def test_a_part_of_the_cache_deleted_during_a_build_costs_time_alone(tmp_path, model, clean, built, monkeypatch, part, warm):
    cache = tmp_path / "cache"
    if warm:
        shutil.copytree(built / "cache", cache)
        for blob in sorted((cache / "blobs").glob("*/*"))[::3]:
            blob.unlink()
    put, count = Store._put, 0

    def put_and_delete(store: Store, *args: Any) -> None:
        nonlocal count
        put(store, *args)
        count += 1
        if count == 10:
            shutil.rmtree(cache / part, ignore_errors=True)  # other threads write there

    monkeypatch.setattr(Store, "_put", put_and_delete)
    run(model, tmp_path / "site", cache, jobs=2)
    assert count > 10
    assert tree(tmp_path / "site") == clean
    monkeypatch.undo()
    run(model, tmp_path / "again", cache)
    assert tree(tmp_path / "again") == clean


@pytest.mark.parametrize("seed", range(3))
def test_an_index_that_names_blobs_that_are_gone_is_advice(tmp_path, model, clean, cache, seed):
    blobs = sorted((cache / "blobs").glob("*/*"))
    gone = random.Random(seed).sample(blobs, len(blobs) // 2)
    for blob in gone:
        blob.unlink()
    report = run(model, tmp_path / "site", cache)
    lost = {blob.name for blob in gone} & set(tile_keys(tmp_path / "site").values())
    assert report["tiles"]["rendered"] == len(lost)
    assert tree(tmp_path / "site") == clean


def test_blobs_that_the_index_does_not_know_are_used(tmp_path, model, clean, cache):
    for path in (cache / "index").iterdir():
        path.write_bytes(b"no database")
    report = run(model, tmp_path / "site", cache)
    assert report["tiles"]["rendered"] == 0
    assert report["bytes"]["hashed"] > 0
    assert tree(tmp_path / "site") == clean


# Damaged results


def kinds(site: Path, cache: Path) -> dict[str, list[str]]:
    """Keys of the blobs of a cache by what they are: leaves, overviews, sums, the picture of the card, slabs."""
    tiles = tile_keys(site)
    found = {
        "leaf": sorted({key for (level, _, _), key in tiles.items() if level == 0}),
        "overview": sorted({key for (level, _, _), key in tiles.items() if level > 0}),
    }
    blobs = {path.name for path in (cache / "blobs").glob("*/*")}
    found["sums"] = sorted({sums_key(key) for key in found["overview"]} & blobs)
    found["picture"] = sorted(pictures(cache) - set(tiles.values()))
    found["slab"] = sorted(blobs - {key for keys in found.values() for key in keys})
    assert all(found.values())
    return found


def flip(cache: Path, key: str) -> None:
    """Turn one bit in the middle of a blob, in place: a link to it sees that too."""
    path = cache / "blobs" / key[:2] / key
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.write(data)


@pytest.mark.parametrize("kind", ["leaf", "overview", "sums", "picture", "slab"])
def test_a_flipped_bit_is_found_by_verify_and_what_it_hit_is_made_again(tmp_path, model, clean, kind):
    cache, site = tmp_path / "cache", tmp_path / "site"
    run(model, site, cache)
    key = kinds(site, cache)[kind][-1]
    flip(cache, key)
    with Store.open(cache) as store:
        assert verify(store).bad == (key,)
    report = run(model, site, cache)  # its tiles were links to the damaged ones
    assert report["tiles"]["rendered"] == (kind in ("leaf", "overview"))
    assert tree(site) == clean
    assert run(model, tmp_path / "again", cache)["tiles"]["rendered"] == 0
    assert tree(tmp_path / "again") == clean


@pytest.mark.parametrize("kind", ["sums", "picture", "slab"])
def test_flipped_bits_in_results_that_are_decoded_are_found_at_once(tmp_path, model, clean, built, cache, kind):
    for key in kinds(built / "site", cache)[kind]:
        flip(cache, key)
    shutil.rmtree(cache / "index")
    run(model, tmp_path / "site", cache)
    assert tree(tmp_path / "site") == clean


@pytest.mark.parametrize("options", [{}, {"tiles": "pmtiles"}, {"tile_format": "avif"}, {"tiles": "xyz"}], ids=str)
def test_flipped_bits_in_tiles_that_are_decoded_are_found_at_once(tmp_path, model, built, cache, options):
    run(model, tmp_path / "clean", None, **options)
    for (level, _, _), key in tile_keys(built / "site").items():
        # The picture that is asked for decodes a level (5,524 pixels become 1,381), archives and painted tiles decode all.
        if level == 2 or options.get("tiles") == "pmtiles" or "tile_format" in options:
            flip(cache, key)
    run(model, tmp_path / "site", cache, png=tmp_path / "whole.png", png_size=2048, **options)
    assert tree(tmp_path / "site") == tree(tmp_path / "clean")


# Disks


def neighbours(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("warm", [False, True])
def test_a_read_only_cache_is_used_and_left_as_it_is(tmp_path, model, clean, cache, capfd, warm):
    if not warm:
        shutil.rmtree(cache)
    before = tree(cache / "blobs")
    with Steps([cache], fail(EROFS), at=1, on=True):
        report = run(model, tmp_path / "site", cache)
    assert (report["tiles"]["rendered"] == 0) is warm
    assert tree(tmp_path / "site") == clean
    assert tree(cache / "blobs") == before
    assert neighbours(tmp_path) - {"cache"} == {"site", "site.json"}
    warnings = [line for line in capfd.readouterr().err.splitlines() if line.startswith("warning")]
    assert len(warnings) == 1
    assert str(cache) in warnings[0]
    assert "Read-only file system" in warnings[0]


def test_a_cache_where_nobody_can_write_costs_a_warning(tmp_path, model, clean, capfd):
    run(model, tmp_path / "site", Path("/proc/mwv-cache"))  # there, not even root can make a folder
    assert tree(tmp_path / "site") == clean
    assert capfd.readouterr().err.count("warning: /proc/mwv-cache: the cache cannot be written") == 1
    assert neighbours(tmp_path) == {"site", "site.json"}


@pytest.mark.parametrize("on", [False, True], ids=["once", "from then on"])
def test_a_full_disk_for_the_cache_at_some_step_costs_a_warning(tmp_path, model, clean, capfd, on):
    with Steps([tmp_path / "c0"], int, at=0) as steps:
        run(model, tmp_path / "s0", tmp_path / "c0")
    capfd.readouterr()
    for at in random.Random(1).sample(range(1, len(steps.seen) + 1), 4):
        cache, site = tmp_path / f"c{at}", tmp_path / f"s{at}"
        with Steps([cache], fail(ENOSPC), at, on):
            run(model, site, cache)
        assert tree(site) == clean
        assert capfd.readouterr().err.count("warning: ") <= 1
        assert neighbours(tmp_path) - {cache.name} == {"c0", "s0", "s0.json", site.name, f"{site.name}.json"}
        run(model, tmp_path / "next", cache)
        assert tree(tmp_path / "next") == clean
        for path in (cache, site, tmp_path / "next"):
            shutil.rmtree(path)
        for name in (f"{site.name}.json", "next.json"):
            (tmp_path / name).unlink()


def test_a_full_disk_for_the_site_is_one_clear_error_and_the_old_site_stays(tmp_path):
    model = write_tiny(tmp_path / "tiny" / "model.safetensors")
    site, cache = tmp_path / "site", tmp_path / "cache"
    run(model, site, cache)
    old = tree(site)
    write_tiny(model, seed=1)
    run(model, tmp_path / "clean", None)
    new = tree(tmp_path / "clean")
    shutil.copytree(site, tmp_path / "kept")
    with Steps([tmp_path / "kept"], int, at=0) as steps:
        run(model, tmp_path / "kept", cache)
    makes = [i for i, name in enumerate(steps.seen, 1) if not name.startswith(("unlink", "rmdir"))]
    for at in (*makes[:6], *makes[6::4]):
        shutil.rmtree(tmp_path / "kept")
        shutil.copytree(site, tmp_path / "kept")
        with Steps([tmp_path / "kept"], fail(ENOSPC), at, on=True), pytest.raises(SiteError) as caught:
            run(model, tmp_path / "kept", cache)
        assert "No space left on device" in str(caught.value)
        assert "\n" not in str(caught.value)
        check_whole(tmp_path / "kept", old, new)
    run(model, tmp_path / "kept", cache)
    assert tree(tmp_path / "kept") == new


@pytest.mark.parametrize("tiles", ["files", "xyz", "pmtiles"])
def test_tiles_lost_just_before_they_are_linked_are_made_again(tmp_path, model, cache, monkeypatch, tiles):
    run(model, tmp_path / "expected", cache, tiles=tiles)
    real, calls = SiteWriter.add_model, []

    def add_model(site: SiteWriter, added: Any, files: Any, overview: bytes) -> str:
        calls.append(len(files.paths))
        if len(calls) == 1:
            for path in files.paths.values():
                path.unlink()
        return real(site, added, files, overview)

    monkeypatch.setattr(SiteWriter, "add_model", add_model)
    run(model, tmp_path / "site", cache, tiles=tiles)
    assert len(calls) == 2
    assert tree(tmp_path / "site") == tree(tmp_path / "expected")


def test_without_a_cache_nothing_stays_behind(tmp_path, model, clean):
    (tmp_path / "a" / "b").mkdir(parents=True)
    run(model, tmp_path / "a" / "b" / "site", None, jobs=2)
    assert neighbours(tmp_path / "a" / "b") == {"site", "site.json"}
    run_quietly(model, tmp_path / "not" / "there" / "site", None)
    assert neighbours(tmp_path) == {"a", "not"}
    assert neighbours(tmp_path / "not" / "there") == {"site"}
    assert tree(tmp_path / "a" / "b" / "site") == tree(tmp_path / "not" / "there" / "site") == clean


def test_without_a_cache_the_next_build_deletes_what_a_killed_one_left(tmp_path, model, clean, spawn):
    site = tmp_path / "place" / "site"
    site.parent.mkdir()
    process = spawn(run_and_die, model, site, None, 3)
    process.join(60)
    assert process.exitcode == -9
    assert len(neighbours(site.parent)) == 2
    run_quietly(model, site, None)
    assert neighbours(site.parent) == {"site"}
    assert tree(site) == clean


# Kills


class Rebuild:
    """A site of an old model and the cache from then; the model has changed since."""

    def __init__(self, folder: Path, write: Callable[[Path, int], Path]) -> None:
        self.folder, self.site, self.cache = folder, folder / "site", folder / "cache"
        self.model = write(folder / "model" / "model.safetensors", 0)
        (folder / "old").mkdir()
        run(self.model, folder / "old" / "site", folder / "old" / "cache")
        self.old = tree(folder / "old" / "site")
        write(self.model, 1)
        run(self.model, folder / "clean", None)
        self.new = tree(folder / "clean")
        self.tiles = set(tile_keys(folder / "clean").values())
        assert self.tiles - set(tile_keys(folder / "old" / "site").values())

    def reset(self) -> None:
        for name in ("site", "cache"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            shutil.copytree(self.folder / "old" / name, self.folder / name)

    def steps(self) -> list[str]:
        self.reset()
        with Steps([self.site, self.cache], int, at=0) as steps:
            run_quietly(self.model, self.site, self.cache)
        assert tree(self.site) == self.new
        return steps.seen

    def goes_on(self) -> None:
        """The site is whole; the next build makes the rest, and what a clean build makes."""
        check_whole(self.site, self.old, self.new)
        missing = self.tiles - pictures(self.cache)
        assert run(self.model, self.site, self.cache)["tiles"]["rendered"] == len(missing)
        assert tree(self.site) == self.new


class Killed(BaseException):
    """Ends a build without being an error that anything may handle."""


def test_a_build_that_ends_at_any_step_leaves_the_old_site_whole_and_the_next_goes_on(tmp_path):
    rebuild = Rebuild(tmp_path, write_tiny)

    def end() -> None:
        raise Killed

    # Every third, for time: tests of the store and of the site's writer take every one of theirs.
    for at in range(1, len(rebuild.steps()) + 1, 3):
        rebuild.reset()
        with Steps([rebuild.site, rebuild.cache], end, at), pytest.raises(Killed):
            run_quietly(rebuild.model, rebuild.site, rebuild.cache)
        rebuild.goes_on()


def test_a_kill_at_any_kind_of_step_leaves_the_old_site_whole_and_the_next_goes_on(tmp_path, spawn):
    rebuild = Rebuild(tmp_path, write_tiny)
    seen = rebuild.steps()
    for at in sorted({seen.index(name) + 1 for name in seen} | {len(seen) - seen[::-1].index(name) for name in seen}):
        rebuild.reset()
        process = spawn(run_and_die, rebuild.model, rebuild.site, rebuild.cache, at)
        process.join(60)
        assert process.exitcode == -9, seen[at - 1]
        rebuild.goes_on()


def test_kills_at_random_moments(tmp_path, spawn):
    rebuild = Rebuild(tmp_path, write_model)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    for _ in range(5):
        rebuild.reset()
        process = spawn(run_quietly, rebuild.model, rebuild.site, rebuild.cache, 2)
        time.sleep(moments.uniform(0, 0.4))
        process.kill()
        process.join()
        rebuild.goes_on()


# Files that change


def shorten(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def replace(path: Path) -> None:
    write_model(path, seed=3)


def rewrite(path: Path) -> None:
    """In place, with the size and the time of writing that it had."""
    other = write_model(path.parent / "other" / path.name, seed=3).read_bytes()
    with path.open("r+b") as file:
        file.write(other)
    settled(path)


def remove(path: Path) -> None:
    path.unlink()


def during_a_read(monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[], None]) -> None:
    """Let something happen before the read of a band."""
    real, count = StoredTensor.read, 0

    def read(tensor: StoredTensor, band: int) -> bytes:
        nonlocal count
        count += 1
        if count == number:
            act()
        return real(tensor, band)

    monkeypatch.setattr(StoredTensor, "read", read)


@pytest.mark.parametrize("remembered", [False, True])
@pytest.mark.parametrize("number", [1, 9])
@pytest.mark.parametrize("change", [shorten, replace, rewrite, remove])
def test_a_file_that_changes_during_a_build_is_an_error_and_poisons_nothing(
    tmp_path, model, monkeypatch, change, number, remembered
):
    site, cache = tmp_path / "site", tmp_path / "cache"
    model = write_model(tmp_path / model.parent.name / model.name)
    if remembered:
        run_quietly(model, site, cache)
        # So that the model is built again, and its tensors must be read, against remembered digests.
        next(site.glob("*/overview.png")).unlink()
        shutil.rmtree(cache / "blobs")
    before = tree(site)
    during_a_read(monkeypatch, number, lambda: change(model))
    with pytest.raises(MwvError) as caught:
        run_quietly(model, site, cache)
    monkeypatch.undo()
    assert str(model) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "cut short" in str(caught.value) or "changed while it was being read" in str(caught.value)
    assert tree(site) == before
    for seed in (3, 0):
        write_model(model, seed)
        run_quietly(model, site, cache)
        run_quietly(model, tmp_path / f"clean{seed}", None)
        assert tree(site) == tree(tmp_path / f"clean{seed}")


def test_a_file_that_only_looks_unchanged_is_read_again(tmp_path):
    model = write_model(tmp_path / "model" / "model.safetensors")
    run(model, tmp_path / "site", tmp_path / "cache")
    before = model.stat()
    rewrite(model)
    after = model.stat()
    assert (before.st_size, before.st_mtime_ns, before.st_ino) == (after.st_size, after.st_mtime_ns, after.st_ino)
    assert run(model, tmp_path / "site", tmp_path / "cache")["tiles"]["rendered"] > 0
    run(model, tmp_path / "clean", None)
    assert tree(tmp_path / "site") == tree(tmp_path / "clean")


def test_wrong_memories_are_found_when_a_tensor_is_read(tmp_path, model, clean, cache, monkeypatch):
    """Digests that belong to other bytes: the build notices, believes no more, and is right."""
    real = Memory.digests

    def lie(memory: Memory, tensor: StoredTensor) -> tuple[bytes, ...] | None:
        found = real(memory, tensor)
        return None if found is None else tuple(bytes(32) for _ in found)

    monkeypatch.setattr(Memory, "digests", lie)
    run(model, tmp_path / "site", cache)
    assert tree(tmp_path / "site") == clean
