import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from cachekit import Spawn, key, png

from mwv.errors import StoreError
from mwv.store.store import TAG, TAG_NAME, Store, cache_root, is_ours


def test_what_was_put_is_there_in_this_build_and_in_the_next(root: Path) -> None:
    with Store.open(root) as store:
        assert not store.has(key(1))
        assert store.get(key(1)) is None
        store.put_png(key(1), png(1))
        store.put(key(2), b"sums")
        store.put(key(3), b"")
        assert store.has(key(1))
    with Store.open(root) as store:
        assert [store.has(key(i)) for i in (1, 2, 3, 4)] == [True, True, True, False]
        assert [store.get(key(i)) for i in (1, 2, 3, 4)] == [png(1), b"sums", b"", None]
        assert store.path(key(1)).read_bytes() == png(1)
        assert store.path(key(1)) == root / "blobs" / key(1)[:2] / key(1)
        assert store.warnings == []


def test_a_blob_is_read_only_and_no_temporary_file_stays(root: Path) -> None:
    with Store.open(root) as store:
        store.put(key(1), b"body")
        assert store.path(key(1)).stat().st_mode & 0o222 == 0
        assert [path.name for path in (root / "blobs").rglob("*") if path.is_file()] == [key(1)]


def test_putting_again_repairs(root: Path) -> None:
    with Store.open(root) as store:
        for _ in range(3):
            store.put_png(key(1), png(1))
        store.path(key(1)).unlink()
        store.path(key(1)).write_bytes(b"nonsense")
        store.put_png(key(1), png(1))
        assert store.get(key(1)) == png(1)


@pytest.mark.parametrize(
    "bad", ["", "ab", key(1).upper(), key(1) + "0", key(1) + "\n", "../" + key(1)[3:], "/etc/passwd", "é" * 32]
)
def test_only_a_key_is_taken_for_one(root: Path, bad: str) -> None:
    store = Store.open(root)
    for use in (store.has, store.path, store.get, lambda name: store.put(name, b""), lambda name: store.put_png(name, png(1))):
        with pytest.raises(ValueError, match="not a key"):
            use(bad)
    assert not root.exists()


def test_a_png_cannot_be_put_as_something_else_nor_the_reverse(root: Path) -> None:
    store = Store.open(root)
    with pytest.raises(ValueError, match="put_png"):
        store.put(key(1), png(1))
    with pytest.raises(ValueError, match="not a PNG"):
        store.put_png(key(1), b"sums")


def test_opening_and_looking_at_nothing_creates_nothing(root: Path) -> None:
    with Store.open(root) as store:
        assert store.recall("n", "a") is None
    assert not root.exists()


@pytest.mark.parametrize("put", [lambda s, k: s.put_png(k, png(1, side=200)), lambda s, k: s.put(k, os.urandom(5000))])
def test_a_bit_flipped_inside_a_blob_is_a_miss_and_the_blob_goes(root: Path, put) -> None:
    with Store.open(root) as store:
        put(store, key(1))
        whole = store.path(key(1)).read_bytes()
    for at in (3, 20, len(whole) // 2, len(whole) - 3):
        with Store.open(root) as store:
            path = store.path(key(1))
            path.unlink()
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
            assert store.get(key(1)) is None
            assert not path.exists()
            assert not store.has(key(1))
            put(store, key(1))
            assert store.get(key(1)) is not None


@pytest.mark.parametrize("put", [lambda s, k: s.put_png(k, png(1)), lambda s, k: s.put(k, os.urandom(5000))])
@pytest.mark.parametrize("fault", ["empty", "truncated", "zeros"])
def test_a_short_or_empty_blob_is_seen_without_reading_it(root: Path, put, fault: str) -> None:
    with Store.open(root) as store:
        put(store, key(1))
        path = store.path(key(1))
        whole = path.read_bytes()
        path.unlink()
        path.write_bytes({"empty": b"", "truncated": whole[:-100], "zeros": bytes(len(whole))}[fault])
        assert not store.has(key(1))
        assert store.get(key(1)) is None


def test_what_is_no_file_is_no_blob(root: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    with Store.open(root) as store:
        store.put_png(key(1), png(1))
        target.write_bytes(png(1))
        path = store.path(key(1))
        path.unlink()
        path.symlink_to(target)
        assert not store.has(key(1))
        path.unlink()
        os.mkfifo(path)
        assert not store.has(key(1))
        assert store.get(key(1)) is None
        path.unlink(missing_ok=True)
        path.mkdir()
        assert not store.has(key(1))
        assert store.get(key(1)) is None


@pytest.mark.parametrize("lost", ["blobs", "running", "index", "gate", "."])
def test_a_part_deleted_while_the_store_is_open(root: Path, lost: str) -> None:
    with Store.open(root) as store:
        store.put_png(key(1), png(1))
        store.remember_many("n", {"a": b"1"})
        path = root / lost
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        assert store.has(key(1)) is (lost not in ("blobs", "."))
        store.put_png(key(2), png(2))
        store.put_png(key(1), png(1))
        store.remember_many("n", {"b": b"2"})
        assert store.get(key(1)) == png(1)
        assert store.recall("n", "b") == b"2"
        assert store.warnings == []
    with Store.open(root) as store:
        assert store.get(key(2)) == png(2)
        assert store.recall("n", "b") == b"2"
        assert store.recall("n", "a") == (None if lost in ("index", ".") else b"1")


def test_a_folder_with_other_things_in_it_is_refused_and_left_as_it_is(root: Path) -> None:
    root.mkdir()
    (root / "thesis.tex").write_text("years of work")
    with pytest.raises(StoreError, match=r"not empty and not a cache of mwv; name another folder with --cache"):
        Store.open(root)
    (root / TAG_NAME).write_text(TAG.splitlines()[0] + "\n# a cache of something else\n")
    with pytest.raises(StoreError):
        Store.open(root)
    assert sorted(path.name for path in root.iterdir()) == [TAG_NAME, "thesis.tex"]


def test_a_folder_that_became_foreign_after_it_was_opened_is_refused(root: Path) -> None:
    store = Store.open(root)
    root.mkdir()
    (root / "thesis.tex").write_text("years of work")
    with pytest.raises(StoreError):
        store.put(key(1), b"")
    assert [path.name for path in root.iterdir()] == ["thesis.tex"]


def test_a_file_is_refused(root: Path) -> None:
    root.write_text("not a folder")
    with pytest.raises(StoreError, match="not a folder"):
        Store.open(root)


def test_an_empty_folder_becomes_a_cache_with_the_standard_tag(root: Path) -> None:
    root.mkdir()
    with Store.open(root) as store:
        store.put(key(1), b"")
    # https://bford.info/cachedir/: the file begins with these 43 bytes.
    assert (root / TAG_NAME).read_bytes()[:43] == b"Signature: 8a477f597d28d172789f06886806bc55"
    assert is_ours(root)


def test_many_threads_share_a_store(root: Path) -> None:
    with Store.open(root) as store:

        def work(start: int) -> None:
            for i in range(60):
                number = (start + i) % 60
                if not store.has(key(number)):
                    store.put(key(number), b"%d" % number)
                assert store.get(key(number)) == b"%d" % number

        failures = []

        def guarded(start: int) -> None:
            try:
                work(start)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=guarded, args=(start,)) for start in range(0, 60, 10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def test_two_processes_that_create_one_cache_and_write_the_same_keys(root: Path, spawn: Spawn) -> None:
    program = """
        import random
        order = [i for i in range(120)] * 3
        random.Random(int(args[1])).shuffle(order)
        sys.stdin.readline()
        with Store.open(Path(args[0])) as store:
            for i in order:
                store.put(key(i), b"%d" % i * 9999)
                assert store.has(key(i)) and store.get(key(i)) == b"%d" % i * 9999
            store.remember_many("n", {str(i): b"%d" % i for i in order})
            assert store.warnings == []
    """
    writers = [spawn(program, root, seed) for seed in range(2)]
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        assert writer.wait(60) == 0
    with Store.open(root) as store:
        assert all(store.get(key(i)) == b"%d" % i * 9999 for i in range(120))
        assert all(store.recall("n", str(i)) == b"%d" % i for i in range(120))
    names = {path.name for path in (root / "blobs").rglob("*") if path.is_file()}
    assert names == {key(i) for i in range(120)}
    assert list((root / "running").iterdir()) == []


@pytest.mark.parametrize("option", [None, Path("/o")])
@pytest.mark.parametrize("variable", [None, "", "/v"])
@pytest.mark.parametrize("checkout", [False, True])
@pytest.mark.parametrize("xdg", [None, "/x", "relative"])
def test_which_folder_is_the_cache(tmp_path: Path, option, variable, checkout: bool, xdg) -> None:
    (tmp_path / "cache").mkdir()
    if checkout:
        (tmp_path / "cache" / TAG_NAME).write_text(TAG)
    environ = {"HOME": "/home/reader"}
    environ |= {} if variable is None else {"MWV_CACHE": variable}
    environ |= {} if xdg is None else {"XDG_CACHE_HOME": xdg}
    if option:
        expected = Path("/o")
    elif variable:
        expected = Path("/v")
    elif checkout:
        expected = tmp_path / "cache"
    elif xdg == "/x":
        expected = Path("/x/mwv")
    else:
        expected = Path("/home/reader/.cache/mwv")
    assert cache_root(option, environ, tmp_path) == expected


def test_a_relative_cache_lies_where_the_user_is(tmp_path: Path) -> None:
    assert cache_root(Path("c"), {}, tmp_path) == tmp_path / "c"
    assert cache_root(None, {"MWV_CACHE": "c"}, tmp_path) == tmp_path / "c"
    with pytest.raises(StoreError, match="--cache"):
        cache_root(None, {}, tmp_path)


def test_the_checkouts_cache_is_ours_and_keeps_three_files_only(tmp_path: Path) -> None:
    tracked = Path(__file__).parents[2] / "cache"
    assert (tracked / TAG_NAME).read_text() == TAG
    copy = tmp_path / "checkout" / "cache"
    copy.mkdir(parents=True)
    for name in ("README.md", ".gitignore", TAG_NAME):
        shutil.copy(tracked / name, copy)
    with Store.open(copy) as store:
        store.put(key(1), b"")
        store.remember_many("n", {"a": b"1"})
    git = ["git", "-C", str(copy.parent), "-c", "core.excludesFile="]
    subprocess.run([*git, "init", "-q"], check=True)
    listed = subprocess.run([*git, "status", "--porcelain", "-uall"], check=True, capture_output=True, text=True).stdout
    assert sorted(listed.split()) == ["??", "??", "??", "cache/.gitignore", "cache/CACHEDIR.TAG", "cache/README.md"]


def test_a_disk_that_takes_no_more_bytes_is_one_line_not_a_traceback(root: Path, spare: Path, spawn: Spawn) -> None:
    """A real limit, which holds for root too: the kernel refuses to let a file grow, in the middle of a write."""
    program = """
        import json, resource
        from mwv.errors import StoreError
        store = Store.open(Path(args[0]), Path(args[1]))
        store.put(key(0), b"x" * 1000)
        store.remember_many("n", {"a": b"1"})
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        try:
            store.put(key(1), b"x" * 100_000)
        except StoreError as error:
            said = str(error)
        small = b"y" * 1000
        store.put(key(2), small)
        store.index.remember_many("n", {"a": b"z" * 200_000})
        print(json.dumps([said, store.warnings, store.has(key(1)), store.get(key(0)) == b"x" * 1000,
                          store.get(key(2)) == small, store.recall("n", "a") == b"1"]))
        store.close()
    """
    said, warnings, *flags = json.loads(spawn(program, root, spare).communicate(timeout=60)[0])
    assert flags == [False, True, True, True]
    assert "\n" not in said
    assert str(spare) in said
    assert "File too large" in said
    assert len(warnings) == 1
    assert str(root) in warnings[0]
    assert list(spare.iterdir()) == []
    assert [path.name for path in (root / "blobs").rglob("*") if path.is_file()] == [key(0)]


def test_a_cache_that_cannot_be_created_costs_one_warning(spare: Path) -> None:
    with Store.open(Path("/proc/self/no-such-cache"), spare) as store:  # where nobody, root included, can create a folder
        for i in range(5):
            assert not store.has(key(i))
            store.put_png(key(i), png(i))
            assert store.has(key(i))
            assert store.get(key(i)) == png(i)
            assert store.path(key(i)).read_bytes() == png(i)
            store.remember_many("n", {str(i): b"1"})
            assert store.recall("n", str(i)) is None
        assert len(store.warnings) == 1
        assert len(list(spare.iterdir())) == 1
    assert list(spare.iterdir()) == []


def test_without_a_spare_folder_it_is_an_error() -> None:
    with pytest.raises(StoreError, match="--cache"):
        Store.open(Path("/proc/self/no-such-cache")).put(key(1), b"")


def test_killed_at_random_moments_it_leaves_whole_blobs(root: Path, spawn: Spawn, capsys: pytest.CaptureFixture[str]) -> None:
    seed = int.from_bytes(os.urandom(4), "little")
    print("seed", seed)
    program = """
        import itertools, os, signal
        print("ready", flush=True)
        with Store.open(Path(args[0])) as store:
            for i in itertools.count(int(args[1])):
                store.put(key(i % 50), b"%d" % (i % 50) * 50_000)
    """
    chance = random.Random(seed)
    for turn in range(4):
        writer = spawn(program, root, turn)
        writer.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.1))
        writer.send_signal(signal.SIGKILL)
        writer.wait(10)
    with Store.open(root) as store:
        for i in range(50):
            assert store.get(key(i)) == (b"%d" % i * 50_000 if store.has(key(i)) else None)
