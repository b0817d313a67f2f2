"""Plans are carried out on a target of plain dictionaries, cut anywhere: what a visitor sees there is always whole."""

import hashlib
import random
from dataclasses import dataclass, field
from itertools import count

import pytest

from mwv.errors import SiteError
from mwv.site.journal import JOURNAL, decode_journal, encode_journal
from mwv.upload.plan import (
    SITE,
    Limits,
    SiteFile,
    Step,
    UploadPlan,
    is_lasting,
    make_plan,
    steps,
)

Files = dict[str, SiteFile]
FOREIGN = SiteFile(5, "foreign", 9)


def site(rng: random.Random, pool: list[str], version: str) -> Files:
    """Some tiles and data of a pool, whose names carry hashes, and pages that are others in every version."""
    files = {
        name: SiteFile(len(name), "", 0 if name.startswith("tiles/") else 1) for name in rng.sample(pool, rng.randint(0, 12))
    }
    pages = {f"{name}.html": SiteFile(rng.randint(1, 2), version, 2) for name in rng.sample("abcdefgh", rng.randint(1, 6))}
    return files | pages | {SITE: SiteFile(7, version, 3)}


@dataclass
class Place:
    """A target: what is there; `apply` as the protocol has it."""

    files: Files = field(default_factory=lambda: {"README.md": FOREIGN})
    journal: bytes = b""

    def apply(self, step: Step, plan: UploadPlan) -> None:
        self.files |= {path: plan.add[path] for path in step.add}
        for path in step.delete:
            del self.files[path]
        self.journal = self.journal if step.journal is None else step.journal

    def check(self, sites: dict[str, Files]) -> None:
        """Each page that is there finds the tiles and data of its version; and so does the list of all files."""
        for file in self.files.values():
            if file.rank in (2, 3):
                needed = {path: other for path, other in sites[file.mark].items() if other.rank < 2}
                assert needed.items() <= self.files.items(), file

    def plan(self, new: Files, sites: dict[str, Files], atomic: bool) -> UploadPlan:
        old = sites[self.files[SITE].mark] if SITE in self.files else {}
        announced = decode_journal(self.journal) or frozenset()
        doubted = frozenset() if atomic else {path for path in announced if not is_lasting(path)}
        return make_plan(new, old, {path: file.size for path, file in self.files.items()}, announced, doubted)


@pytest.mark.parametrize("atomic", [True, False])
@pytest.mark.parametrize("files", [3, 5, 9, 1000])
def test_cut_anywhere_and_gone_on_with(files: int, atomic: bool):
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    rng, number = random.Random(seed), count()
    pool = [f"{kind}{hashlib.sha256(b'%d' % i).hexdigest()[:32]}.png" for kind in ("tiles/ab/", "m/data-") for i in range(15)]
    limits = Limits(files=files, nbytes=rng.choice([80, 400, 4000]), texts=rng.choice([100, 4000]), atomic=atomic)
    for _ in range(60):
        place, sites = Place(), {}
        for _ in range(6):
            version = f"v{next(number)}"
            sites[version] = site(rng, pool, version)
            plan = place.plan(sites[version], sites, atomic)
            todo = list(steps(plan, limits))
            assert sum(len(step.add) + len(step.delete) + (step.journal is not None) for step in todo) <= len(todo) * files
            assert not todo or todo[0].journal is None or todo[0].journal != place.journal, "says what is said already"
            cut = rng.randint(0, len(todo)) if rng.random() < 0.6 else len(todo)
            for step in todo[:cut]:
                if not atomic and rng.random() < 0.3:  # a batch that came to pass in part, and then as a whole
                    some = tuple(path for path in step.add if path != SITE)[: rng.randint(0, 3)]
                    place.apply(Step(some), plan)
                    place.check(sites)
                place.apply(step, plan)
                place.check(sites)
            if cut == len(todo):
                assert place.files == sites[version] | {"README.md": FOREIGN} and not place.journal
                assert list(steps(place.plan(sites[version], sites, atomic), limits)) == []
        if atomic and files == 1000 and limits.nbytes == limits.texts == 4000:
            assert len(todo) <= 1


def test_one_commit_if_it_fits():
    new = {"tiles/aa/0123456789abcdef.png": SiteFile(10, "", 0), "index.html": SiteFile(3, "x", 2), SITE: SiteFile(4, "y", 3)}
    plan = make_plan(new, {}, {})
    (step,) = steps(plan, Limits(100, 100, 100, atomic=True))
    assert step.add == tuple(new) and step.journal is None
    assert plan.size == 17
    assert [one.add for one in steps(plan, Limits(100, 100, 100, atomic=False))] == [
        (),
        ("tiles/aa/0123456789abcdef.png",),
        ("index.html", SITE),
        (),
    ]


def test_foreign_files_are_neither_replaced_nor_deleted():
    new = {"index.html": SiteFile(3, "x", 2)}
    with pytest.raises(SiteError, match=r"index\.html: is in the way"):
        make_plan(new, {}, {"index.html": 3})
    assert make_plan(new, new, {"index.html": 3, "mine": 1, "tiles/aa/0123456789abcdef.png": 9}).delete == ()


def test_a_journal_names_nothing_that_cannot_be_ours():
    text = encode_journal({"a/b.html"}) + b"../up\n/etc/passwd\n.git/config\n\xff\xfe\n"
    assert decode_journal(text) == {"a/b.html"}
    assert decode_journal(b"something else\na/b.html\n") is None
    assert decode_journal(encode_journal({"a/b.html"}) + b"c/d.ht") == {"a/b.html"}, "a line that was cut is no path"
    assert not is_lasting(JOURNAL)
