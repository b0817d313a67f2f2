"""What a build learns is remembered on its way, not only at its end."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
import scenes
from safetensors.numpy import save_file

from mwv import memory
from mwv.checkpoint.open import open_checkpoint
from mwv.drawing import draw
from mwv.memory import Memory
from mwv.pyramid.survey import Survey
from mwv.settings import ModelSettings


class DictIndex(dict[tuple[str, str], bytes]):
    def recall(self, namespace: str, key: str) -> bytes | None:
        return self.get((namespace, key))

    def remember_many(self, namespace: str, values: dict[str, bytes]) -> None:
        self.update({(namespace, key): value for key, value in values.items()})


@pytest.mark.parametrize(("every", "at_once"), [(0.0, True), (1e9, False)])
def test_what_was_noted_is_remembered_when_its_time_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: float, at_once: bool
) -> None:
    monkeypatch.setattr(memory, "EVERY", every)
    path = tmp_path / "m.safetensors"
    save_file({"w": np.arange(6000, dtype=np.float32).reshape(200, 30)}, path)
    os.utime(path, (time.time() - 60,) * 2)
    kept = Memory(DictIndex())
    (subject,) = draw(open_checkpoint(path), ModelSettings(path)).subjects
    assert subject is not None
    digests, stats = Survey([subject], scenes.DictBlobs(), 1 << 20).result(0)
    assert kept.digests(subject.tensor) is None
    kept.note(subject, digests, stats)
    assert (kept.digests(subject.tensor) is not None) == at_once
    kept.settle()
    assert kept.digests(subject.tensor) == tuple(digests)
