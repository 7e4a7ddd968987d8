"""``glossi-sync import``: bind addresses to what was made at the service without glossi-sync."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING

import click

from glossi_sync.cli import event_loop
from glossi_sync.cli.options import format_option, output_options, service_options, spec_option

if TYPE_CHECKING:
    from glossi_sync.planning.importing import Imports


@click.command("import")
@click.argument("ids", metavar="IDS.csv", type=click.Path(path_type=Path))
@spec_option
@service_options
@format_option("text", "json")
@click.option("--replace", is_flag=True, help="Bind anew what is bound to something else already.")
@click.option("--dry-run", is_flag=True, help="Check everything, and change nothing.")
@output_options
def command(
    *,
    ids: Path,
    spec_path: Path,
    endpoint: str | None,
    state_location: str | None,
    form: str,
    replace: bool,
    dry_run: bool,
    verbose: bool,
    no_color: bool,
) -> None:
    """Adopt what was made at the service without glossi-sync, so that it is not made again.

    IDS.csv has the columns address and id: model.lamp and its model id, project.lamp and its project id,
    render.lamp/web and its job id. Models and renders are looked up at the service, and nothing is imported while
    anything is wrong with the file. You vouch that each was made of what the spec says now: the service cannot tell.
    """
    from glossi_sync.applying import new_id  # noqa: PLC0415
    from glossi_sync.applying.importing import bind_imports  # noqa: PLC0415
    from glossi_sync.cli.session import connect, holder, open_session  # noqa: PLC0415
    from glossi_sync.planning.importing import decide_import, look  # noqa: PLC0415
    from glossi_sync.reporting.imported import import_document, import_text  # noqa: PLC0415
    from glossi_sync.spec.ids import IdsFile  # noqa: PLC0415

    rng = SystemRandom()
    run_id = new_id(rng)
    file = IdsFile(ids)
    with ExitStack() as held:
        session = held.enter_context(open_session(spec_path, endpoint, state_location, create=not dry_run))
        if not dry_run:
            held.enter_context(session.state.lock(holder(run_id, "glossi-sync import")))
        models = session.hash_models()

        async def decide() -> Imports:
            async with connect(session.spec, verbose=verbose) as service:
                surveyed = await session.survey(models, service)
                known = await look(service, file.ids)
            return decide_import(file.ids, surveyed.desired, surveyed.realised, known, replace=replace)

        imports = event_loop.run(decide())
        if imports.complaints:
            raise file.complain(imports.complaints)
        if imports.imports and not dry_run:
            bind_imports(
                imports.imports,
                session.state,
                run_id=run_id,
                command=f"import {ids.name}",
                clock=time.time,
                rng=rng,
            )
    if form == "json":
        click.echo(json.dumps(import_document(imports, dry_run=dry_run), indent=2, ensure_ascii=False))
    else:
        click.echo(import_text(imports, dry_run=dry_run), nl=False)
