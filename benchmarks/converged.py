"""A catalogue that has been applied already, made in a minute or two instead of by an apply of half an hour.

The state is written through the state room's own API, with every row that an apply leaves: objects with their inputs
and files, bindings, the journal's settled calls, the run, the files' stamps. The studio's records get the models,
projects and finished renders that the state speaks of, so that the real API answers what a plan asks. That the two
agree is proved by each benchmark's own plan, which must find nothing to do.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from uuid import UUID

from catalogue import write_catalogue
from delayed_studio import Delayed, delayed_studio
from sqlalchemy import Connection

from glossi_sync.applying import new_id
from glossi_sync.planning.explain import inputs_of
from glossi_sync.resources import Kind, Model, Phase, Project, Render, Step, Template, resolve_template
from glossi_sync.resources.model import CONFIRM, RECORD, UPLOAD
from glossi_sync.resources.project import CREATE
from glossi_sync.resources.render import SETTING_NAMES, START
from glossi_sync.service import Glossi, wire
from glossi_sync.spec import Desired, Spec, desire, hash_models, read_spec
from glossi_sync.spec.hashing import RACY_NS
from glossi_sync.state import (
    Bind,
    FileStamp,
    Intend,
    Intent,
    Object,
    PutObject,
    PutRun,
    RenderedFile,
    Run,
    Settle,
    State,
    Subject,
    Write,
    default_location,
    open_state,
    service_identity,
)
from glossi_sync.studio import records as rows
from glossi_sync.studio.records import Records

ADDRESSES_A_WRITE = 9000
MEMBERS_A_CALL = 50


@dataclass(frozen=True)
class Converged:
    """A spec whose state is complete, and the studio that knows everything in it."""

    spec: Path
    studio: Delayed


@contextmanager
def converged(folder: Path, products: int) -> Iterator[Converged]:
    """Make one in ``folder``; its studio, without any delay, runs for the length of the block."""
    spec_path = write_catalogue(folder, products)
    time.sleep(RACY_NS / 1e9 + 0.1)  # else the last files' stamps would not be trusted
    with delayed_studio(folder / "studio", latency=0, processing=0, rendering=0) as studio:
        spec = read_spec(spec_path, env=os.environ, endpoint=studio.url)
        hashed = hash_models(spec, {})
        desired = desire(spec, hashed.models, asyncio.run(_templates(spec, studio)))
        identity = service_identity(studio.url)
        state = open_state(default_location(folder, spec.workspace, identity), service=identity)
        state.put_stamps(
            {
                path: FileStamp(one.size, one.mtime_ns, one.inode, one.sha256, one.hashed_ns)
                for path, one in hashed.fresh.items()
            }
        )
        made = _Made(state, Records(f"sqlite:///{folder / 'studio' / 'records.db'}"), desired)
        made.everything()
        state.close()
        yield Converged(spec_path, studio)


async def _templates(spec: Spec, studio: Delayed) -> dict[str, Template]:
    async with Glossi(studio.url, studio.key) as service:
        known = await service.templates()
    return {key: resolve_template(ref, known) for key, ref in spec.templates.items()}


class _Made:
    """Writes down, piece by piece, what an apply of ``desired`` would have made."""

    def __init__(self, state: State, records: Records, desired: dict[str, Desired]) -> None:
        self._state = state
        self._records = records
        self._desired = desired
        self._rng = Random(1)
        self._now = time.time()
        self._run_id = new_id(self._rng)
        self._objects: dict[str, Object] = {}
        self._workspace = records.now(lambda c: rows.ensure_workspace(c, "benchmark", self._uuid(), self._now))

    def everything(self) -> None:
        """All of it, in pieces of a few thousand addresses; parents come first."""
        run = Run(self._run_id, "apply", started=self._now)
        self._state.write([PutRun(run)])
        wanted = list(self._desired.values())
        for start in range(0, len(wanted), ADDRESSES_A_WRITE):
            self._piece(wanted[start : start + ADDRESSES_A_WRITE])
        self._state.write([PutRun(Run(self._run_id, "apply", self._now, self._now, "converged"))])
        self._records.close()

    def _piece(self, wanted: Sequence[Desired]) -> None:
        writes: list[Write] = []
        models, projects, jobs, pictures = [], [], [], []
        for want in wanted:
            one = self._object(want)
            self._objects[want.address] = one
            files = None
            match want.inputs:
                case Model():
                    models.append(self._model(one, want.inputs))
                case Project():
                    projects.append(self._project(one, want))
                case Render():
                    jobs.append(self._job(one, want))
                    picture = self._picture(jobs[-1].job_id)
                    pictures.append((jobs[-1].job_id, picture))
                    files = [RenderedFile(picture.render_id, picture.name, picture.file_path, "PNG", False)]
            writes += [PutObject(one, inputs=inputs_of(want), files=files), Bind(want.address, one.oid)]
        self._state.write([*writes, *self._journal(wanted)])

        def record(connection: Connection) -> None:
            if models:
                rows.add_models(connection, models)
            if projects:
                rows.add_projects(connection, projects)
            if jobs:
                rows.add_render_jobs(connection, jobs)
            for job_id, picture in pictures:
                rows.complete_render(connection, job_id, self._now, [picture])

        self._records.now(record)

    def _object(self, want: Desired) -> Object:
        complete = {Kind.MODEL: Phase.READY, Kind.PROJECT: Phase.CREATED, Kind.RENDER: Phase.COMPLETED}
        parents = tuple(self._objects[parent].oid for parent in want.parents)
        label = self._objects[want.parents[0]].label if want.kind is Kind.PROJECT else want.label
        remote_id = self._uuid()
        return Object(
            new_id(self._rng), want.kind, want.digest, complete[want.kind], label, remote_id, parents, self._now
        )

    def _journal(self, wanted: Sequence[Desired]) -> list[Write]:
        """Every call that was made for them, settled: one each for uploads and confirms, the rest in batches."""
        steps = {Kind.MODEL: (RECORD, UPLOAD, CONFIRM), Kind.PROJECT: (CREATE,), Kind.RENDER: (START,)}
        subjects: dict[Step, list[Subject]] = {}
        for want in wanted:
            for step in steps[want.kind]:
                subjects.setdefault(step, []).append(Subject(want.address, want.digest))
        writes: list[Write] = []
        for step, all_of_them in subjects.items():
            size = 1 if step in (UPLOAD, CONFIRM) else MEMBERS_A_CALL
            for start in range(0, len(all_of_them), size):
                members = tuple(all_of_them[start : start + size])
                call_id = new_id(self._rng)
                writes.append(Intend(Intent(call_id, self._run_id, step.name, step.call, members, self._now)))
                writes.append(Settle(call_id, "done", self._now))
        return writes

    def _model(self, one: Object, inputs: Model) -> rows.Model:
        assert one.remote_id is not None
        return rows.Model(
            model_id=one.remote_id,
            workspace_id=self._workspace,
            name=one.label or "",
            file_name=Path(inputs.file).name,
            file_type=inputs.file_type,
            file_path=f"workspaces/{self._workspace}/models/{one.remote_id}.glb",
            status=wire.MODEL_READY,
            created_at=self._now,
            confirmed_at=self._now,
            finished_at=self._now,
        )

    def _project(self, one: Object, want: Desired) -> rows.Project:
        assert one.remote_id is not None
        assert isinstance(want.inputs, Project)
        models = tuple(self._remote_id(parent) for parent in want.parents)
        return rows.Project(one.remote_id, self._workspace, one.label or "", want.inputs.template_id, self._now, models)

    def _job(self, one: Object, want: Desired) -> rows.RenderJob:
        assert one.remote_id is not None
        assert isinstance(want.inputs, Render)
        settings = {written: getattr(want.inputs.settings, name) for name, written in SETTING_NAMES.items()}
        project = self._remote_id(want.parents[0])
        return rows.RenderJob(
            one.remote_id, self._workspace, project, self._run_uuid, settings, wire.RENDER_QUEUED, self._now, self._now
        )

    def _picture(self, job_id: str) -> rows.Render:
        picture = self._uuid()
        path = f"workspaces/{self._workspace}/renders/{job_id}/{picture}.png"
        return rows.Render(picture, "Front View - Default", path, "PNG", False)

    @property
    def _run_uuid(self) -> str:
        return str(UUID(int=self._run_id, version=4))

    def _remote_id(self, address: str) -> str:
        remote_id = self._objects[address].remote_id
        assert remote_id is not None
        return remote_id

    def _uuid(self) -> str:
        return str(UUID(int=self._rng.getrandbits(128), version=4))
