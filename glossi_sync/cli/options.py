"""The options that commands share; each that CI sets has an environment variable (contract, "Commands")."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from glossi_sync.cli.completing import bound_addresses
from glossi_sync.cli.diagnostics import FORMATS, VARIABLE, log_as

if TYPE_CHECKING:
    from glossi_sync.resources import Shard

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
        metavar="PLACE",
        help="The state, in place of state/WORKSPACE@SERVICE.db beside the spec: a file, or a URL such as "
        "postgresql://user@host/database or s3://bucket/name.",
    )
    return endpoint(state(command))


def format_option(*formats: str) -> Callable[[Command], Command]:
    """``--format``, with the formats that the command has; the first is the default."""
    return click.option(
        "--format", "form", type=click.Choice(formats), default=formats[0], show_default=True, help="How to print it."
    )


def output_options(command: Command) -> Command:
    """``--no-color``, ``-v`` and ``--log-format``, which takes effect when it is read."""
    log = click.option(
        "--log-format",
        type=click.Choice(FORMATS),
        default="text",
        show_default=True,
        envvar=VARIABLE,
        show_envvar=True,
        is_eager=True,
        expose_value=False,
        callback=lambda _context, _option, form: log_as(form),
        help="How progress and diagnostics are written to stderr.",
    )
    colour = click.option("--no-color", is_flag=True, help="No colours (NO_COLOR in the environment does the same).")
    verbose = click.option("-v", "--verbose", is_flag=True, help="More: every change, and each call on stderr.")
    return colour(verbose(log(command)))


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


def preview_options(command: Command) -> Command:
    """``--preview DIR``, and what belongs to it."""
    folder = click.option(
        "--preview",
        metavar="DIR",
        type=click.Path(path_type=Path, file_okay=False),
        help="Render what would change into DIR: small, on this machine, with nothing asked of the service.",
    )
    limit = click.option(
        "--preview-limit",
        type=click.IntRange(1),
        default=20,
        show_default=True,
        help="Render so many projects at most.",
    )
    templates = click.option(
        "--preview-templates",
        metavar="DIR",
        type=click.Path(path_type=Path, file_okay=False),
        help="Template files for templates of the service that the local studio does not have.",
    )
    url = click.option(
        "--preview-url",
        metavar="URL",
        help="Where a reader of the plan finds DIR, for links; without it they are relative.",
    )
    return folder(limit(templates(url(command))))


_PLANNING = {
    "targets": "--target",
    "anew": "--replace",
    "shard": "--shard",
    "retry_failed": "--retry-failed",
    "in_doubt": "--in-doubt",
    "refresh": "--refresh",
    "allow_large_change": "--allow-large-change",
}


def planning_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What a plan looks at, and may do; given to the command together, as ``options`` (planning's ``Options``)."""

    @wraps(command)
    def together(
        *,
        targets: tuple[str, ...],
        anew: tuple[str, ...],
        shard: str | None,
        retry_failed: bool,
        in_doubt: str,
        refresh: str,
        allow_large_change: bool,
        **others: Any,
    ) -> Any:
        from glossi_sync.planning import Refresh, Scope  # noqa: PLC0415
        from glossi_sync.planning.reviewed import Options  # noqa: PLC0415

        scope = Scope(targets, anew, None if shard is None else _shard(shard))
        options = Options(scope, Refresh(refresh), retry_failed, in_doubt, allow_large_change)
        return command(options=options, **others)

    target = click.option(
        "--target",
        "targets",
        multiple=True,
        metavar="ADDRESS",
        shell_complete=bound_addresses,
        help="Only this address, with what it is made from; * is anything: 'render.lamp*/web'. May be repeated.",
    )
    replace = click.option(
        "--replace",
        "anew",
        multiple=True,
        metavar="ADDRESS",
        shell_complete=bound_addresses,
        help="Make this address anew although nothing has changed, and what is made from it. May be repeated.",
    )
    shard = click.option(
        "--shard",
        metavar="INDEX/COUNT",
        help="Only one of several equal parts of it all, such as 3/16, so that as many runners can share the work.",
    )
    large = click.option(
        "--allow-large-change", is_flag=True, help="Go ahead although much is replaced or forgotten (guard)."
    )
    rest = retry_failed_option(in_doubt_option(refresh_option(large(together))))
    return target(replace(shard(rest)))


def chosen_planning_options() -> list[str]:
    """Those of ``planning_options`` that were given to the running command."""
    return [option for name, option in _PLANNING.items() if given(name)]


def given(name: str) -> bool:
    """Whether a parameter of the running command was given, on its line or in the environment."""
    source = click.get_current_context().get_parameter_source(name)
    return source in (click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.ENVIRONMENT)


def parallelism_option(command: Command) -> Command:
    """``--parallelism``."""
    return click.option(
        "--parallelism",
        type=click.IntRange(1, 1024),
        metavar="N",
        help="The most calls that are under way at a time, and the most uploads and downloads. [default: 64]",
    )(command)


def _shard(text: str) -> Shard:
    from glossi_sync.resources import Shard  # noqa: PLC0415

    try:
        return Shard.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--shard") from None
