"""Every call: what the guide says is sent, what it answers is understood; against scripts of the guide, and a studio."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from failures import IMPATIENT, KEY, client, run
from scripted_server import Answer, answer_json, in_turn, serving

from glossi_sync import __version__
from glossi_sync.resources import FILE_TYPES, RenderSettings, Template, Webhook
from glossi_sync.resources.render import SETTING_NAMES
from glossi_sync.service import (
    ConfirmedModel,
    CreatedModel,
    CreatedProject,
    Glossi,
    InDoubt,
    ModelStatus,
    ModelStatuses,
    NewModel,
    NotFound,
    ReadFailed,
    Refused,
    Removal,
    RenderedFile,
    RenderJob,
    RetriedRender,
    StartedRender,
    StoredWebhook,
    Unauthorized,
    wire,
)
from glossi_sync.studio.embedded import EmbeddedStudio

T = TypeVar("T")

EVENTS = ("model.processed", "model.failed", "project.created", "job.complete", "job.failed", "render.complete")
EVENTS += ("render.failed",)


@dataclass(frozen=True)
class Spoken:
    """One call as the guide shows it: how it is made, what is sent, what is answered, what that means."""

    make: Callable[[Glossi], Awaitable[object]]
    request: str
    body: Any
    answer: Any
    result: object


GUIDE = {
    "2.1 create the model record": Spoken(
        lambda glossi: glossi.create_models([NewModel("My Product", "product.glb", "glb")]),
        "POST /api/v1/models",
        {"models": [{"name": "My Product", "fileName": "product.glb", "fileType": "glb"}]},
        {
            "models": [
                {
                    "modelId": "abc123-uuid",
                    "name": "My Product",
                    "uploadUrl": "https://s3.amazonaws.com/...",
                    "uploadKey": "workspaces/.../model.glb",
                }
            ]
        },
        (CreatedModel("abc123-uuid", "My Product", "https://s3.amazonaws.com/...", "workspaces/.../model.glb"),),
    ),
    "2.3 confirm the upload": Spoken(
        lambda glossi: glossi.confirm_model("abc123-uuid", "glb"),
        "POST /api/v1/models/abc123-uuid/confirm",
        {"fileType": "glb"},
        {
            "modelId": "abc123-uuid",
            "name": "My Product",
            "status": "PENDING",
            "filePath": "workspaces/.../model.glb",
        },
        ConfirmedModel("abc123-uuid", "My Product", "PENDING", "workspaces/.../model.glb"),
    ),
    "2.4 wait for model processing": Spoken(
        lambda glossi: glossi.model_statuses(["abc123-uuid"]),
        "POST /api/v1/models/status",
        {"modelIds": ["abc123-uuid"]},
        {
            "models": [{"modelId": "abc123-uuid", "name": "My Product", "status": "READY", "ready": True}],
            "allReady": True,
            "notFound": [],
        },
        ModelStatuses((ModelStatus("abc123-uuid", "My Product", "READY", True),), (), True),
    ),
    "finding available templates": Spoken(
        lambda glossi: glossi.templates(),
        "GET /api/v1/templates",
        None,
        {
            "templates": [
                {
                    "templateId": "abc123-template",
                    "name": "Studio Light",
                    "description": "Clean studio lighting setup",
                },
                {
                    "templateId": "def456-template",
                    "name": "Outdoor Scene",
                    "description": "Natural outdoor lighting",
                },
            ]
        },
        (
            Template("abc123-template", "Studio Light", "Clean studio lighting setup"),
            Template("def456-template", "Outdoor Scene", "Natural outdoor lighting"),
        ),
    ),
    "only public templates": Spoken(
        lambda glossi: glossi.templates(internal=False),
        "GET /api/v1/templates?internal=false",
        None,
        {"templates": []},
        (),
    ),
    "only your workspace templates": Spoken(
        lambda glossi: glossi.templates(public=False), "GET /api/v1/templates?public=false", None, {"templates": []}, ()
    ),
    "3 create a project": Spoken(
        lambda glossi: glossi.create_project(["abc123-uuid"], "template-uuid", "Product Photoshoot"),
        "POST /api/v1/projects",
        {"name": "Product Photoshoot", "modelIds": ["abc123-uuid"], "templateId": "template-uuid"},
        {
            "projects": [
                {
                    "projectId": "project-uuid",
                    "name": "Product Photoshoot",
                    "status": "PENDING",
                    "modelIds": ["abc123-uuid"],
                    "templateId": "template-uuid",
                }
            ]
        },
        CreatedProject("project-uuid", "Product Photoshoot", "PENDING", ("abc123-uuid",), "template-uuid"),
    ),
    "creating multiple projects at once": Spoken(
        lambda glossi: glossi.create_projects(["model-1-uuid", "model-2-uuid"], "template-uuid"),
        "POST /api/v1/projects",
        {"modelIds": ["model-1-uuid", "model-2-uuid"], "templateId": "template-uuid", "createPerModel": True},
        {
            "projects": [  # in another order than they were asked for
                {
                    "projectId": f"p{n}",
                    "name": f"P{n}",
                    "status": "PENDING",
                    "modelIds": [f"model-{n}-uuid"],
                    "templateId": "template-uuid",
                }
                for n in (2, 1)
            ]
        },
        tuple(CreatedProject(f"p{n}", f"P{n}", "PENDING", (f"model-{n}-uuid",), "template-uuid") for n in (1, 2)),
    ),
    "4 start a render": Spoken(
        lambda glossi: glossi.start_renders(["project-uuid"], RenderSettings(render_shots=False, image_quality=2)),
        "POST /api/v1/renders",
        {
            "projectIds": ["project-uuid"],
            "settings": {
                "renderBookmarks": True,
                "renderShots": False,
                "renderVariants": True,
                "imageQuality": 2,
                "videoQuality": 1,
                "videoResolution": 1,
            },
        },
        {"jobs": [{"jobId": "job-uuid", "status": "QUEUED", "projectId": "project-uuid"}], "totalProjects": 1},
        (StartedRender("job-uuid", "QUEUED", "project-uuid"),),
    ),
    "5 check render status, in progress": Spoken(
        lambda glossi: glossi.render("job-uuid"),
        "GET /api/v1/renders/job-uuid",
        None,
        {"jobId": "job-uuid", "status": "RENDERING", "projectId": "project-uuid"},
        RenderJob("job-uuid", "RENDERING", "project-uuid"),
    ),
    "5 check render status, complete": Spoken(
        lambda glossi: glossi.render("job-uuid"),
        "GET /api/v1/renders/job-uuid",
        None,
        {
            "jobId": "job-uuid",
            "status": "COMPLETED",
            "projectId": "project-uuid",
            "renders": [
                {
                    "id": "render-uuid-1",
                    "name": "Front View - Default",
                    "filePath": "workspaces/.../render.png",
                    "fileType": "PNG",
                    "isVideo": False,
                },
                {
                    "id": "render-uuid-2",
                    "name": "360 Spin - Default",
                    "filePath": "workspaces/.../video.mp4",
                    "fileType": "MP4",
                    "isVideo": True,
                },
            ],
        },
        RenderJob(
            "job-uuid",
            "COMPLETED",
            "project-uuid",
            (
                RenderedFile("render-uuid-1", "Front View - Default", "workspaces/.../render.png", "PNG", False),
                RenderedFile("render-uuid-2", "360 Spin - Default", "workspaces/.../video.mp4", "MP4", True),
            ),
        ),
    ),
    "retrying failed renders": Spoken(
        lambda glossi: glossi.retry_render("job-uuid"),
        "POST /api/v1/renders/job-uuid/retry",
        None,
        {"jobId": "job-uuid", "status": "QUEUED", "projectId": "project-uuid", "batchId": "new-batch-uuid"},
        RetriedRender("job-uuid", "QUEUED", "project-uuid", "new-batch-uuid"),
    ),
    "6 configure your webhook": Spoken(
        lambda glossi: glossi.put_webhook(Webhook("https://your-app.com/webhooks/glossi", EVENTS)),
        "PUT /api/v1/webhooks",
        {"url": "https://your-app.com/webhooks/glossi", "events": list(EVENTS), "enabled": True},
        {
            "id": "webhook-uuid",
            "url": "https://your-app.com/webhooks/glossi",
            "secret": "your-webhook-secret",
            "events": list(EVENTS),
            "enabled": True,
        },
        StoredWebhook(
            "webhook-uuid", "https://your-app.com/webhooks/glossi", EVENTS, True, secret="your-webhook-secret"
        ),
    ),
    "facts: a webhook with a description": Spoken(
        lambda glossi: glossi.put_webhook(Webhook("https://your-app.com", EVENTS[:1], False, "for the shop")),
        "PUT /api/v1/webhooks",
        {"url": "https://your-app.com", "events": [EVENTS[0]], "enabled": False, "description": "for the shop"},
        {
            "id": "w",
            "url": "https://your-app.com",
            "secret": "s",
            "events": [EVENTS[0]],
            "enabled": False,
            "description": "for the shop",
        },
        StoredWebhook("w", "https://your-app.com", EVENTS[:1], False, "for the shop", "s"),
    ),
    "facts: the webhook without its secret": Spoken(
        lambda glossi: glossi.get_webhook(),
        "GET /api/v1/webhooks",
        None,
        {"id": "w", "url": "https://your-app.com", "events": [], "enabled": True},
        StoredWebhook("w", "https://your-app.com", (), True),
    ),
    "facts: the webhook is removed": Spoken(
        lambda glossi: glossi.delete_webhook(), "DELETE /api/v1/webhooks", None, None, Removal(True)
    ),
}


@pytest.mark.parametrize("step", GUIDE)
def test_a_call_is_what_the_guide_says(step: str) -> None:
    spoken = GUIDE[step]

    async def main() -> None:
        answer = Answer(204) if spoken.answer is None else answer_json(spoken.answer)
        async with serving(in_turn(answer)) as server, client(server.endpoint) as glossi:
            assert await spoken.make(glossi) == spoken.result
        (request,) = server.received
        assert f"{request.method} {request.target}" == spoken.request
        assert request.headers["x-api-key"] == KEY
        assert request.headers["accept"] == "application/json"
        assert request.headers["user-agent"] == f"glossi-sync/{__version__}"
        if spoken.body is None:
            assert request.body == b"" and "content-type" not in request.headers
        else:
            assert request.json() == spoken.body
            assert request.headers["content-type"] == "application/json"

    run(main)


@pytest.mark.parametrize(("field", "name"), SETTING_NAMES.items())
def test_all_six_settings_are_sent_each_under_its_own_name(field: str, name: str) -> None:
    settings = replace(RenderSettings(), **{field: 0})

    async def main() -> None:
        answer = answer_json({"jobs": [{"jobId": "j", "status": "QUEUED", "projectId": "p"}], "totalProjects": 1})
        async with serving(in_turn(answer)) as server, client(server.endpoint) as glossi:
            await glossi.start_renders(["p"], settings)
        sent = server.received[0].json()["settings"]  # type: ignore[call-overload,index]
        assert sent == {**wire.DEFAULT_SETTINGS, name: 0}

    run(main)


def test_names_travel_as_they_are() -> None:
    names = ["Lámpara 灯", 'quote " and \\', "emoji 🪑", "line\nbreak", "\u2028"]

    async def main() -> None:
        def record(name: str) -> dict[str, str]:
            return {"modelId": f"id of {name}", "name": name, "uploadUrl": "https://s3/u", "uploadKey": "k"}

        answer = answer_json({"models": [record(name) for name in reversed(names)]})
        async with serving(in_turn(answer)) as server, client(server.endpoint) as glossi:
            created = await glossi.create_models([NewModel(name, "f.glb", "glb") for name in names])
        assert [model.model_id for model in created] == [f"id of {name}" for name in names]
        (request,) = server.received
        assert [model["name"] for model in request.json()["models"]] == names  # type: ignore[index,call-overload]

    run(main)


def test_half_an_emoji_in_an_answer_is_text_that_can_be_kept() -> None:
    """A service that cuts names by UTF-16 units leaves one, and says so in valid JSON."""

    async def main() -> None:
        answer = Answer(200, b'{"templates": [{"templateId": "t1", "name": "Chair \\ud83e", "description": null}]}')
        async with serving(in_turn(answer)) as server, client(server.endpoint) as glossi:
            (template,) = await glossi.templates()
        assert template == Template("t1", "Chair \ufffd", "")
        template.name.encode()

    run(main)


@pytest.mark.parametrize("answer", [Answer(404), Answer(200, b"null"), Answer(200, b"{}"), Answer(204)])
def test_that_there_is_no_webhook_is_no_error(answer: Answer) -> None:
    async def main() -> None:
        async with serving(in_turn(answer)) as server, client(server.endpoint) as glossi:
            assert await glossi.get_webhook() is None

    run(main)


@pytest.mark.parametrize(
    ("status", "removal"),
    [
        (204, Removal(True)),
        (200, Removal(True)),
        (404, Removal(False, "the service has no webhook")),
        (405, Removal(False, "the service does not remove webhooks")),
    ],
)
def test_removing_a_webhook_tells_whether_it_was_done(status: int, removal: Removal) -> None:
    async def main() -> None:
        async with serving(in_turn(Answer(status))) as server, client(server.endpoint) as glossi:
            assert await glossi.delete_webhook() == removal
            assert bool(removal) is (status < 300)
        async with serving(in_turn(Answer(403))) as server, client(server.endpoint) as glossi:
            with pytest.raises(Unauthorized):
                await glossi.delete_webhook()

    run(main)


def test_fields_and_statuses_that_nobody_has_heard_of_yet_are_let_through() -> None:
    async def main() -> None:
        job = {"jobId": "j", "status": "WARMING_UP", "projectId": "p", "progress": 0.3, "renders": None}
        async with serving(in_turn(answer_json(job))) as server, client(server.endpoint) as glossi:
            read = await glossi.render("j")
        assert read == RenderJob("j", "WARMING_UP", "p")
        assert not read.completed and not read.failed

    run(main)


P1 = {"projectId": "p1", "name": "P", "status": "PENDING", "modelIds": ["m1"], "templateId": "t"}
P2 = {**P1, "projectId": "p2", "modelIds": ["m2"]}
STRANGER = {**P1, "projectId": "p9", "modelIds": ["m9"]}
EMPTY = {**P1, "projectId": "p0", "modelIds": []}


@pytest.mark.parametrize(
    ("projects", "known"),
    [
        ([P1], ["p1"]),
        ([P2, STRANGER], ["p2"]),
        ([P2, P1, STRANGER], ["p1", "p2"]),
        ([P1, {**P2, "name": None}], ["p1"]),
        ([EMPTY, 7, P2], ["p2"]),
        ([P1, P1], ["p1"]),
        ([STRANGER, EMPTY], []),
        ([], []),
    ],
)
def test_of_a_batch_whose_answer_is_wrong_what_was_asked_for_is_known(projects: list[object], known: list[str]) -> None:
    """Nothing else is: whoever records it can rely on every entry being for one of the models asked about."""

    async def main() -> None:
        async with serving(in_turn(answer_json({"projects": projects}))) as server, client(server.endpoint) as glossi:
            with pytest.raises(InDoubt) as raised:
                await glossi.create_projects(["m1", "m2"], "t")
        assert [project.project_id for project in raised.value.partial] == known

    run(main)


@pytest.mark.parametrize("projects", [[], [P2], [P1, P1], [P1, STRANGER], [{**P1, "name": 7}]])
def test_of_one_project_or_of_records_there_is_no_partial_answer(projects: list[object]) -> None:
    """One project has no part; and whose the good records are beside a bad one, nobody can tell."""
    record = {"modelId": "m", "name": "Lamp", "uploadUrl": "https://s3/u", "uploadKey": "k"}

    async def main() -> None:
        async with serving(in_turn(answer_json({"projects": projects}))) as server, client(server.endpoint) as glossi:
            with pytest.raises(InDoubt) as raised:
                await glossi.create_project(["m1"], "t", None)
        assert raised.value.partial == ()
        answer = answer_json({"models": [record, {**record, "modelId": None}]})
        async with serving(in_turn(answer)) as server, client(server.endpoint) as glossi:
            with pytest.raises(InDoubt) as raised:
                await glossi.create_models([NewModel("Lamp", "a.glb", "glb")] * 2)
        assert raised.value.partial == ()

    run(main)


# --- against a studio ------------------------------------------------------------------------------------------------

MODEL = Path(__file__).parents[2] / "examples" / "storefront" / "models" / "chair.glb"


async def eventually(ask: Callable[[], Awaitable[T]], done: Callable[[T], bool]) -> T:
    async with asyncio.timeout(60):
        while True:
            answer = await ask()
            if done(answer):
                return answer
            await asyncio.sleep(0.05)


async def upload(glossi: Glossi, record: CreatedModel, path: Path, file_type: str = "glb") -> None:
    content = await asyncio.to_thread(path.read_bytes)
    sha256 = hashlib.sha256(content).hexdigest()
    await glossi.upload(record.upload_url, path, file_type=file_type, size=len(content), sha256=sha256)


async def ready_models(glossi: Glossi, *names: str) -> list[str]:
    records = await glossi.create_models([NewModel(name, "chair.glb", "glb") for name in names])
    for record in records:
        await upload(glossi, record, MODEL)
        assert (await glossi.confirm_model(record.model_id, "glb")).name == record.name
    ids = [record.model_id for record in records]
    await eventually(lambda: glossi.model_statuses(ids), lambda statuses: statuses.all_ready)
    return ids


def test_from_a_file_to_its_pictures_at_a_studio(studio: EmbeddedStudio, tmp_path: Path) -> None:
    async def main() -> None:
        async with Glossi(studio.url, studio.api_key) as glossi:
            public = await glossi.templates(internal=False)
            assert {"Studio Light", "Outdoor Scene", "Dark Luxe"} <= {template.name for template in public}
            assert await glossi.templates(public=False) == ()
            template = public[0].template_id

            lamp, chair = await ready_models(glossi, "Lámpara 灯", "Chair")
            room = await glossi.create_project([chair, lamp], template, "The room")
            assert (room.name, room.model_ids, room.template_id) == ("The room", (chair, lamp), template)
            alone = await glossi.create_projects([chair, lamp], template)
            assert [project.model_ids for project in alone] == [(chair,), (lamp,)]

            projects = [project.project_id for project in (room, *alone)]
            started = await glossi.start_renders(projects, RenderSettings(render_shots=False))
            assert [job.project_id for job in started] == projects
            for job in started:
                finished = await eventually(lambda job=job: glossi.render(job.job_id), lambda job: job.completed)  # type: ignore[misc]
                assert finished.files
                for number, file in enumerate(finished.files):
                    target = tmp_path / job.job_id / f"{number}.png"
                    assert (await glossi.download(file.file_path, target)).size == target.stat().st_size
                    assert target.read_bytes().startswith(b"\x89PNG")
            assert glossi.calls["POST /renders"] == 1 and glossi.calls["PUT upload"] == 2

    run(main)


def test_a_render_that_failed_is_retried_at_a_studio(studio: EmbeddedStudio) -> None:
    async def main() -> None:
        async with Glossi(studio.url, studio.api_key) as glossi:
            (model,) = await ready_models(glossi, "refuse")
            (template, *_) = await glossi.templates()
            project = await glossi.create_project([model], template.template_id, None)
            (job,) = await glossi.start_renders([project.project_id], RenderSettings(render_shots=False))
            failed = await eventually(lambda: glossi.render(job.job_id), lambda job: job.failed)
            assert failed.error_message and "easel" in failed.error_message
            assert failed.files == ()
            retried = await glossi.retry_render(job.job_id)
            assert (retried.job_id, retried.status, retried.project_id) == (job.job_id, "QUEUED", project.project_id)
            await eventually(lambda: glossi.render(job.job_id), lambda job: job.failed)

            (good,) = await ready_models(glossi, "Good")
            project = await glossi.create_project([good], template.template_id, None)
            (job,) = await glossi.start_renders([project.project_id], RenderSettings(render_shots=False))
            await eventually(lambda: glossi.render(job.job_id), lambda job: job.completed)
            with pytest.raises(Refused, match="FAILED"):
                await glossi.retry_render(job.job_id)

    run(main)


def test_the_webhook_of_a_studio_is_set_read_and_removed(studio: EmbeddedStudio) -> None:
    webhook = Webhook("https://shop.example/hooks", ("render.complete", "render.failed"), False, "for the shop")

    async def main() -> None:
        async with Glossi(studio.url, studio.api_key) as glossi:
            assert await glossi.get_webhook() is None
            stored = await glossi.put_webhook(webhook)
            assert stored.secret
            assert (stored.url, stored.events, stored.enabled, stored.description) == (
                webhook.url, webhook.events, webhook.enabled, webhook.description,
            )  # fmt: skip
            read = await glossi.get_webhook()
            assert read is not None and read.secret is None
            assert (read.id, read.url, read.events) == (stored.id, stored.url, stored.events)
            assert await glossi.delete_webhook() == Removal(True)
            assert await glossi.delete_webhook() == Removal(False, "the service has no webhook")
            assert await glossi.get_webhook() is None

    run(main)


@pytest.mark.parametrize("file_type", FILE_TYPES)
def test_a_studio_takes_each_file_type_by_its_signed_type(
    studio: EmbeddedStudio, tmp_path: Path, file_type: str
) -> None:
    """The type is part of what the studio signs, so a PUT with another one is refused."""
    path = tmp_path / f"thing.{file_type}"
    path.write_bytes(b"some bytes")

    async def main() -> None:
        async with Glossi(studio.url, studio.api_key, patience=IMPATIENT) as glossi:
            (record,) = await glossi.create_models([NewModel("Thing", path.name, file_type)])
            await upload(glossi, record, path, file_type)
            other = "obj" if file_type != "obj" else "stl"
            with pytest.raises(Refused, match="signature"):
                await upload(glossi, record, path, other)

    run(main)


def test_what_a_studio_does_not_know_is_not_found_and_a_wrong_key_is_refused(
    studio: EmbeddedStudio, tmp_path: Path
) -> None:
    nobody = "00000000-0000-4000-8000-000000000000"

    async def main() -> None:
        async with Glossi(studio.url, studio.api_key, patience=IMPATIENT) as glossi:
            statuses = await glossi.model_statuses([nobody])
            assert statuses == ModelStatuses((), (nobody,), False)
            for ask in (
                lambda: glossi.render(nobody),
                lambda: glossi.retry_render(nobody),
                lambda: glossi.confirm_model(nobody, "glb"),
                lambda: glossi.create_project([nobody], nobody, None),
                lambda: glossi.start_renders([nobody], RenderSettings()),
                lambda: glossi.download("workspaces/other/secret.png", tmp_path / "x"),
            ):
                with pytest.raises(NotFound):
                    await ask()  # type: ignore[no-untyped-call]
        async with Glossi(studio.url, "glsi_wrong_key", patience=IMPATIENT) as glossi:
            with pytest.raises(Unauthorized):
                await glossi.templates()

    run(main)
    assert list(tmp_path.iterdir()) == []


def test_a_download_from_a_studio_goes_on_where_it_was_broken_off(studio: EmbeddedStudio, tmp_path: Path) -> None:
    """By Range and ETag, as the studio really does them."""
    model = tmp_path / "large.obj"
    model.write_bytes(hashlib.sha256(b"x").digest() * 100_000)
    target = tmp_path / "home.obj"

    class Stumble(Exception):
        pass

    def stumble(received: int) -> None:
        raise Stumble

    async def main() -> None:
        async with Glossi(studio.url, studio.api_key, patience=IMPATIENT) as glossi:
            (record,) = await glossi.create_models([NewModel("Large", "large.obj", "obj")])
            await upload(glossi, record, model, "obj")
            path = (await glossi.confirm_model(record.model_id, "obj")).file_path
            with pytest.raises(Stumble):
                await glossi.download(path, target, progress=stumble)
            assert not target.exists()
            downloaded = await glossi.download(path, target)
            assert 1024 * 1024 <= downloaded.resumed_from < downloaded.size
            with pytest.raises(ReadFailed, match="were expected"):
                await glossi.download(path, tmp_path / "again.obj", size=7)

    run(main)
    assert target.read_bytes() == model.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home.obj", "large.obj"]
