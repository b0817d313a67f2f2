"""Every step that changes the cache goes wrong once, in every way that a disk or a killer knows."""

import errno
import os
import shutil
from pathlib import Path

import pytest
from cachekit import Faults, Spawn, key, png

from mwv.errors import StoreError
from mwv.store.store import Store
from mwv.store.upkeep import prune

BODIES = {key(0): png(0), key(1): b"sums" * 50, key(2): png(2)}


def build(store: Store) -> None:
    """What a build does with a store, in small."""
    for name, body in BODIES.items():
        if not store.has(name):
            store.put_png(name, body) if body.startswith(b"\x89PNG") else store.put(name, body)
    for name, body in BODIES.items():
        assert store.get(name) == body
        assert store.path(name).is_file()


def recovers(root: Path) -> None:
    """No blob is wrong, the next build is whole and silent, and pruning sweeps what was left behind."""
    with Store.open(root) as store:
        assert all(store.get(name) in (body, None) for name, body in BODIES.items())
    with Store.open(root) as store:
        build(store)
        assert store.warnings == []
        prune(store, 1 << 40)
    assert {path.name for path in (root / "blobs").rglob("*") if path.is_file()} == set(BODIES)
    assert list((root / "running").iterdir()) == []


def count_steps(root: Path, spare: Path) -> int:
    with Faults(root, lambda: None, at=0) as counted, Store.open(root, spare) as store:
        build(store)
    shutil.rmtree(root)
    assert counted.steps > 25  # the tag, folders, gate, registration, and four for each blob
    return counted.steps


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO, errno.ENOENT])
@pytest.mark.parametrize("on", [False, True], ids=["once", "from then on"])
def test_an_error_at_any_step_costs_at_most_a_warning(root: Path, spare: Path, number: int, on: bool) -> None:
    def fail() -> None:
        raise OSError(number, os.strerror(number))

    for at in range(1, count_steps(root, spare) + 1):
        store = Store.open(root, spare)
        with Faults(root, fail, at, on):
            build(store)
            store.close()
        assert len(store.warnings) <= 1, at
        assert all(os.strerror(number) in line and str(root) in line for line in store.warnings)
        assert list(spare.iterdir()) == []
        recovers(root)
        shutil.rmtree(root)


def test_a_full_disk_everywhere_is_one_clear_error(tmp_path: Path) -> None:
    root, spare = tmp_path / "disk" / "cache", tmp_path / "disk" / "spare"

    def fail() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for at in range(1, 30):
        spare.mkdir(parents=True)
        store = Store.open(root, spare)
        with Faults(tmp_path / "disk", fail, at, on=True), pytest.raises(StoreError) as caught:
            build(store)
        assert "No space left on device" in str(caught.value)
        assert "\n" not in str(caught.value)
        store.close()
        recovers(root)
        shutil.rmtree(tmp_path / "disk")


def test_a_read_only_cache_is_read_and_left_as_it_is(root: Path, spare: Path) -> None:
    with Store.open(root) as store:
        store.put_png(key(0), BODIES[key(0)])
    before = sorted(root.rglob("*"))

    def fail() -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with Faults(root, fail, at=1, on=True), Store.open(root, spare) as store:
        assert store.has(key(0))
        build(store)
        assert store.path(key(0)).is_relative_to(root)
        assert store.path(key(1)).is_relative_to(spare)
        store.remember_many("n", {"a": b"1"})
        assert len(store.warnings) == 1
        with pytest.raises(StoreError, match="Read-only"):
            prune(store, 0)
    assert sorted(root.rglob("*")) == before
    assert list(spare.iterdir()) == []


def test_a_kill_at_any_step_leaves_a_cache_from_which_the_next_build_goes_on(tmp_path: Path, spawn: Spawn) -> None:
    """One process forks a child for each step, which kills itself there, and then looks after it."""
    program = """
        import os, signal
        from test_store_faults import build, count_steps, recovers
        folder = Path(args[0])
        steps = count_steps(folder / "counted", folder)
        for at in range(1, steps + 1):
            root = folder / f"{at}"
            child = os.fork()
            if not child:
                with Faults(root, lambda: os.kill(os.getpid(), signal.SIGKILL), at), Store.open(root, folder) as store:
                    build(store)
                os._exit(0)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, at
            recovers(root)
        print(steps)
    """
    process = spawn(program, tmp_path)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert int(out) > 25
