"""A reader and an input in, what the reader did that it may not do out: bounds around one reading at a time.

A reader may succeed or raise MwvError with one line. It may not raise anything else, use more than SECONDS of processor
time, take more than MEMORY, import, execute or start anything, nor open a file but to read, below the input's folder.
"""

import faulthandler
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from mwv.errors import MwvError

SECONDS: Final = 2.0
MEMORY: Final = 512 << 20
WAIT: Final = 30
"""Seconds on the clock after which a reading that uses no processor, such as one of a pipe, ends the process."""
LONGEST_LINE: Final = 10_000

# What may happen beside opening files; everything else that Python's audit hooks see may not.
_HARMLESS: Final = frozenset(("builtins.id", "os.listdir", "os.scandir", "glob.glob", "glob.glob/2", "pathlib.Path.glob"))


class ForbiddenError(BaseException):
    """Stops what must not happen; no `except Exception` of a reader can hide it."""


class TooSlowError(BaseException):
    """Stops a reading that takes too long."""


class Guard:
    """Watches the readings of one process; once made it stays for the life of the process."""

    def __init__(self, folder: Path) -> None:
        """Only files below `folder` may be opened."""
        self._below = f"{folder.resolve()}{os.sep}"
        self._watching = False
        self._seen = ""
        _limit_memory()
        signal.signal(signal.SIGPROF, _too_slow)
        sys.addaudithook(self._audit)

    def fault(self, read: Callable[[], None]) -> str:
        """What was wrong with a reading, in one line; empty if nothing was."""
        self._seen = ""
        # Of the processor, not of the clock: a busy machine makes no reader slow.
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        self._watching = True
        try:
            read()
        except MwvError as error:
            found = next((f"a message of several lines: {line[:200]!r}" for line in error.lines if not _is_one_line(line)), "")
        except (Exception, ForbiddenError, TooSlowError) as error:
            self._watching = False
            found = f"{_described(error)} {_place(error)}"
        else:
            found = ""
        finally:
            self._watching = False
            signal.setitimer(signal.ITIMER_PROF, 0)
        return f"did what it may not: {self._seen}" if self._seen else found

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        allowed = event in _HARMLESS or (event == "open" and self._may_open(*arguments)) or _is_parsing(event, arguments)
        if self._watching and not allowed:
            self._seen = self._seen or f"{event} {str(arguments)[:200]}"
            raise ForbiddenError(event)

    def _may_open(self, path: object, _: object, flags: int) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        return os.fsdecode(path).startswith(self._below) and flags & os.O_ACCMODE == os.O_RDONLY and not flags & os.O_CREAT


class patience:  # noqa: N801
    """Ends the process, with the place where it stood, when what is done within takes too long on the clock."""

    def __enter__(self) -> None:
        faulthandler.dump_traceback_later(WAIT, exit=True)

    def __exit__(self, *_: object) -> None:
        faulthandler.cancel_dump_traceback_later()


def _limit_memory() -> None:
    """What the process holds now, and what it may hold more, are together MEMORY; beyond it raises MemoryError."""
    facts = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    private, resident = (int(facts[name].split()[0]) * 1024 for name in ("VmData", "VmRSS"))
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (private + MEMORY - resident, hard))


def _too_slow(*_: object) -> None:
    raise TooSlowError(f"more than {SECONDS:g} s")


def _is_one_line(text: str) -> bool:
    return len(text) <= LONGEST_LINE and len(text.splitlines()) == 1


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:200]!r}"


def _place(error: BaseException) -> str:
    """The innermost line of mwv's own that the error went through, else the innermost of all."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{os.sep}mwv{os.sep}" in frame.filename and "fuzzing" not in frame.filename]
    frame = (ours or frames)[-1]
    return f"at {'/'.join(Path(frame.filename).parts[-3:])}:{frame.lineno}"


def _is_parsing(event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether text is but taken apart, as ast.literal_eval does; to run it would be an event of its own."""
    return event == "compile" and arguments[1] == "<unknown>"
