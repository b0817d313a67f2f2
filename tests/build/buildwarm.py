"""Imported once by the server that forks the builds of tests: everything is loaded and compiled before."""

import tempfile
from pathlib import Path

from buildkit import run_quietly, write_model

with tempfile.TemporaryDirectory() as folder:
    run_quietly(write_model(Path(folder) / "m.safetensors"), Path(folder) / "site", None)
