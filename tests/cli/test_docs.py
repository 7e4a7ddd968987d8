"""Docs that cannot rot: every command and option has help, and what the README shows exists and works."""

from __future__ import annotations

import re
import shlex
from itertools import takewhile
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from help_texts import commands, up_to_date

from glossi_sync.cli import main
from glossi_sync.cli.main import COMMANDS
from glossi_sync.spec import Guard, read_spec

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))}


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


def test_the_help_texts_of_the_documentation_are_the_programs_own() -> None:
    assert up_to_date(PAGES["commands.md"]) == PAGES["commands.md"], "run `make docs`"


def test_a_new_command_gets_a_place_behind_the_one_before_it() -> None:
    before, place, after = re.split(
        r"(^### `glossi-sync validate`.*?<!-- end -->\n)", PAGES["commands.md"], flags=re.S | re.M
    )
    again = up_to_date(before + after)
    assert again.startswith(f"{before.rstrip()}\n\n### `glossi-sync validate`\n\n<!-- help: validate -->\n")
    assert place.partition("<!-- help")[2] in again
    assert again.endswith(after)


def test_a_command_that_is_no_more_is_not_documented() -> None:
    with pytest.raises(ValueError, match="documents 'dance', which is no command any more"):
        up_to_date("<!-- help: dance -->\n<!-- end -->\n")


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_is_described_and_shown_by_an_example(path: tuple[str, ...]) -> None:
    name = " ".join(path)
    [prose, example] = re.findall(
        rf"^##+ `glossi-sync {name}`\n\n([^`#<].*?)\n\n```console\n(.*?)```\n\n<!-- help: {name} -->",
        PAGES["commands.md"],
        re.DOTALL | re.MULTILINE,
    )[0]
    assert "```" not in prose
    assert example.startswith(f"$ glossi-sync {name}")


def shown_commands() -> list[list[str]]:
    """What the pages show for a shell, line by line: after a prompt, or without one in a block of shell code."""
    text = "".join((*PAGES.values(), *(path.read_text(encoding="utf-8") for path in ROOT.glob("examples/*/README.md"))))
    lines = re.findall(r"^\$ (.*)$", "".join(re.findall(r"```console\n(.*?)```", text, re.DOTALL)), re.MULTILINE)
    lines += re.findall(r"^(glossi-sync .*)$", "".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)), re.MULTILINE)
    return [list(takewhile(lambda word: word not in ("|", ">", "<", "&&"), shlex.split(line))) for line in lines]


@pytest.mark.parametrize("words", [words for words in shown_commands() if words[0] == "glossi-sync"], ids=" ".join)
def test_what_the_pages_show_parses(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for word in words:
        if re.fullmatch(r"\w+\.\w+", word):
            (tmp_path / word).touch()  # some commands open their files as they are parsed
    command: click.Command = main
    rest = words[1:]
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), rest[0])
        assert found is not None, words
        command, rest = found, rest[1:]
    command.make_context(command.name, rest)


def test_what_the_pages_mention_has_the_options_that_they_mention() -> None:
    for mentioned in re.findall(r"`glossi-sync ([a-z][^`]*)`", "".join(PAGES.values())):
        command: click.Command = main
        for word in re.split(r"[\s|]+", mentioned):
            if isinstance(command, click.Group) and not word.startswith("-"):
                found = command.get_command(click.Context(command), word)
                assert found is not None, mentioned
                command = found
            elif word.startswith("-"):
                known = {name for option in command.params for name in option.opts} | {"--help"}
                assert word.partition("=")[0] in known, mentioned


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
    for link in re.findall(r"\]\(([^)]+)\)", PAGES[page]):
        file, _, heading = link.partition("#")
        if "://" in file:
            continue
        assert (folder / file).exists(), link
        if heading:
            assert heading in headings(PAGES[Path(file).name if file else page]), link


def headings(text: str) -> set[str]:
    """What links call a page's headings: small letters, no punctuation, hyphens for spaces."""
    bare = (re.sub(r"[^\w\s-]", "", title.lower()) for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE))
    return {title.strip().replace(" ", "-") for title in bare}


def test_the_guard_that_the_pages_show_is_one(tmp_path: Path) -> None:
    [guard] = re.findall(r"```yaml\n(guard: .*?)```", PAGES["when-things-go-wrong.md"], re.DOTALL)
    (tmp_path / "glossi.yaml").write_text(f"version: 1\nworkspace: shop\n{guard}", encoding="utf-8")
    assert read_spec(tmp_path / "glossi.yaml", env={}).guard == Guard(50, 100)
