"""The scripts: sound, quick when ready, clear when something is missing; vendored files as they were released."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted([*(path for path in (ROOT / "scripts").iterdir() if path.is_file()), ROOT / ".ci" / "run"])
VENDOR = ROOT / "site_templates" / "vendor"


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command with nothing but the environment given."""
    return subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_every_script_can_be_run(script: Path) -> None:
    source = script.read_text()
    if script.suffix == ".sh":
        assert "Sourced" in source.splitlines()[0]
    else:
        assert os.access(script, os.X_OK)
        assert source.startswith("#!/usr/bin/env ")
    if "python" in source.splitlines()[0]:
        compile(source, script, "exec")
    else:
        assert run("bash", "-n", script, PATH=os.environ["PATH"]).returncode == 0


def test_vendored_files_are_the_released_ones() -> None:
    libraries = json.loads((VENDOR / "vendor.json").read_text())["libraries"]
    expected = {path: facts["sha256"] for library in libraries for path, facts in library["files"].items()}
    files = [path for path in VENDOR.rglob("*") if path.is_file() and path.parent != VENDOR]
    actual = {path.relative_to(VENDOR).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert actual == expected
    for library in libraries:
        assert library["version"] and library["licence"]
        assert f"{library['name']}/LICENSE" in library["files"]


def npm(folder: Path, archive_of: Path) -> Path:
    """A stand-in for npm that packs a folder whatever it is asked for."""
    program = folder / "npm"
    program.write_text(f'#!/bin/sh\nfor last; do :; done\ntar -czf "$last/release.tgz" -C {archive_of} package\n')
    program.chmod(0o755)
    return folder


def test_vendor_refuses_a_release_that_differs(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "vendor", tmp_path / "scripts" / "vendor")
    vendor = tmp_path / "site_templates" / "vendor"
    vendor.mkdir(parents=True)
    content = b"released"
    (tmp_path / "release" / "package" / "dist").mkdir(parents=True)
    released = tmp_path / "release" / "package" / "dist" / "x.js"
    released.write_bytes(content)
    facts = {"x/x.js": {"from": "dist/x.js", "sha256": hashlib.sha256(content).hexdigest()}}
    manifest = {"libraries": [{"name": "x", "version": "1.0.0", "licence": "MIT", "files": facts}]}
    (vendor / "vendor.json").write_text(json.dumps(manifest))
    (tmp_path / "bin").mkdir()
    path = f"{npm(tmp_path / 'bin', tmp_path / 'release')}:{os.environ['PATH']}"

    def refresh(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run(sys.executable, tmp_path / "scripts" / "vendor", *arguments, PATH=path)

    assert refresh().returncode == 0
    assert (vendor / "x" / "x.js").read_bytes() == content
    released.write_bytes(b"tampered")
    refused = refresh()
    assert refused.returncode == 1
    assert "x/x.js: sha256 is" in refused.stderr
    assert (vendor / "x" / "x.js").read_bytes() == content
    assert refresh("--update").returncode == 0
    assert refresh().returncode == 0
    assert (vendor / "x" / "x.js").read_bytes() == b"tampered"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose environment is ready, with a stand-in for mwv that says where it was started and with what."""
    folder = tmp_path / "check out"
    (folder / "scripts").mkdir(parents=True)
    for name in ("mwv", "environment.sh"):
        shutil.copy(ROOT / "scripts" / name, folder / "scripts" / name)
    shutil.copy(ROOT / "pyproject.toml", folder)
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to(sys.executable)
    (programs / "mwv").write_text('#!/bin/sh\necho "ran in $PWD with $*"\n')
    (programs / "mwv").chmod(0o755)
    (folder / ".venv" / "ready").write_text(f"{folder}\n{(folder / 'pyproject.toml').read_text()}")
    return folder


def only(folder: Path, *names: str) -> str:
    """A PATH on which there is nothing but the programs named, and a Python that has no module to make environments."""
    folder.mkdir()
    for name in names:
        (folder / name).symlink_to(shutil.which(name) or pytest.fail(f"no {name} here"))
    return str(folder)


TOOLS = ("bash", "cat", "dirname", "grep", "head", "readlink", "tail", "tee")


def test_a_ready_environment_starts_at_once(checkout: Path, tmp_path: Path) -> None:
    """No Python, no pip and no checksum program is needed: none of them is on the PATH. The user's folder is kept."""
    path = only(tmp_path / "bin", "bash", "readlink", "dirname")
    (tmp_path / "link").symlink_to(checkout / "scripts" / "mwv")
    for script in (checkout / "scripts" / "mwv", tmp_path / "link"):
        started = subprocess.run(
            ["bash", script, "build", "a b"], cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True, timeout=60
        )
        assert (started.returncode, started.stderr) == (0, "")
        assert started.stdout == f"ran in {tmp_path} with build a b\n"


def test_other_dependencies_or_another_place_make_it_anew(checkout: Path, tmp_path: Path) -> None:
    path = only(tmp_path / "bin", *TOOLS)
    (checkout / "pyproject.toml").write_text("[project]\n")
    changed = run("bash", checkout / "scripts" / "mwv", PATH=path)
    assert (changed.returncode, changed.stdout) == (1, "")
    shutil.copy(ROOT / "pyproject.toml", checkout)
    moved = checkout.rename(tmp_path / "moved")
    assert run("bash", moved / "scripts" / "mwv", PATH=path).returncode == 1


def test_without_python_it_says_what_to_install(checkout: Path, tmp_path: Path) -> None:
    shutil.rmtree(checkout / ".venv")
    answer = run("bash", checkout / "scripts" / "mwv", PATH=only(tmp_path / "bin", *TOOLS))
    assert answer.returncode == 1
    assert answer.stderr == (
        "mwv: Python 3.11 or newer with its venv module is needed (Debian: sudo apt-get install python3 python3-venv)\n"
    )


def test_without_ensurepip_it_says_what_to_install(checkout: Path, tmp_path: Path) -> None:
    """A plain Debian: Python is there, the module that makes environments is not, and this user may not install it."""
    shutil.rmtree(checkout / ".venv")
    path = only(tmp_path / "bin", *TOOLS)
    python = tmp_path / "bin" / "python3"
    python.write_text(f'#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    answer = run("bash", checkout / "scripts" / "mwv", PATH=path)
    assert answer.returncode == 1
    assert (
        answer.stderr
        == "mwv: this Python cannot make environments: install its venv module (Debian: sudo apt-get install python3-venv)\n"
    )


def test_root_on_debian_gets_what_is_missing(checkout: Path, tmp_path: Path) -> None:
    """With apt-get at hand (a stand-in here, which brings the module), nobody has to install anything."""
    shutil.rmtree(checkout / ".venv")
    path = only(tmp_path / "bin", *TOOLS, "rm", "touch", "env")
    python = tmp_path / "bin" / "python3"
    python.write_text(
        f'#!/bin/sh\ncase "$2" in *ensurepip*) [ -f {tmp_path}/installed ] && echo "$0"; exit;; venv) exit 1;; esac\n'
        f'exec {sys.executable} "$@"\n'
    )
    apt = tmp_path / "bin" / "apt-get"
    apt.write_text(f'#!/bin/sh\n[ "$1" = install ] && touch {tmp_path}/installed\necho "$@" >>{tmp_path}/asked\n')
    sudo = tmp_path / "bin" / "sudo"
    sudo.write_text('#!/bin/sh\n[ "$1" = -n ] && shift\nexec "$@"\n')
    for program in (python, apt, sudo):
        program.chmod(0o755)
    (tmp_path / "bin" / "true").symlink_to(shutil.which("true") or "")
    answer = run("bash", checkout / "scripts" / "mwv", PATH=path, TMPDIR=str(tmp_path))
    assert "mwv: installing python3 python3-venv with apt-get" in answer.stderr
    assert answer.stderr.endswith(f"mwv: {python} could not make {checkout}/.venv\n")
    assert (tmp_path / "asked").read_text() == "update\ninstall -y --no-install-recommends python3 python3-venv\n"
