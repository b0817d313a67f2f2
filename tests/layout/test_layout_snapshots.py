import pytest
from layout_families import FAMILIES
from layout_text import SNAPSHOTS, family_text


@pytest.mark.parametrize("family", FAMILIES)
def test_layout_of_a_family(family: str) -> None:
    """After a change that is meant: `PYTHONPATH=tests/families python tests/layout/layout_text.py`, and read the difference."""
    assert family_text(family) == (SNAPSHOTS / f"{family}.txt").read_text(encoding="utf-8")


def test_no_snapshot_without_a_family() -> None:
    assert {path.stem for path in SNAPSHOTS.glob("*.txt")} == set(FAMILIES)
