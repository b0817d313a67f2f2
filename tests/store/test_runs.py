import threading
from pathlib import Path

from cachekit import Spawn, key

from mwv.store.index import Index
from mwv.store.runs import Watch, record_use, recorded_uses, shut_gate
from mwv.store.store import Store


def test_no_build_gets_an_answer_while_the_gate_is_shut(root: Path) -> None:
    with Store.open(root) as store:
        store.put(key(1), b"")
        answers: list[bool] = []
        asker = threading.Thread(target=lambda: answers.append(store.has(key(2))))
        with shut_gate(root):
            asker.start()
            asker.join(0.2)  # it has to wait however long this is
            assert asker.is_alive()
            assert answers == []
        asker.join(20)
    assert answers == [False]


def test_no_build_registers_while_the_gate_is_shut(root: Path) -> None:
    first, store = Store.open(root), Store.open(root)
    first.put(key(1), b"")
    asker = threading.Thread(target=store.has, args=(key(1),))
    watch = Watch(root)
    with shut_gate(root):
        asker.start()
        asker.join(0.2)
        watch.look()
        assert len(watch.alive) + len(watch.ended) == 1
    asker.join(20)
    with shut_gate(root):
        watch.look()
        assert len(watch.alive) + len(watch.ended) == 2
    first.close()
    store.close()


def test_a_watch_reads_what_was_added_since_it_looked(root: Path) -> None:
    first, second = Store.open(root), Store.open(root)
    watch = Watch(root)
    expected = set()
    for number in range(6):
        (first if number % 2 else second).has(key(number))
        expected.add(key(number))
        with shut_gate(root):
            watch.look()
        assert watch.needed == expected
        assert len(watch.alive) == min(number + 1, 2)
    first.close()
    second.close()
    with shut_gate(root):
        watch.look()
    assert watch.alive == frozenset()
    assert watch.ended == {}


def test_a_key_that_a_killed_build_wrote_half_is_left_out(root: Path, spawn: Spawn) -> None:
    build = spawn("Store.open(Path(args[0])).has(key(1)); print('asked', flush=True); sys.stdin.readline()", root)
    build.stdout.readline()
    build.kill()
    build.wait(10)
    (path,) = (root / "running").iterdir()
    with open(path, "ab") as file:
        file.write(b"half a k")
    watch = Watch(root)
    with shut_gate(root):
        watch.look()
    assert watch.ended == {path: (path.stat().st_mtime_ns, frozenset([key(1)]))}
    assert watch.needed == set()


def test_a_repeated_build_replaces_its_record(tmp_path: Path) -> None:
    index = Index(tmp_path / "index")
    keys = frozenset(map(key, range(5)))
    record_use(index, 10, keys)
    record_use(index, 20, keys)
    record_use(index, 30, frozenset())
    assert list(recorded_uses(index).values()) == [(20, keys)]
    index.close()
