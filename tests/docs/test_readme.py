"""README.md and ARCHITECTURE.md: the flags, commands, links and folders that they name are the ones that exist, all of them."""

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mwv.cli import cli

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
ELSEWHERE = {"pip", "python3", "ls"}
"""Programs in examples that are not ours."""


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """A command and all below it, by the words that call them."""
    yield name, command
    if isinstance(command, click.Group):
        for word, below in command.commands.items():
            yield from commands(below, f"{name} {word}")


COMMANDS = {name: command for name, command in commands(cli, "mwv") if command is not cli}


def section(command: str) -> str:
    """The part of the README under a command's heading."""
    found = re.search(rf"^### `{command}(?: [^a-z`][^`]*)?`$(.*?)(?=^##)", README, re.MULTILINE | re.DOTALL)
    assert found, f"README.md has no section on {command}"
    return found[1]


def code_lines() -> list[str]:
    """The command lines in the README's shell blocks, cut at pipes."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return [part.strip() for block in blocks for line in block.splitlines() for part in line.split(" | ")]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_of_a_command_has_its_flags_and_no_others(name: str) -> None:
    cells = re.findall(r"^\| (`-.*?`) \|", section(name), re.MULTILINE)
    written = {flag for cell in cells for flag in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", cell)}
    options = [parameter for parameter in COMMANDS[name].params if isinstance(parameter, click.Option)]
    assert written == {flag for option in options for flag in (*option.opts, *option.secondary_opts)}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_of_a_command_has_its_choices_and_defaults(name: str) -> None:
    rows = [row for row in section(name).splitlines() if row.startswith("| `-")]
    for option in COMMANDS[name].params:
        if not isinstance(option, click.Option):
            continue
        row = next(row.replace("\\|", "|") for row in rows if f"`{option.opts[-1]}" in row)
        if isinstance(option.type, click.Choice):
            assert "|".join(option.type.choices) in row
        if option.show_default:
            assert str(option.default) in row.partition(option.opts[-1])[2]


def test_general_flags_are_named() -> None:
    assert {"`mwv --version`", "`mwv --help`", "`-h`"} <= set(re.findall(r"`[^`\n]*`", README))


@pytest.mark.parametrize("line", code_lines())
def test_command_lines_are_understood(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(line, comments=True)
    if words[0].startswith("scripts/"):
        assert os.access(ROOT / words[0], os.X_OK)
        if words[0] == "scripts/bench":
            monkeypatch.syspath_prepend(str(ROOT / "scripts"))
            from benchmarks.__main__ import arguments

            arguments(words[1:])
    elif words[0] != "mwv":
        assert words[0] in ELSEWHERE
    if words[0] in ("mwv", "scripts/mwv"):
        understand(cli, words[1:])


def understand(command: click.Command, words: list[str], parent: click.Context | None = None) -> None:
    """Parse a command line as click does, without running it; raises UsageError."""
    with command.make_context(command.name, list(words), parent=parent) as context:
        if isinstance(command, click.Group):
            _, below, rest = command.resolve_command(context, [*context._protected_args, *context.args])
            assert below is not None
            understand(below, rest, context)


def test_one_command_and_one_picture_come_first() -> None:
    assert code_lines()[0] == "scripts/mwv build --demo --serve"
    first = re.search(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert first and first.start() < README.index("```")
    assert 10_000 < (ROOT / first[1]).stat().st_size <= 400_000


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", "CHANGES.md", "FORMAT.md"])
def test_links_lead_to_files_and_headings(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    headings = {re.sub(r"[^\w -]", "", line).strip().lower().replace(" ", "-") for line in re.findall(r"^#+ (.*)$", text, re.M)}
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert target[1:] in headings if target.startswith("#") else (ROOT / target).is_file(), target


def test_libraries_are_the_ones_we_depend_on() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^dependencies = \[(.*?)^\]", project, re.MULTILINE | re.DOTALL)
    assert block
    needed = set(re.findall(r'"([\w-]+)', block[1]))
    table = README.partition("## Libraries")[2].partition("\n## ")[0]
    assert needed <= {cell.strip() for cell in re.findall(r"^\| ([\w-]+) \|", table, re.MULTILINE)}


def named_in_architecture() -> set[str]:
    """Paths of ours in backticks."""
    return set(re.findall(r"`((?:mwv|scripts|tests|docs|site_templates)/[\w./-]*)`", ARCHITECTURE))


def test_all_that_architecture_names_exists() -> None:
    missing = [path for path in named_in_architecture() if not (ROOT / path).exists()]
    assert not missing


def test_architecture_names_every_module_and_folder_of_the_package() -> None:
    folders = {f"mwv/{path.parent.name}/" for path in (ROOT / "mwv").glob("*/__init__.py")}
    modules = {f"mwv/{path.name}" for path in (ROOT / "mwv").glob("*.py") if path.name != "__init__.py"}
    assert folders and modules
    assert folders | modules <= named_in_architecture()


def test_architecture_states_the_import_rule_that_is_checked() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^layers = \[(.*?)^\]", project, re.MULTILINE | re.DOTALL)
    assert block
    layers = " > ".join(re.findall(r'"([^"]+)"', block[1])).replace("mwv.", "")
    stated = re.search(r"`(cli >[^`]*)`", ARCHITECTURE)
    assert stated and re.sub(r"\s+", " ", stated[1]) == layers


def test_the_table_of_naming_families_has_all_that_are_tested() -> None:
    table = README[README.index("| naming family |") : README.index("Not yet:")]
    cells = [row.split("|")[2] for row in table.splitlines() if row.startswith("|")][2:]
    found = [family for cell in cells for family in re.findall(r"`(\w+)`", cell)]
    assert sorted(found) == sorted(path.stem for path in (ROOT / "tests" / "layout" / "snapshots").glob("*.txt"))


def test_every_format_and_packing_names_tests_that_are_there() -> None:
    read = README[README.index("## What is read") : README.index("Layers, experts and parts")]
    folder, proven = "", []
    for row in re.findall(r"^\|.*\|$", read, re.MULTILINE):
        cells = row.strip("|").split("|")
        if head := re.search(r"proved by `tests/(.*)`", cells[-1]):
            folder = head[1]
        elif not set(row) <= set("|-") and "see below" not in row:
            proven.append(re.findall(r"`(test_\w+\.py|\w+/test_\w+\.py)`", cells[-1]))
            assert proven[-1], row
            assert all((ROOT / "tests" / folder / name).is_file() for name in proven[-1]), row
    assert len(proven) > 20
