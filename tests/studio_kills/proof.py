"""What must hold once everything is quiet, by the API's answers, the records and the files; each rule has its sentence.

    a model whose upload was answered      has those bytes
    a model whose confirmation was answered  is READY, or FAILED for the flaw that it has
    a render that was answered as queued   is COMPLETED with its files, or FAILED where its model refuses
    a job that was answered as confirmed   has ended, each of its models with one project and one render
    whatever has happened                  was told to the webhook, as one event

What exists and was never answered is a stray: no more of them than the requests without an answer can have made, and
nothing half done among them. In storage there is what the records name, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx
from studio_kills.client import Broken, Job, Ledger, Render
from studio_kills.engine import PNG, cameras, sketched
from studio_kills.products import FLAWS
from studio_kills.receiver import Receiver
from studio_kills.studio import Studio

from glossi_sync.service import wire
from glossi_sync.service.signature import verify
from glossi_sync.studio.template import bundled_templates

_TEMPLATE = next(template for template in bundled_templates() if template.name == "Studio Light")


@dataclass(frozen=True)
class Proven:
    """How it came out, in numbers. ``strays``: what exists and was never answered, by kind."""

    models: int
    flawed: int
    renders: int
    failed: int
    files: int
    jobs: int
    deliveries: int
    delivered_again: int
    strays: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        strays = ", ".join(f"{kind} {self.strays[kind]}" for kind in ("models", "projects", "renders", "jobs"))
        return (
            f"{self.models:,} confirmed models ({self.flawed:,} of them flawed), {self.renders:,} renders"
            f" ({self.failed:,} of them refused, {self.files:,} files), {self.jobs:,} jobs, {self.deliveries:,} events"
            f" ({self.delivered_again:,} told again); strays: {strays}"
        )


@dataclass(frozen=True)
class _Records:
    """The rows, each as a dictionary, by id."""

    models: dict[str, dict[str, Any]]
    projects: dict[str, tuple[str, ...]]
    renders: dict[str, dict[str, Any]]
    files: dict[str, list[dict[str, Any]]]
    jobs: dict[str, dict[str, Any]]
    job_models: dict[str, list[dict[str, Any]]]


def prove(studio: Studio, ledger: Ledger, receiver: Receiver) -> Proven:
    """Hold the studio to what it has promised.

    Raises:
        Broken: a promise was not kept.
    """
    records = _read(studio)
    with httpx.Client(
        base_url=studio.origin + wire.API_PREFIX,
        headers={wire.API_KEY_HEADER: studio.key},
        trust_env=False,
        timeout=60,
    ) as api:
        _models(api, studio, ledger, records)
        _projects(ledger, records)
        _renders(api, studio, ledger, records)
        _jobs(api, ledger, records)
        _webhook(api, ledger)
    heard = _deliveries(studio, ledger, receiver)
    _events(ledger, records, heard)
    strays = _strays(studio, ledger, records)
    _storage(studio, records)
    _log(studio)
    confirmed = [model for model in ledger.models.values() if model.confirmed]
    return Proven(
        models=len(confirmed),
        flawed=sum(model.product.flaw is not None for model in confirmed),
        renders=len(records.renders),
        failed=sum(row["status"] == wire.RENDER_FAILED for row in records.renders.values()),
        files=sum(map(len, records.files.values())),
        jobs=len(ledger.jobs),
        deliveries=len(heard),
        delivered_again=sum(heard.values()) - len(heard),
        strays=strays,
    )


# --- promises ------------------------------------------------------------------------------------------------------------


def _models(api: httpx.Client, studio: Studio, ledger: Ledger, records: _Records) -> None:
    states: dict[str, dict[str, Any]] = {}
    ids = list(ledger.models)
    for start in range(0, len(ids), 500):
        answer = _ok(api.post("/models/status", json={"modelIds": ids[start : start + 500]}))
        _expect(not answer["notFound"], f"models that were recorded are not there: {answer['notFound']}")
        states |= {state["modelId"]: state for state in answer["models"]}
    for model_id, model in ledger.models.items():
        what = f"the model {model_id} ({model.product.name})"
        row, status = records.models[model_id], states[model_id]["status"]
        _expect(row["file_path"] == model.key, f"{what} has the key {row['file_path']}, and had {model.key}")
        if model.uploaded:
            content = studio.file(model.key)
            _expect(content is not None, f"the file of {what} is not there")
            _expect(_sha256(content or b"") == model.product.digest, f"the file of {what} is another")
        if not model.confirmed:
            _expect(status == wire.MODEL_PENDING, f"{what} was never confirmed, and is {status}")
            continue
        _expect(model.ended in (None, status), f"{what} was {model.ended}, and is {status}")
        if model.product.flaw is None:
            _expect(status == wire.MODEL_READY, f"{what} is sound, and is {status}: {states[model_id]}")
        else:
            said = states[model_id].get("errorMessage", "")
            _expect(status == wire.MODEL_FAILED, f"{what} is {model.product.flaw}, and is {status}")
            _expect(
                FLAWS[model.product.flaw][1] in said and not said.startswith("the model could not be processed"),
                f"{what} is {model.product.flaw}, and has FAILED because {said!r}",
            )


def _projects(ledger: Ledger, records: _Records) -> None:
    for project_id, model_ids in ledger.projects.items():
        of = records.projects.get(project_id)
        _expect(of == model_ids, f"the project {project_id} was of {model_ids}, and is of {of}")


def _renders(api: httpx.Client, studio: Studio, ledger: Ledger, records: _Records) -> None:
    for job_id, render in ledger.renders.items():
        answer = api.get(f"/renders/{job_id}")
        _expect(answer.status_code == 200, f"the render job {job_id} is not there: {answer.text}")
        state = answer.json()
        _expect(state["projectId"] == render.project_id, f"the render job {job_id} is of another project")
        _retries(job_id, render, records)
        if render.completed is not None:
            _expect(state == render.completed, f"the render job {job_id} was {render.completed}, and is {state}")
        if state["status"] == wire.RENDER_COMPLETED:
            file = state["renders"][-1]
            got = api.get(f"/files/{file['filePath']}")
            stored = studio.file(file["filePath"])
            _expect(got.is_success and got.content == stored, f"the file {file['filePath']} is answered {got}")
    for job_id, row in records.renders.items():
        _render(studio, job_id, row, ledger, records)


def _render(studio: Studio, job_id: str, row: dict[str, Any], ledger: Ledger, records: _Records) -> None:
    """A render job's end, and its files, whoever has asked for it."""
    models = [ledger.models[model_id] for model_id in records.projects[row["project_id"]]]
    names = {model.product.name.split()[0] for model in models}
    files = records.files.get(job_id, [])
    what = f"the render job {job_id} of {[model.product.name for model in models]}"
    if row["status"] == wire.RENDER_FAILED:
        # A stray has nobody who would retry it, and a job of the simple workflow does not.
        retried = job_id not in ledger.renders or ledger.renders[job_id].retried
        flickers = "flickers" in names and (job_id not in ledger.renders or not retried)
        _expect("refuses" in names or flickers, f"{what} is FAILED: {row['error_message']}")
        _expect(row["error_message"] in ("it refuses", "it flickered"), f"{what} is FAILED: {row['error_message']}")
        _expect(not files, f"{what} is FAILED, and has files: {files}")
        return
    _expect(row["status"] == wire.RENDER_COMPLETED, f"{what} is {row['status']}")
    _expect("refuses" not in names, f"{what} is COMPLETED, and should have refused")
    wanted = cameras(_TEMPLATE, videos=json.loads(row["settings"])["renderShots"])
    named = [(file["name"], bool(file["is_video"])) for file in files]
    _expect(named == wanted, f"{what} has the files {named}, and should have {wanted}")
    glbs = [records.models[model_id]["glb_path"] for model_id in records.projects[row["project_id"]]]
    digests = [_sha256(studio.file(key) or b"") for key in glbs]
    for file in files:
        content = studio.file(file["file_path"])
        _expect(content is not None, f"{what} names the file {file['file_path']}, which is not there")
        _expect(
            content == sketched(file["name"], digests) or (content or b"").startswith(PNG),
            f"{what} has another's picture in {file['file_path']}",
        )


def _retries(job_id: str, render: Render, records: _Records) -> None:
    batch = records.renders[job_id]["batch_id"]
    if render.batches:
        _expect(batch == render.batches[-1], f"a retry of {job_id} was answered with {render.batches[-1]}, not {batch}")


def _jobs(api: httpx.Client, ledger: Ledger, records: _Records) -> None:
    for job_id, job in ledger.jobs.items():
        answer = api.get(f"/jobs/{job_id}")
        _expect(answer.status_code == 200, f"the job {job_id} is not there: {answer.text}")
        state = answer.json()
        _expect(job.ended in (None, state), f"the job {job_id} was {job.ended}, and is {state}")
        _job(job_id, job, state, ledger, records)


def _job(job_id: str, job: Job, state: dict[str, Any], ledger: Ledger, records: _Records) -> None:
    what = f"the job {job_id}"
    _expect(
        tuple(model["id"] for model in state["models"]) == job.model_ids, f"{what} has other models: {state['models']}"
    )
    if not job.confirmed:
        _expect(state["status"] == wire.JOB_AWAITING_UPLOADS, f"{what} was never confirmed, and is {state['status']}")
        return
    sound = [model_id for model_id in job.model_ids if ledger.models[model_id].product.flaw is None]
    results = [result["model"]["id"] for result in state["results"]]
    _expect(results == sound, f"{what} has results for {results}, and should for {sound}")
    failed = len(sound) < len(job.model_ids)
    for result in state["results"]:
        model_id, project_id = result["model"]["id"], result["project"]["id"]
        made = [one for one, of in records.projects.items() if model_id in of]
        _expect(made == [project_id], f"{what} has made the projects {made} of its model {model_id}")
        started = [one for one, row in records.renders.items() if row["project_id"] == project_id]
        wanted = [result["render"]["jobId"]] if job.settings is not None else []
        _expect(started == wanted, f"{what} has started {started} of its project {project_id}, and names {wanted}")
        failed |= bool(wanted) and result["render"]["status"] == wire.RENDER_FAILED
    status = wire.JOB_FAILED if failed else wire.JOB_COMPLETE
    _expect(state["status"] == status, f"{what} is {state['status']}, and should be {status}: {state}")


def _webhook(api: httpx.Client, ledger: Ledger) -> None:
    hook = _ok(api.get("/webhooks"))
    _expect(
        hook["description"] in ledger.descriptions,
        f"the webhook is described as {hook['description']!r}, and was told {ledger.descriptions}",
    )


# --- events --------------------------------------------------------------------------------------------------------------


def _deliveries(studio: Studio, ledger: Ledger, receiver: Receiver) -> Counter[bytes]:
    """How often each body was heard."""
    for body, signature in receiver.bodies:
        _expect(verify(body, signature, ledger.secret), f"a delivery is signed with another secret: {body!r}")
    heard = Counter(body for body, _ in receiver.bodies)
    for number, body, status in studio.rows("SELECT number, body, status FROM deliveries"):
        _expect(status == wire.DELIVERY_DELIVERED, f"the delivery {number} is {status}: {body}")
        _expect(body.encode() in heard, f"the delivery {number} is {status}, and was never heard: {body}")
    return heard


def _events(ledger: Ledger, records: _Records, heard: Iterable[bytes]) -> None:
    """Each event was told once: bodies that differ are two events, or one that happened twice."""
    told: Counter[tuple[str, str]] = Counter()
    for body in heard:
        event = json.loads(body)
        of = event["data"]
        kind, _, _ = event["event"].partition(".")
        told[event["event"], of[{"model": "modelId", "project": "projectId"}.get(kind, "jobId")]] += 1
    wanted: Counter[tuple[str, str]] = Counter()
    for model_id, row in records.models.items():
        if row["confirmed_at"] is not None:
            wanted["model.processed" if row["status"] == wire.MODEL_READY else "model.failed", model_id] += 1
    for project_id in records.projects:
        wanted["project.created", project_id] += 1
    for job_id, row in records.renders.items():
        wanted["render.complete" if row["status"] == wire.RENDER_COMPLETED else "render.failed", job_id] += 1
        if job_id in ledger.renders and ledger.renders[job_id].retried:
            wanted["render.failed", job_id] += 1  # what it was retried for
    for job_id, row in records.jobs.items():
        if row["confirmed_at"] is not None:
            wanted["job.complete" if row["status"] == wire.JOB_COMPLETE else "job.failed", job_id] += 1
    _expect(not wanted - told, f"never told: {dict(wanted - told)}")
    _expect(not told - wanted, f"told, and did not happen or not so often: {dict(told - wanted)}")


# --- what nobody was promised --------------------------------------------------------------------------------------------


def _strays(studio: Studio, ledger: Ledger, records: _Records) -> Counter[str]:
    """How many there are; none of them is half of something."""
    strays: Counter[str] = Counter()
    of_jobs = {one["model_id"]: job_id for job_id, models in records.job_models.items() for one in models}
    for model_id, row in records.models.items():
        if model_id not in ledger.models:
            strays["models"] += 1
            _expect(row["status"] == wire.MODEL_PENDING, f"the stray model {model_id} is {row['status']}")
            _expect(studio.file(row["file_path"]) is None, f"the stray model {model_id} has a file")
            _expect(of_jobs.get(model_id) not in ledger.jobs, f"{model_id} is a model of a job that has others")
    for job_id, row in records.jobs.items():
        if job_id not in ledger.jobs:
            strays["jobs"] += 1
            _expect(row["status"] == wire.JOB_AWAITING_UPLOADS, f"the stray job {job_id} is {row['status']}")
    made = {one["project_id"] for models in records.job_models.values() for one in models}
    strays["projects"] = len(records.projects.keys() - ledger.projects.keys() - made)
    started = {one["render_job_id"] for models in records.job_models.values() for one in models}
    strays["renders"] = len(records.renders.keys() - ledger.renders.keys() - started)
    for kind, count in strays.items():
        _expect(
            count <= ledger.unheard[kind],
            f"{count} {kind} that were never answered, and requests without an answer were for {ledger.unheard[kind]}",
        )
    return strays


def _storage(studio: Studio, records: _Records) -> None:
    named: Counter[str] = Counter()
    for row in records.models.values():
        named.update({key for key in (row["file_path"], row["glb_path"], row["thumbnail_path"]) if key})
    for files in records.files.values():
        named.update(file["file_path"] for file in files)
    twice = [key for key, count in named.items() if count > 1]
    _expect(not twice, f"named more than once: {twice}")
    orphans = studio.keys() - named.keys()
    _expect(not orphans, f"files that no row names: {sorted(orphans)}")
    for folder in ("working", "incoming"):
        left = [path.name for path in (studio.data / folder).iterdir()]
        _expect(not left, f"left over in {folder}/: {left}")


def _log(studio: Studio) -> None:
    said = studio.log.read_text(encoding="utf-8", errors="replace")
    errors = re.findall(r"^\d{4}-\d\d-\d\d \S+ ERROR .*$", said, re.MULTILINE)
    _expect(not errors, f"the server's log has errors: {errors[:5]}")


# --- rows ----------------------------------------------------------------------------------------------------------------


def _read(studio: Studio) -> _Records:
    projects: dict[str, tuple[str, ...]] = {one["project_id"]: () for one in _table(studio, "projects")}
    for row in _table(studio, "project_models", "position"):
        if row["project_id"] in projects:
            projects[row["project_id"]] = (*projects[row["project_id"]], row["model_id"])
    files: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in _table(studio, "renders", "position"):
        files[row["job_id"]].append(row)
    job_models: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in _table(studio, "job_models", "position"):
        job_models[row["job_id"]].append(row)
    return _Records(
        {row["model_id"]: row for row in _table(studio, "models")},
        projects,
        {row["job_id"]: row for row in _table(studio, "render_jobs")},
        files,
        {row["job_id"]: row for row in _table(studio, "jobs")},
        job_models,
    )


def _table(studio: Studio, table: str, order: str = "rowid") -> list[dict[str, Any]]:
    names = [name for _, name, *_ in studio.rows(f"PRAGMA table_info({table})")]
    return [dict(zip(names, row, strict=True)) for row in studio.rows(f"SELECT * FROM {table} ORDER BY {order}")]


def _ok(answer: httpx.Response) -> Any:
    _expect(answer.status_code == 200, f"{answer.request.url} was answered {answer.status_code}: {answer.text}")
    return answer.json()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Broken(otherwise)
