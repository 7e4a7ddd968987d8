"""``plan --preview``: a sketch of the plan's pictures, made by an apply like any other on a studio of its own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from random import SystemRandom
from tempfile import TemporaryDirectory

from rich.console import Console

from glossi_sync.applying import (
    Emit,
    Setup,
    Stop,
    apply,
    bring_home,
    keep_in,
    model_files,
    new_id,
    plan_downloads,
    source_of,
)
from glossi_sync.cli import event_loop
from glossi_sync.errors import UserError
from glossi_sync.planning import Observed, Policy, Sketch, Survey, plan, projects_to_draw, sketch
from glossi_sync.reporting import Preview, Previews, drawing
from glossi_sync.service import Glossi
from glossi_sync.spec import Downloads, Hashed, Spec
from glossi_sync.state import MemoryState, Realised
from glossi_sync.studio.embedded import EmbeddedStudio

ENGINE = "glossi_sync.studio.engines.preview:PreviewEngine"


class NoTemplates(UserError):
    """The template files that previews were to use are not where the user said."""


def draw_previews(
    surveyed: Survey,
    spec: Spec,
    hashed: Hashed,
    *,
    to: Path,
    where: str,
    limit: int,
    templates: Path | None,
    console: Console,
) -> Previews:
    """Render what the plan would change into the folder ``to``, which the plan's readers find at ``where``.

    ``templates`` is a folder of template files that the studio has besides its own.

    Raises:
        NoTemplates: the folder ``templates`` is not there.
        StudioError: the studio extra is not installed, or the studio cannot be started.
        OSError: the folder cannot be written to.
    """
    if templates is not None and not templates.is_dir():
        raise NoTemplates(f"--preview-templates: there is no folder {templates}")
    to.mkdir(parents=True, exist_ok=True)
    if not projects_to_draw(surveyed.plan, surveyed.desired):
        return Previews(where)
    with (
        TemporaryDirectory(prefix="glossi-preview-") as data,
        EmbeddedStudio(Path(data), templates=templates, engine=ENGINE) as studio,
    ):

        async def draw() -> Previews:
            async with Glossi(studio.url, studio.api_key) as service:
                drawn = sketch(surveyed.plan, surveyed.desired, await service.templates(), limit)
                with drawing(console, len(drawn.renders)) as emit:
                    return Previews(where, tuple(await _draw(drawn, service, spec, hashed, to, emit)), drawn.left_out)

        return event_loop.run(draw())


async def _draw(drawn: Sketch, service: Glossi, spec: Spec, hashed: Hashed, to: Path, emit: Emit) -> list[Preview]:
    state = MemoryState(service="local")
    setup = Setup(
        service=service,
        state=state,
        desired=drawn.desired,
        realised=Realised(),
        file_of=model_files(spec, hashed.remote),
        policy=Policy(retries=0),
        emit=emit,
        stop=Stop(),
        keep_secret=keep_in(to / "none"),  # a sketch has no webhook
        clock=time.time,
        rng=SystemRandom(),
    )
    decided = plan(drawn.desired, Realised(), Observed(), setup.policy, now=time.time())
    applied = await apply(decided, setup, run_id=new_id(setup.rng), command="plan --preview")
    downloads = Downloads(to, "{project}/{name}.{ext}")
    due = plan_downloads(downloads, drawn.desired, state.realised(), state)
    home = await bring_home(downloads, due.fetches, source_of(downloads, service), state, emit)
    troubles = {**applied.failed, **home.failed}
    return [_preview(address, drawn, due.paths, troubles) for address in drawn.renders]


def _preview(address: str, drawn: Sketch, paths: Mapping[str, str], troubles: Mapping[str, str]) -> Preview:
    render = drawn.renders[address]
    pictures = tuple(path for path, of in paths.items() if of == render)
    made_of = (*drawn.desired[address].parents, address, render)
    notes = [troubles[one] for one in made_of if one in troubles]
    if address in drawn.notes:
        notes.append(drawn.notes[address])
    return Preview(address, pictures, "; ".join(notes) or None)
