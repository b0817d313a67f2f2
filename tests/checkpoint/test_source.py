"""Local files as sources: exact reads, and files that change under them."""

import os
from pathlib import Path

import pytest

from mwv.checkpoint.source import FileSource
from mwv.errors import SourceChangedError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    return path


def test_reads_are_exact(path: Path) -> None:
    source = FileSource(path)
    assert (source.name, source.size) == ("file", 10)
    assert [source.read(0, 10), source.read(3, 4), source.read(10, 0)] == [b"0123456789", b"3456", b""]


def test_a_file_cut_short_is_an_error_and_no_short_read(path: Path) -> None:
    source = FileSource(path)
    os.truncate(path, 5)
    with pytest.raises(SourceChangedError, match="file: ends at byte 5, it was cut short"):
        source.read(3, 4)
    with pytest.raises(SourceChangedError, match="changed"):
        source.check_unchanged()


def test_an_unchanged_file_is_found_unchanged(path: Path) -> None:
    FileSource(path).check_unchanged()


def test_a_file_replaced_is_noticed_and_not_mixed(path: Path) -> None:
    source = FileSource(path)
    other = path.with_name("other")
    other.write_bytes(b"abcdefghij")
    other.replace(path)
    assert source.read(0, 10) == b"0123456789"
    with pytest.raises(SourceChangedError):
        source.check_unchanged()


def test_a_file_taken_away_is_noticed(path: Path) -> None:
    source = FileSource(path)
    path.unlink()
    with pytest.raises(SourceChangedError):
        source.check_unchanged()


def test_descriptors_are_given_back(path: Path) -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = count()
    source, forgotten = FileSource(path), FileSource(path)
    assert count() == before + 2
    source.close()
    source.close()
    del forgotten
    assert count() == before


def test_identities_follow_links_and_can_be_written(path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to(path)
    assert FileSource(link).identity == FileSource(path).identity
    odd = path.rename(path.with_name("\udcff\n"))
    source = FileSource(odd)
    assert source.name == "\\udcff\\n"
    assert source.identity.path.encode().endswith(b"/\\xff\n")
