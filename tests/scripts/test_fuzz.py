"""The corpus of hostile inputs through every reader, and readers that do what none may: each must be found out."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "tests" / "corpus"


def fuzz(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The module behind scripts/fuzz, or a script that uses it."""
    command = [sys.executable, "-B", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT / "scripts", capture_output=True, text=True, timeout=300)


def test_the_whole_corpus_is_read_within_bounds() -> None:
    done = fuzz("-m", "fuzzing", "--inputs", "0")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    read = dict(re.findall(r"^(\w+): ([\d,]+) inputs of the corpus: good$", done.stdout, re.MULTILINE))
    kept = {folder.name: f"{len(list(folder.iterdir())):,}" for folder in CORPUS.iterdir()}
    assert read == kept
    assert len(done.stdout.splitlines()) == len(kept)


def test_inputs_are_small_and_named_by_their_content() -> None:
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    for path in files:
        assert path.name == hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        assert path.stat().st_size <= 16_384
    assert sum(path.stat().st_size for path in files) < 1_000_000


READERS = """
import os, sys
from pathlib import Path
from fuzzing.reading import known
from mwv.errors import FormatError

def several_lines(folder): raise FormatError("a\\nb")
def another_error(folder): {}["a"]
def runs_for_ever(folder):
    while True: pass
def takes_memory(folder): bytearray(1 << 30)
def executes(folder): exec("1")
def runs_a_command(folder): os.system("true")
def imports(folder): import this
def swallows(folder):
    try: import this
    except BaseException: pass
def looks_elsewhere(folder): open("/etc/passwd").close()
def writes(folder): (folder / "x").write_text("x")
def deletes(folder): (folder / "there").unlink()
def connects(folder):
    import socket
    socket.socket()
def succeeds(folder): (folder / "there").read_text()
def refuses(folder): raise FormatError("file: no")

def reader(act):
    def make(folder):
        (folder / "there").touch()
        return lambda data: lambda: act(folder)
    return make

acts = [act for name, act in list(globals().items()) if getattr(act, "__module__", "") == "__main__" and name != "reader"]
known({act.__name__: reader(act) for act in acts}, [act.__name__ for act in acts], Path(sys.argv[1]))
"""

FAULTS = {
    "several_lines": "a message of several lines: 'a\\nb'",
    "another_error": "KeyError: \"'a'\" at",
    "runs_for_ever": "TooSlowError: 'more than 2 s' at",
    "takes_memory": "MemoryError: ",
    "executes": "did what it may not: compile (b'1'",
    "runs_a_command": "did what it may not: os.system ",
    "imports": "did what it may not: import ('this'",
    "swallows": "did what it may not: import ('this'",
    "looks_elsewhere": "did what it may not: open ('/etc/passwd'",
    "writes": "did what it may not: open (",
    "deletes": "did what it may not: os.remove (",
    "connects": "did what it may not: ",
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    corpus = tmp_path_factory.mktemp("corpus")
    for name in (*FAULTS, "succeeds", "refuses"):
        (corpus / name).mkdir()
        (corpus / name / "input").write_bytes(b"x")
    done = fuzz("-c", READERS, corpus)
    assert done.returncode == 0, done.stderr
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert {line[1] for line in lines if line[0] == "reading"} == {path.name for path in corpus.iterdir()}
    return {line[1]: line[3] for line in lines if line[0] == "fault"}


@pytest.mark.parametrize("name", FAULTS)
def test_a_reader_that_does_what_none_may_is_found_out(told: dict[str, str], name: str) -> None:
    assert told[name].startswith(FAULTS[name])


def test_a_reader_that_succeeds_or_refuses_is_good(told: dict[str, str]) -> None:
    assert told.keys() & {"succeeds", "refuses"} == set()


def test_a_process_that_ends_is_a_fault_of_the_input_that_was_read(tmp_path: Path) -> None:
    """Such as a crash, or a wait for something that never comes."""
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "input").write_bytes(b"x")
    script = (
        "import sys; from pathlib import Path; from fuzzing import __main__ as m\n"
        "m.READ = [sys.executable, '-c', 'import os, sys; print(\"reading\\tzoo\\tinput\", flush=True); os.abort()']\n"
        "sys.argv = ['fuzz', 'zoo', '--inputs', '0', '--corpus', sys.argv[1]]; sys.exit(m.main())"
    )
    done = fuzz("-c", script, tmp_path)
    assert done.returncode == 1
    assert re.search(r"^  input: the process ended with -6: ", done.stdout, re.MULTILINE), done.stdout


def test_unknown_readers_are_refused() -> None:
    done = fuzz("-m", "fuzzing", "everything")
    assert done.returncode == 2
    assert "no reader is called everything" in done.stderr
