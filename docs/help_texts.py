"""Brings the help texts in commands.md up to date with the program: ``make docs``.

A help text stands between ``<!-- help: state list -->`` and ``<!-- end -->``; all around it is written by hand. A
command that has no such place yet gets a heading and one, behind the command before it: write there what it is for, and
an example.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from click.testing import CliRunner

from glossi_sync.cli import main

PAGE = Path(__file__).with_name("commands.md")
_PLACE = "<!-- help: {name} -->\n{text}<!-- end -->\n"
_NAMED = re.compile(r"<!-- help: ([a-z -]+) -->\n")


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command by the words that call it, in the order of ``--help``."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def up_to_date(page: str) -> str:
    """The page with the help text of every command. Raises ValueError for a place of a command that is no more."""
    known = {" ".join(path): len(path) for path, _ in commands(main)}
    if gone := [name for name in _NAMED.findall(page) if name not in known]:
        raise ValueError(f"{PAGE.name} documents {gone[0]!r}, which is no command any more: take it out")
    end = len(page)
    for name, depth in known.items():
        found = re.search(rf"<!-- help: {name} -->\n.*?<!-- end -->\n", page, re.DOTALL)
        place = _PLACE.format(name=name, text=_help(name))
        if found is None:
            heading = f"\n{'#' * (depth + 2)} `glossi-sync {name}`\n\n"
            page = page[:end] + heading + place + page[end:]
            end += len(heading) + len(place)
        else:
            page = page[: found.start()] + place + page[found.end() :]
            end = found.start() + len(place)
    return page


def _help(name: str) -> str:
    shown = CliRunner().invoke(main, [*name.split(), "--help"], prog_name="glossi-sync")
    return f"```text\n{shown.output}```\n"


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    new = up_to_date(text)
    PAGE.write_text(new, encoding="utf-8")
    sys.stdout.write(f"{PAGE.name}: {'brought up to date' if new != text else 'up to date'}\n")
