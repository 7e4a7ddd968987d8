"""The options that commands share; each that CI sets has an environment variable (contract, "Commands")."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


_VARIABLES = "glossi_sync.cli.variables"


def spec_option(command: Command) -> Command:
    """``-f/--file SPEC``, given to the command as ``spec_path``; and what a spec is read with (``given_variables``)."""
    assignments = click.option(
        "--var",
        "assignments",
        multiple=True,
        metavar="NAME=VALUE",
        expose_value=False,
        callback=_keep,
        help="What ${var:NAME} in the spec stands for. May be repeated.",
    )
    files = click.option(
        "--var-file",
        "files",
        multiple=True,
        metavar="FILE",
        type=click.Path(path_type=Path),
        expose_value=False,
        callback=_keep,
        envvar="GLOSSI_VAR_FILE",
        show_envvar=True,
        help="The same for many: a YAML or JSON file of names and values; --var goes before it. May be repeated.",
    )
    spec = click.option(
        "-f",
        "--file",
        "spec_path",
        type=click.Path(path_type=Path),
        default=Path("glossi.yaml"),
        show_default=True,
        envvar="GLOSSI_SPEC",
        show_envvar=True,
        help="The spec: a YAML file, or a folder of them.",
    )
    return spec(assignments(files(command)))


def given_variables() -> tuple[tuple[str, ...], tuple[Path, ...]]:
    """What the running command was given as ``--var`` and ``--var-file``.

    They travel in click's context, since they concern nothing but the reading of the spec, which every command does.
    """
    context = click.get_current_context(silent=True)
    given = {} if context is None else context.meta.get(_VARIABLES, {})
    return given.get("assignments", ()), given.get("files", ())


def _keep(context: click.Context, parameter: click.Parameter, value: tuple[Any, ...]) -> None:
    context.meta.setdefault(_VARIABLES, {})[parameter.name] = value


def service_options(command: Command) -> Command:
    """``--endpoint`` and ``--state``."""
    endpoint = click.option(
        "--endpoint",
        envvar="GLOSSI_ENDPOINT",
        show_envvar=True,
        metavar="URL",
        help="The service, in place of the spec's: `local`, or a URL such as https://api.glossi.app/api/v1.",
    )
    state = click.option(
        "--state",
        "state_location",
        envvar="GLOSSI_STATE",
        show_envvar=True,
        metavar="PATH",
        help="The state, in place of state/WORKSPACE@SERVICE.db beside the spec.",
    )
    return endpoint(state(command))


def format_option(*formats: str) -> Callable[[Command], Command]:
    """``--format``, with the formats that the command has; the first is the default."""
    return click.option(
        "--format", "form", type=click.Choice(formats), default=formats[0], show_default=True, help="How to print it."
    )


def output_options(command: Command) -> Command:
    """``--no-color`` and ``-v``."""
    colour = click.option("--no-color", is_flag=True, help="No colours (NO_COLOR in the environment does the same).")
    verbose = click.option("-v", "--verbose", is_flag=True, help="More: every change, and each call on stderr.")
    return colour(verbose(command))


def retry_failed_option(command: Command) -> Command:
    """``--retry-failed``."""
    return click.option("--retry-failed", is_flag=True, help="Try again what has failed for good.")(command)


def in_doubt_option(command: Command) -> Command:
    """``--in-doubt``, given to the command as ``in_doubt``."""
    return click.option(
        "--in-doubt",
        type=click.Choice(["hold", "again"]),
        default="hold",
        show_default=True,
        help="Renders that an earlier apply may have started: hold them for `resolve`, or start them again.",
    )(command)


def refresh_option(command: Command) -> Command:
    """``--refresh``."""
    return click.option(
        "--refresh",
        type=click.Choice(["none", "live", "full"]),
        default="live",
        show_default=True,
        help="What to ask the service: nothing, what can still change or be lost, or finished renders too.",
    )(command)
