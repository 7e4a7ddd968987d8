"""What the studio's own records prove at the end, each rule with a sentence for a person.

    a model's digest     is that of the file that lies at the studio under the model
    a render's digest    is that of its project and its settings

Each was realised once. A call whose answer a kill has swallowed is a doubt; what came of it is either found again (and
nothing was asked twice), or it lies unused at the studio, and then a stray of the state speaks of it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from kills.one_picture import picture_of
from kills.products import Products
from kills.studio import Seen, Studio

from glossi_sync.resources import LIFECYCLES, Kind
from glossi_sync.service import calls
from glossi_sync.state import Object, Realised, Stray, check, open_state, service_identity


class Broken(Exception):
    """A promise was not kept."""


@dataclass(frozen=True)
class Before:
    """What the studio had, and how many requests had arrived, before a catalogue was begun."""

    models: frozenset[str]
    projects: frozenset[str]
    jobs: frozenset[str]
    requests: int


@dataclass(frozen=True)
class Records:
    """What the studio's database says that it has: file keys by model, models by project, project and settings by job."""

    models: dict[str, str]
    projects: dict[str, tuple[str, ...]]
    jobs: dict[str, tuple[str, str]]


@dataclass(frozen=True)
class Proven:
    """How a catalogue came out, in numbers."""

    uploads: int
    renders: int
    uploads_repeated: int
    """Files that were sent twice to one model, since the first answer was not heard."""
    strays: Counter[str]
    """By kind: what the studio has, nothing uses, and a stray of the state speaks of."""
    strays_told: Counter[str]
    """By kind: of how many such things the strays speak. What was asked and never done is among them."""


def look(studio: Studio) -> Before:
    """What there is now."""
    found = records(studio)
    return Before(frozenset(found.models), frozenset(found.projects), frozenset(found.jobs), len(studio.log()))


def records(studio: Studio, before: Before | None = None) -> Records:
    """The studio's records, without what there was before."""
    known = before or Before(frozenset(), frozenset(), frozenset(), 0)
    projects: dict[str, tuple[str, ...]] = {}
    query = "SELECT project_id, model_id FROM project_models ORDER BY project_id, position"
    for project_id, model_id in studio.rows(query):
        if project_id not in known.projects:
            projects[project_id] = (*projects.get(project_id, ()), model_id)
    models = dict(studio.rows("SELECT model_id, file_path FROM models"))
    jobs = studio.rows("SELECT job_id, project_id, settings FROM render_jobs")
    return Records(
        {model_id: path for model_id, path in models.items() if model_id not in known.models},
        projects,
        {
            job_id: (project_id, json.dumps(json.loads(settings), sort_keys=True))
            for job_id, project_id, settings in jobs
            if job_id not in known.jobs
        },
    )


def check_after_a_kill(products: Products, studio: Studio, folder: Path) -> Realised:
    """The state opens and is sound, whenever its process was killed.

    It is a copy that is opened: to mend what was cut short is left to the next process.
    """
    for path in products.state.parent.glob(f"{products.state.name}*"):
        if path.suffix in (".db", ".db-wal"):
            (folder / path.name).write_bytes(path.read_bytes())
    copy = folder / products.state.name
    if not copy.exists():
        return Realised()
    state = open_state(copy, service=service_identity(studio.url))
    try:
        if wrong := check(state):
            raise Broken(f"after a kill the state is not sound: {'; '.join(wrong)}")
        return state.realised()
    finally:
        state.close()
        for path in folder.glob(f"{copy.name}*"):
            path.unlink()


def prove(products: Products, studio: Studio, before: Before) -> Proven:
    """Hold the state and the files at home to what the studio did.

    Raises:
        Broken: something was made twice, or forgotten, or is not what the state says.
    """
    state = open_state(products.state, service=service_identity(studio.url), create=False)
    try:
        realised, strays = state.realised(), state.strays()
    finally:
        state.close()
    _expect(not realised.in_doubt, f"calls are in doubt, and nobody was told: {realised.in_doubt}")
    found = records(studio, before)
    repeated = _models(products, realised, found, studio, before)
    _projects(realised, found)
    _renders(products, realised, found)
    _at_home(products)
    unused = {
        Kind.MODEL: _unused(found.models, realised, strays, Kind.MODEL),
        Kind.PROJECT: _unused(found.projects, realised, strays, Kind.PROJECT),
        Kind.RENDER: _unused(found.jobs, realised, strays, Kind.RENDER),
    }
    for model_id in unused[Kind.MODEL]:
        _expect(studio.file(found.models[model_id]) is None, f"the stray model {model_id} has a file: sent twice")
    for job_id, (project_id, _) in found.jobs.items():
        _expect(project_id not in unused[Kind.PROJECT], f"the job {job_id} is of the stray project {project_id}")
    return Proven(
        uploads=len(products.files),
        renders=sum(len(settings) for settings in products.renders.values()),
        uploads_repeated=repeated,
        strays=Counter({kind.value: len(ids) for kind, ids in unused.items()}),
        strays_told=Counter({kind.value: _told(strays, kind) for kind in unused}),
    )


def _models(products: Products, realised: Realised, found: Records, studio: Studio, before: Before) -> int:
    """Each file lies at the studio once, under the model that its address is bound to, and was sent once.

    Answers how many were sent again after a doubt.
    """
    holders: dict[str, list[str]] = {}
    for model_id, key in found.models.items():
        content = studio.file(key)
        if content is not None:
            holders.setdefault(_sha256(content), []).append(model_id)
    log = studio.log(before.requests)
    sent = _done(log, calls.UPLOAD.name)
    confirmed = _done(log, calls.CONFIRM_MODEL.name)
    doubts = _doubts(products.state)
    repeated = 0
    for key, content in products.files.items():
        address = f"model.{key}"
        model_id = _bound(address, realised).remote_id or ""
        holding = holders.pop(_sha256(content), [])
        _expect(holding == [model_id], f"{address} is model {model_id}, and its file lies under {holding}")
        for verb, times, step in (("sent", sent[model_id], "upload"), ("confirmed", confirmed[model_id], "confirm")):
            most = 1 + doubts[address, step]
            _expect(1 <= times <= most, f"{address} was {verb} {times} times, and {most - 1} such calls were in doubt")
        repeated += sent[model_id] - 1
    _expect(not holders, f"files that nobody has lie under {list(holders.values())}")
    return repeated


def _projects(realised: Realised, found: Records) -> None:
    """Each project that is bound is of the model that the spec wants."""
    for address in realised.bindings:
        if address.startswith("project."):
            project_id = _bound(address, realised).remote_id or ""
            model_id = _bound(f"model.{address.removeprefix('project.')}", realised).remote_id
            of = found.projects.get(project_id)
            _expect(of == (model_id,), f"{address} is project {project_id} of {of}, and not of {model_id}")


def _renders(products: Products, realised: Realised, found: Records) -> None:
    """Each render was started once: one job for each project and group of settings, and it is the one that is bound."""
    times = Counter(found.jobs.values())
    twice = {what: count for what, count in times.items() if count > 1}
    _expect(not twice, f"started more than once: {twice}")
    wanted = {f"render.{key}/{one}": key for key, settings in products.renders.items() for one in settings}
    _expect(len(found.jobs) == len(wanted), f"{len(found.jobs)} render jobs, and {len(wanted)} renders are wanted")
    for address, key in wanted.items():
        job_id = _bound(address, realised).remote_id or ""
        project_id = _bound(f"project.{key}", realised).remote_id
        of = found.jobs.get(job_id, ("",))[0]
        _expect(of == project_id, f"{address} is job {job_id} of project {of or 'none'}, and not of {project_id}")


def _at_home(products: Products) -> None:
    """Each picture lies where the spec says, and is that of its product."""
    for key, settings in products.renders.items():
        for one in settings:
            path = products.folder / "renders" / key / one / "Front View.png"
            _expect(path.exists(), f"{path} was not brought home")
            _expect(path.read_bytes() == picture_of(products.files[key]), f"{path} is another product's picture")


def _unused(ids: Iterable[str], realised: Realised, strays: Sequence[Stray], kind: Kind) -> list[str]:
    """What no object stands for; strays of the state speak of at least so many."""
    used = {one.remote_id for one in realised.objects.values()}
    unused = [one for one in ids if one not in used]
    told = _told(strays, kind)
    _expect(len(unused) <= told, f"{len(unused)} {kind}s that the state knows nothing of ({told} strays): {unused}")
    return unused


def _told(strays: Sequence[Stray], kind: Kind) -> int:
    """Of how many things strays speak: one without an id names the addresses that its call was for."""
    return sum(stray.reason.partition(" was in doubt")[0].count(", ") + 1 for stray in strays if stray.kind is kind)


def _bound(address: str, realised: Realised) -> Object:
    one = realised.bound(address)
    if one is None or one.phase is not LIFECYCLES[one.kind].complete:
        raise Broken(f"{address} is not realised: {one}")
    return one


def _done(log: Iterable[Seen], call: str) -> Counter[str]:
    """How often a call was done for each model; the paths of both calls end in the model's id and one part more."""
    return Counter(seen.path.split("/")[-2] for seen in log if seen.call == call and seen.status == 200)


def _doubts(state: Path) -> Counter[tuple[str, str]]:
    """How often the call for an address's step was left without an answer, by the state's journal."""
    with closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT step, subjects FROM journal WHERE outcome LIKE 'in doubt%'").fetchall()
    return Counter((address, step) for step, subjects in rows for address, _ in json.loads(subjects))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Broken(otherwise)
