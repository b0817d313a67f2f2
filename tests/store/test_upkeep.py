import os
import shutil
import signal
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cachekit import Spawn, key, png

import mwv.store.upkeep
from mwv.errors import StoreError
from mwv.store.store import Store
from mwv.store.upkeep import clear, info, prune, verify

BODY = b"x" * 960  # 1,000 bytes with its seal


def fill(root: Path, numbers: range | list[int]) -> None:
    with Store.open(root) as store:
        for number in numbers:
            store.put(key(number), BODY)


def use(root: Path, numbers: range | list[int]) -> None:
    with Store.open(root) as store:
        assert all(store.has(key(number)) for number in numbers)


def there(root: Path, numbers: range = range(20)) -> list[int]:
    return [number for number in numbers if (root / "blobs" / key(number)[:2] / key(number)).exists()]


def blob(root: Path, number: int) -> Path:
    return root / "blobs" / key(number)[:2] / key(number)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    path.write_bytes(data)


def reader(spawn: Spawn, root: Path, numbers: list[int]):
    """A build in another process that asked for some blobs and goes on when told so."""
    program = """
        store = Store.open(Path(args[0]))
        numbers = [int(number) for number in args[1:]]
        assert all(store.has(key(number)) for number in numbers)
        print("asked", flush=True)
        sys.stdin.readline()
        assert all(store.get(key(number)) for number in numbers)
        store.close()
    """
    process = spawn(program, root, *numbers)
    assert process.stdout.readline() == "asked\n"
    return process


def finish(process) -> None:
    process.communicate("go on\n", timeout=20)
    assert process.returncode == 0


# info


def test_info_counts_what_the_disk_holds(root: Path, tmp_path: Path, spawn: Spawn) -> None:
    with Store.open(root) as store:
        for number in range(5):
            store.put_png(key(number), png(number, side=20 + number))
        store.put(key(9), BODY)
        store.remember_many("n", {"a": b"1", "b": b"2"})
    os.link(blob(root, 2), tmp_path / "tile.png")
    for number in (0, 1, 2, 3, 4, 9):
        os.utime(blob(root, number), (1000, 1000 + number))
    shutil.rmtree(root / "index")
    with Store.open(root) as store:
        facts = info(store)
    sizes = [path.stat().st_size for path in (root / "blobs").rglob("*") if path.is_file()]
    assert (facts.blobs, facts.nbytes) == (6, sum(sizes))
    assert (facts.shared_blobs, facts.shared_nbytes) == (1, (tmp_path / "tile.png").stat().st_size)
    assert (facts.oldest_use, facts.newest_use) == (1000, 1009)
    assert (facts.index_entries, facts.index_nbytes, facts.running) == (0, 0, 0)
    build = reader(spawn, root, [0])
    with Store.open(root) as store:
        store.remember_many("n", {"a": b"1"})
        assert info(store).running == 2  # that one, and the one that remembered something
    finish(build)
    with Store.open(root) as store:
        facts = info(store)
        assert (facts.index_entries, facts.running) == (2, 0)  # what was remembered, and what was used
        assert facts.index_nbytes == (root / "index" / "cache.db").stat().st_size
        assert facts.newest_use > 1e9


@pytest.mark.parametrize("exists", [False, True])
def test_upkeep_of_nothing_does_nothing(root: Path, exists: bool) -> None:
    if exists:
        root.mkdir()
    store = Store.open(root)
    assert info(store).blobs == 0
    assert info(store).oldest_use is None
    assert prune(store, 0).blobs == 0
    assert verify(store).blobs == 0
    assert clear(store).blobs == 0
    assert root.exists() is exists
    assert not exists or list(root.iterdir()) == []


# prune


def test_what_was_unused_the_longest_goes_first(root: Path) -> None:
    fill(root, range(6))
    use(root, [0, 1, 2, 3])
    use(root, [1, 4])
    use(root, [3])
    expected = [[0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4], [1, 3, 4], [3], []]
    for left in expected:
        with Store.open(root) as store:
            done = prune(store, len(left) * 1000 + 999)
        assert there(root) == left
        assert done.left_nbytes == len(left) * 1000


def test_without_an_index_the_oldest_goes_first(root: Path) -> None:
    fill(root, range(4))
    for number, time in enumerate([30, 10, 40, 20]):
        os.utime(blob(root, number), (time, time))
    for lost in ("index", "running"):
        shutil.rmtree(root / lost)
    (root / "gate").unlink()
    with Store.open(root) as store:
        done = prune(store, 2000)
    assert (done.blobs, done.nbytes, done.left_nbytes) == (2, 2000, 2000)
    assert there(root) == [0, 2]


def test_a_blob_linked_elsewhere_frees_no_space(root: Path, tmp_path: Path) -> None:
    fill(root, range(4))
    for number in (0, 2):
        os.link(blob(root, number), tmp_path / f"{number}")
    with Store.open(root) as store:
        done = prune(store, 1000)
        assert (done.blobs, done.nbytes, done.left_nbytes) == (1, 1000, 1000)
        assert (done.shared_blobs, done.shared_nbytes) == (2, 2000)
        assert there(root) == [0, 2, 3]
        (tmp_path / "0").unlink()
        assert prune(store, 0).blobs == 2
    assert there(root) == [2]


def test_a_running_build_in_another_process_keeps_what_it_asked_for(root: Path, spawn: Spawn) -> None:
    fill(root, range(6))
    build = reader(spawn, root, [1, 4])
    for lost in (None, "index"):
        if lost:
            shutil.rmtree(root / lost)
        with Store.open(root) as store:
            done = prune(store, 0)
        assert there(root) == [1, 4]
        assert (done.needed_blobs, done.left_nbytes) == (2, 2000)
    finish(build)
    with Store.open(root) as store:
        assert prune(store, 0).blobs == 2
    assert there(root) == []


def test_a_build_keeps_what_it_asked_for_when_it_prunes_itself(root: Path) -> None:
    fill(root, range(4))
    with Store.open(root) as store:
        store.put(key(5), BODY)
        assert store.get(key(0)) == BODY
        store.path(key(1))
        assert not store.has(key(7))
        assert prune(store, 0).needed_blobs == 3
        assert there(root) == [0, 1, 5]
        store.put(key(7), BODY)
        assert prune(store, 0).needed_blobs == 4
        assert there(root) == [0, 1, 5, 7]


def test_a_build_that_asks_while_a_prune_is_under_way_is_heard(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(root, range(10))
    monkeypatch.setattr(mwv.store.upkeep, "_BATCH", 1)
    shut_gate, answers = mwv.store.upkeep.shut_gate, {}
    late = Store.open(root)

    @contextmanager
    def ask_first(folder: Path) -> Iterator[None]:
        # Between two batches: one blob that is still there and one that is gone already.
        left = there(root)
        for number in {left[-1], (set(range(10)) - set(left) or {left[-1]}).pop()}:
            answers.setdefault(number, late.has(key(number)))
        with shut_gate(folder):
            yield

    monkeypatch.setattr(mwv.store.upkeep, "shut_gate", ask_first)
    with Store.open(root) as store:
        prune(store, 0)
    assert set(answers.values()) == {True, False}
    assert there(root) == sorted(number for number, answer in answers.items() if answer)
    late.close()


def test_builds_and_prunes_race_and_no_answer_turns_out_wrong(root: Path, spawn: Spawn) -> None:
    program = """
        for turn in range(15):
            with Store.open(Path(args[0])) as store:
                for number in range(60):
                    if store.has(key(number)):
                        continue
                    store.put(key(number), b"%d" % number)
                for number in range(60):
                    assert store.path(key(number)).read_bytes()[:-40] == b"%d" % number
                assert store.warnings == []
    """
    builds = [spawn(program, root) for _ in range(2)]
    removed = 0
    while any(build.poll() is None for build in builds):
        with Store.open(root) as store:
            removed += prune(store, 0).blobs
    assert [build.returncode for build in builds] == [0, 0]
    with Store.open(root) as store:
        removed += prune(store, 0).blobs
    assert removed >= 60
    assert there(root, range(60)) == []


def test_a_killed_build_protects_nothing_but_counts_as_use(root: Path, spawn: Spawn) -> None:
    fill(root, range(4))
    build = reader(spawn, root, [0, 2])
    build.send_signal(signal.SIGKILL)
    build.wait(10)
    assert len(list((root / "running").iterdir())) == 1
    with Store.open(root) as store:
        assert info(store).running == 0
        prune(store, 3000)
        assert there(root) == [0, 2, 3]
        assert list((root / "running").iterdir()) == []
        prune(store, 2000)  # it is still known, now from the index
        assert there(root) == [0, 2]
        prune(store, 0)
    assert there(root) == []


def test_half_written_blobs_of_dead_builds_are_swept_and_those_of_living_ones_are_not(root: Path, spawn: Spawn) -> None:
    fill(root, range(2))
    build = reader(spawn, root, [0])
    (living,) = (path.name for path in (root / "running").iterdir())
    folder = blob(root, 0).parent
    ours = folder / f".{key(0)}.{living}.7"
    dead = folder / f".{key(0)}.{'0' * 32}.0"
    foreign = folder / "notes.txt"
    odd = root / "blobs" / "zz" / key(3)
    odd.parent.mkdir()
    for path in (ours, dead, foreign, odd):
        path.write_bytes(b"half")
    with Store.open(root) as store:
        prune(store, 0)
    assert [path.exists() for path in (ours, dead, foreign, odd)] == [True, False, True, True]
    finish(build)


def test_rows_of_removed_blobs_leave_the_index_and_others_stay(root: Path) -> None:
    fill(root, range(4))
    with Store.open(root) as store:
        store.remember_many("size", {key(0): b"1", key(3): b"2", "model.safetensors": b"3"})
    use(root, [3])
    with Store.open(root) as store:
        prune(store, 1000)
        assert there(root) == [3]
        assert store.recall("size", key(0)) is None
        assert store.recall("size", key(3)) == b"2"
        assert store.recall("size", "model.safetensors") == b"3"
        assert [namespace for namespace, _ in store.index.rows()].count("use") == 1
        prune(store, 0)
        assert [namespace for namespace, _ in store.index.rows()] == ["size"]


def test_an_index_that_names_blobs_that_are_gone_and_blobs_that_no_index_names(root: Path) -> None:
    fill(root, range(3))
    blob(root, 0).unlink()
    with Store.open(root) as store:
        assert not store.has(key(0))
        assert prune(store, 2000).left_nbytes == 2000
    shutil.rmtree(root / "index")
    with Store.open(root) as store:
        assert store.get(key(1)) == BODY
        assert prune(store, 2000).left_nbytes == 2000
        assert info(store).blobs == 2
    shutil.rmtree(root / "blobs")
    with Store.open(root) as store:
        assert prune(store, 0).blobs == 0
        assert info(store).blobs == 0
        assert not store.has(key(1))


# verify


def test_every_damaged_blob_is_found_and_removed(root: Path) -> None:
    with Store.open(root) as store:
        for number in range(6):
            store.put_png(key(number), png(number)) if number % 2 else store.put(key(number), BODY)
    for number in (1, 4):
        flip(blob(root, number))
    blob(root, 5).unlink()
    blob(root, 5).write_bytes(b"")
    read: list[int] = []
    with Store.open(root) as store:
        total = info(store).nbytes
        found = verify(store, read.append)
        assert sorted(found.bad) == sorted(map(key, (1, 4, 5)))
        assert (found.kept, found.blobs, found.nbytes, sum(read)) == ((), 6, total, total)
        assert there(root) == [0, 2, 3]
        assert verify(store).bad == ()


def test_a_damaged_blob_that_a_running_build_counts_on_is_reported_and_stays(root: Path, spawn: Spawn) -> None:
    fill(root, range(3))
    build = reader(spawn, root, [1])
    flip(blob(root, 1))
    flip(blob(root, 2))
    with Store.open(root) as store:
        found = verify(store)
    assert sorted(found.bad) == sorted([key(1), key(2)])
    assert found.kept == (key(1),)
    assert there(root) == [0, 1]
    build.kill()


def test_verifying_a_large_blob_takes_little_memory(root: Path) -> None:
    with Store.open(root) as store:
        store.put(key(0), bytes(30 << 20))
    with Store.open(root) as store:
        tracemalloc.start()
        assert verify(store).bad == ()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 4 << 20


# clear


def test_clear_removes_what_we_wrote_and_nothing_else(root: Path, tmp_path: Path) -> None:
    fill(root, range(5))
    with Store.open(root) as store:
        store.remember_many("n", {"a": b"1"})
    os.link(blob(root, 0), tmp_path / "tile.png")
    dead = blob(root, 0).parent / f".{key(0)}.{'0' * 32}.0"
    notes = [root / "README.md", root / ".gitignore", root / "index" / "notes.txt", blob(root, 1).parent / "notes.txt"]
    for path in (dead, *notes):
        path.write_text("half, or somebody else's")
    with Store.open(root) as store:
        done = clear(store)
        assert (done.blobs, done.nbytes) == (5, 5000)
        assert store.recall("n", "a") is None
    left = {path for path in root.rglob("*") if path.is_file()}
    assert left == {*notes, root / "CACHEDIR.TAG", root / "gate"}
    assert (tmp_path / "tile.png").stat().st_size == 1000
    fill(root, range(5))
    assert there(root) == [0, 1, 2, 3, 4]


def test_a_cache_in_use_is_not_cleared(root: Path, spawn: Spawn) -> None:
    fill(root, range(3))
    build = reader(spawn, root, [1])
    with Store.open(root) as store:
        with pytest.raises(StoreError, match="1 running build"):
            clear(store)
        assert there(root) == [0, 1, 2]
        finish(build)
        assert clear(store).blobs == 3
