"""``glossi-sync init``: a first spec, from a folder of models."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

import click

from glossi_sync.cli.errors import fail

_USUAL_TEMPLATE = "Studio Light"
"""What is taken where nothing else is said: neutral, and the first that the service's guide names."""
_IGNORED = ("/state/", "/renders/")


@click.command("init")
@click.argument("folder", default=".", type=click.Path(path_type=Path))
@click.option("--template", metavar="NAME", help="The template of every model, whatever its folder is called.")
@click.option(
    "-f",
    "--file",
    "spec_path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("glossi.yaml"),
    show_default=True,
    help="The spec to write.",
)
@click.option("--workspace", metavar="NAME", help="What the spec is called. [default: its folder's name]")
@click.option("--force", is_flag=True, help="Overwrite a spec that is there.")
def command(*, folder: Path, template: str | None, spec_path: Path, workspace: str | None, force: bool) -> None:
    """Write a spec for the models in FOLDER and below it (default: the current folder).

    A few models are written down one by one, many as a pattern that finds them. Folders that are named like templates
    choose them (models/dark-luxe/lamp.glb); other models are put on Studio Light. Beside the spec, a .gitignore keeps
    the state and the renders out of git.
    """
    from glossi_sync.drafting import Choice, draft, draft_text, find_models  # noqa: PLC0415
    from glossi_sync.reporting.words import counted  # noqa: PLC0415
    from glossi_sync.spec import read_spec  # noqa: PLC0415

    if spec_path.exists() and not force:
        fail(f"{spec_path} is there already: --force overwrites it, -f OTHER.yaml writes another.")
    home = spec_path.absolute().parent
    if not home.is_dir():
        fail(f"There is no folder {spec_path.parent} to write {spec_path.name} into.")
    names = _templates()
    choice = Choice(_chosen(template, names), ()) if template else Choice(_usual(names), names)
    found = find_models(folder, home)
    drafted = draft(found, choice, workspace or home.resolve().name)
    spec_path.write_text(draft_text(drafted, names), encoding="utf-8")
    ignored = _ignore(home / ".gitignore")
    click.echo(
        f"{spec_path}: {counted(len(found.files), 'model')} on {', '.join(sorted(set(drafted.templates.values())))}"
    )
    if ignored:
        click.echo(f"{spec_path.parent / '.gitignore'}: keeps {' and '.join(ignored)} out of git")
    if found.unnamed:
        click.echo(f"Left out: {counted(found.unnamed, 'file')} whose name is not UTF-8.", err=True)
    read_spec(spec_path, env={}, files=True)
    at = "" if spec_path == Path("glossi.yaml") else f" -f {shlex.quote(str(spec_path))}"
    click.echo(f"\nNext:\n  glossi-sync plan{at}\n  glossi-sync apply{at}")


def _templates() -> tuple[str, ...]:
    """The studio's own templates, which are the service's public ones."""
    from glossi_sync.studio.template import bundled_templates  # noqa: PLC0415

    return tuple(one.name for one in bundled_templates())


def _usual(names: tuple[str, ...]) -> str:
    return _USUAL_TEMPLATE if _USUAL_TEMPLATE in names else names[0]


def _chosen(template: str, names: tuple[str, ...]) -> str:
    from glossi_sync.spec.problems import near  # noqa: PLC0415

    if template in names:
        return template
    hint = near(template, names)
    if hint:
        fail(f"The studio has no template {template!r}{hint}")
    click.echo(f"The studio has no template {template!r}: plans can be made where the service has it.", err=True)
    return template


def _ignore(path: Path) -> list[str]:
    """Add to a .gitignore what is not there; answers what was added."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    there = {line.strip().strip("/") for line in text.splitlines()}
    missing = [line for line in _IGNORED if line.strip("/") not in there]
    if missing:
        path.write_text(_joined(text, missing), encoding="utf-8")
    return [line.strip("/") for line in missing]


def _joined(text: str, lines: Iterable[str]) -> str:
    gap = "" if not text or text.endswith("\n") else "\n"
    return f"{text}{gap}# glossi-sync: what a run leaves behind\n" + "".join(f"{line}\n" for line in lines)
