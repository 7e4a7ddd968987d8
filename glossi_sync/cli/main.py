"""The program's entry: a group of commands whose modules are loaded when they are needed."""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Mapping
from importlib import import_module

import click

from glossi_sync import __version__
from glossi_sync.cli.errors import sentences

Where = tuple[str, str]

COMMANDS: Mapping[str, Where] = {
    "validate": ("validate", "Read the spec and the files it names; asks no service."),
    "plan": ("plan", "Show what would change."),
    "apply": ("apply", "Make it so: create, upload, confirm, render, retry what is needed."),
    "status": ("status", "Every address: phase, age, remote id, error."),
    "templates": ("templates", "The service's templates."),
    "download": ("download", "Bring finished renders home."),
    "resolve": ("resolve", "Settle a doubt about a render that is held."),
    "history": ("history", "The applies that were, newest first."),
    "rollback": ("rollback", "Bind everything again as an earlier run left it."),
    "webhook": ("webhook", "The webhook's secret."),
    "state": ("state", "Read and mend the state."),
    "studio": ("studio", "The Glossi service itself, on this machine."),
    "schema": ("schema", "Print the spec's JSON Schema."),
}


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
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        with sentences():
            return super().invoke(ctx)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="glossi-sync")
def main() -> None:
    """Reconcile a catalogue of 3D models, projects and renders with the Glossi rendering service."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="escape as JSON does")


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Spell what an output's encoding lacks as JSON escapes it: right inside of JSON, and readable elsewhere.

    A pipe on Windows has the encoding of a country, and a file's name on Linux need not be text at all.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4)), error.end


codecs.register_error("escape as JSON does", _escape)
