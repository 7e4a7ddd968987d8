"""The program's entry: a group of commands whose modules are loaded when they are needed."""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

from glossi_sync import __version__
from glossi_sync.cli import exits
from glossi_sync.cli.diagnostics import log_as_asked
from glossi_sync.cli.errors import sentences

Where = tuple[str, str]

SECTIONS: Mapping[str, Mapping[str, Where]] = {
    "Every day": {
        "init": ("init", "Write a spec for a folder of models."),
        "validate": ("validate", "Read the spec and the files it names; asks no service."),
        "plan": ("plan", "Show what would change."),
        "apply": ("apply", "Make it so: create, upload, confirm, render, retry what is needed."),
        "status": ("status", "Every address: phase, age, remote id, error."),
        "download": ("download", "Bring finished renders home."),
        "report": ("report", "One HTML page of all products: pictures, errors, what changed."),
    },
    "What was made": {
        "state": ("state", "Read and mend the state, and carry it elsewhere."),
        "unlock": ("unlock", "Show who holds the state, and take the lock away."),
        "history": ("history", "The applies that were, newest first."),
        "rollback": ("rollback", "Bind everything again as an earlier run left it."),
        "import": ("import", "Adopt what was made without glossi-sync, by its ids."),
        "resolve": ("resolve", "Settle a doubt about a render that is held."),
    },
    "The service": {
        "templates": ("templates", "The service's templates."),
        "webhook": ("webhook", "The webhook's secret, its signatures, and a receiver of its deliveries."),
        "studio": ("studio", "The Glossi service itself, on this machine."),
        "doctor": ("doctor", "Say what is wrong with this setup, and what to do."),
    },
    "Automation": {
        "watch": ("watch", "Apply again and again: when files change, time passes, events come."),
        "drift": ("drift", "Ask whether the service still has what was made there."),
        "schema": ("schema", "Print the spec's JSON Schema."),
        "completion": ("completion", "Print the script that completes commands in bash, zsh or fish."),
    },
}
"""The commands by what they are for, as ``--help`` shows them: each with its module and one line about it."""

COMMANDS: Mapping[str, Where] = {name: where for section in SECTIONS.values() for name, where in section.items()}


class LazyGroup(click.Group):
    """A group that knows its commands by name and help, and imports a command's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"glossi_sync.cli.{COMMANDS[cmd_name][0]}_command")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # From the table, so that `--help` imports nothing.
        # One width for all sections, or each would have its texts in a column of its own.
        width = max(map(len, COMMANDS))
        for title, section in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), text) for name, (_, text) in section.items()])

    def make_context(self, *given: Any, **options: Any) -> click.Context:
        with misuse_is_an_error():
            return super().make_context(*given, **options)

    def invoke(self, ctx: click.Context) -> object:
        with sentences(), misuse_is_an_error():
            return super().invoke(ctx)


@contextmanager
def misuse_is_an_error() -> Iterator[None]:
    """A wrong option ends with 1, not with click's 2, which is what a plan with changes and a drift end with."""
    try:
        yield
    except click.UsageError as error:
        error.show()
        raise click.exceptions.Exit(exits.ERROR) from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="glossi-sync")
def main() -> None:
    """Reconcile a catalogue of 3D models, projects and renders with the Glossi rendering service."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="escape as JSON does")
    log_as_asked()


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Spell what an output's encoding lacks as JSON escapes it: right inside of JSON, and readable elsewhere.

    A pipe on Windows has the encoding of a country, and a file's name on Linux need not be text at all.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4)), error.end


codecs.register_error("escape as JSON does", _escape)
