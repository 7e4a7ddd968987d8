"""Docs that cannot rot: every command and option has help, and what the README shows exists and works."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from glossi_sync.cli import main
from glossi_sync.cli.main import COMMANDS
from glossi_sync.spec import Guard, read_spec

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))}


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


ALL = dict(commands(main))


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_and_each_of_its_options_has_help(path: tuple[str, ...]) -> None:
    command = ALL[path]
    assert command.help
    assert all(option.help for option in command.params if isinstance(option, click.Option))
    shown = CliRunner().invoke(main, [*path, "--help"])
    assert shown.exit_code == 0
    assert shown.output.startswith("Usage: ")


def test_the_list_of_commands_tells_what_their_own_help_tells() -> None:
    listed = CliRunner().invoke(main, ["--help"]).output
    assert all(f"\n  {name} " in listed for name in COMMANDS)


@pytest.mark.parametrize("path", [path for path, command in ALL.items() if not isinstance(command, click.Group)])
def test_every_command_is_in_the_readme(path: tuple[str, ...]) -> None:
    assert " ".join(path) in README


def shown_commands() -> list[list[str]]:
    blocks = re.findall(r"```console\n(.*?)```", "".join(PAGES.values()), re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [shlex.split(line) for line in lines]


@pytest.mark.parametrize("words", [words for words in shown_commands() if words[0] == "glossi-sync"], ids=" ".join)
def test_what_the_pages_show_parses(words: list[str]) -> None:
    command: click.Command = main
    rest = words[1:]
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), rest[0])
        assert found is not None, words
        command, rest = found, rest[1:]
    command.make_context(command.name, rest)


@pytest.mark.parametrize("words", [words for words in shown_commands() if words[0] == "make"], ids=" ".join)
def test_the_readmes_make_targets_exist(words: list[str]) -> None:
    assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_readmes_spec_is_a_good_spec(tmp_path: Path) -> None:
    [spec] = [block for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL) if "version: 1" in block]
    (tmp_path / "glossi.yaml").write_text(spec, encoding="utf-8")
    read = read_spec(tmp_path / "glossi.yaml", env={}, files=False)
    assert sorted(read.models) == ["ash-chair", "lamp", "oak-chair"]


def test_the_readmes_mistake_is_reported_as_the_readme_says(tmp_path: Path) -> None:
    [spec] = [block for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL) if "version: 1" in block]
    (tmp_path / "glossi.yaml").write_text(spec.replace("template: studio, renders", "template: studoi, renders"))
    result = CliRunner().invoke(main, ["validate", "-f", str(tmp_path / "glossi.yaml")])
    [shown] = re.findall(r"```text\n(glossi\.yaml:.*?)```", README, re.DOTALL)
    place, _, message = shown.strip().partition(": ")
    assert result.exit_code == 1
    assert any(
        line.endswith(message) and place.removeprefix("glossi.yaml") in line for line in result.output.splitlines()
    ), result.output


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_links_to_is_there(page: str) -> None:
    folder = ROOT if page == "README.md" else ROOT / "docs"
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", PAGES[page]) if "://" not in link]
    assert [link for link in links if not (folder / link).exists()] == []


def test_the_guard_that_the_pages_show_is_one(tmp_path: Path) -> None:
    [guard] = re.findall(r"```yaml\n(guard: .*?)```", PAGES["when-things-go-wrong.md"], re.DOTALL)
    (tmp_path / "glossi.yaml").write_text(f"version: 1\nworkspace: shop\n{guard}", encoding="utf-8")
    assert read_spec(tmp_path / "glossi.yaml", env={}).guard == Guard(50, 100)
