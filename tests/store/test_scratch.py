from pathlib import Path

import pytest
from cachekit import Spawn

from mwv.store.scratch import Scratch, sweep

HOLD = """
import sys
from pathlib import Path
from mwv.store.scratch import Scratch
scratch = Scratch(Path(sys.argv[1]))
(scratch.folder / "tile").write_bytes(b"x")
print(scratch.folder, flush=True)
sys.stdin.read()
"""


def test_it_is_empty_and_goes_with_all_that_was_put_in(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    assert list(scratch.folder.iterdir()) == []
    (scratch.folder / "a").mkdir()
    (scratch.folder / "a" / "b").write_bytes(b"x")
    scratch.close()
    assert list(tmp_path.iterdir()) == []


def test_what_a_living_build_holds_stays_and_what_a_killed_one_left_goes(tmp_path: Path, spawn: Spawn) -> None:
    other = spawn(HOLD, tmp_path)
    assert other.stdout is not None
    folder = Path(other.stdout.readline().strip())
    sweep(tmp_path)
    assert (folder / "tile").read_bytes() == b"x"
    other.kill()
    other.wait()
    assert (folder / "tile").exists()
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("held", [None, b"", b"something else", "folder", "link"])
def test_folders_of_others_stay(tmp_path: Path, held: bytes | str | None) -> None:
    """Of the same name, even with a file of the same name."""
    folder = tmp_path / ".mwv-abcdefgh"
    folder.mkdir()
    (folder / "precious").write_bytes(b"x")
    ours = Scratch(tmp_path)
    if isinstance(held, bytes):
        (folder / "held").write_bytes(held)
    elif held == "folder":
        (folder / "held").mkdir()
    elif held == "link":
        (folder / "held").symlink_to(next(tmp_path.glob(".mwv-*/held")))
    sweep(tmp_path)
    assert (folder / "precious").read_bytes() == b"x"
    ours.close()


def test_a_link_to_a_folder_is_not_followed(tmp_path: Path, spawn: Spawn) -> None:
    elsewhere, place = tmp_path / "elsewhere", tmp_path / "place"
    elsewhere.mkdir()
    place.mkdir()
    other = spawn(HOLD, elsewhere)
    assert other.stdout is not None
    folder = Path(other.stdout.readline().strip()).parent
    other.kill()
    other.wait()
    (place / ".mwv-abcdefgh").symlink_to(folder)
    sweep(place)
    assert (folder / "cache" / "tile").exists()


def test_a_place_that_is_gone_is_no_error(tmp_path: Path) -> None:
    sweep(tmp_path / "none")
