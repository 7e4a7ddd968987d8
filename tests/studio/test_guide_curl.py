"""The workflow guide's own commands, run in bash against a studio: nothing but host, key, ids and paths is changed.

The commands lie in ``data/guide_curl`` as the guide has them, numbered in its order. Where the guide gives a request
as a JSON body alone (``*.json``), curl sends that body. Where the guide itself is at hand (GLOSSI_REFERENCE names its
folder), the copies are compared with it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from small_glb import box
from studio_client import HERE, REPOSITORY, WORKSPACE_TEMPLATE, Api, client_of_embedded, eventually

from glossi_sync.studio.embedded import EmbeddedStudio

COMMANDS = HERE / "data" / "guide_curl"
REFERENCE = Path(os.environ.get("GLOSSI_REFERENCE") or REPOSITORY.parent / "shared" / "reference")

HOST = "https://api.glossi.app"
KEY = "glsi_xxxxxxxxxx_xxxxx"
OWN = {
    *("<uploadUrl>", "/path/to/your/model.glb"),
    *("abc123-uuid", "template-uuid", "project-uuid", "job-uuid"),
    *("model-1-uuid", "model-2-uuid", "model-3-uuid", "project-1", "project-2", "project-3"),
}
"""What stands in the guide, beside host and key, for what is one's own: ids, and a path."""

runs_commands = pytest.mark.skipif(
    not all(map(shutil.which, ("bash", "curl", "jq"))), reason="the guide's commands need bash, curl and jq"
)


@pytest.fixture(scope="module")
def guide() -> str:
    path = REFERENCE / "service-workflow-guide.txt"
    if not path.is_file():
        pytest.skip(f"the guide is not at {path}")
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(path.name for path in COMMANDS.iterdir()))
def test_each_command_is_the_guides_own_text(guide: str, name: str) -> None:
    assert (COMMANDS / name).read_text(encoding="utf-8").removesuffix("\n") in guide


def test_no_command_of_the_guide_is_missing(guide: str) -> None:
    commands = "".join(path.read_text(encoding="utf-8") for path in COMMANDS.iterdir())
    assert commands.count("curl ") == guide.count("curl ") > 0
    documented = set(re.findall(rf"^(?:GET|POST|PUT) ({HOST}\S+?)(?:Headers:|Body:|$)", guide, re.MULTILINE))
    named = {url.replace("{modelId}", "abc123-uuid").replace("{jobId}", "job-uuid") for url in documented}
    # For the webhook alone the guide has no command, only a body.
    assert {url for url in named if url not in commands} == {f"{HOST}/api/v1/webhooks"}


@dataclass(frozen=True)
class Shell:
    """Runs the guide's commands in bash. ``home`` keeps the user's own curl settings out."""

    api: Api
    home: Path
    looks: frozenset[str] = frozenset({"Default"})
    """What the engine makes of a model whose one variant is called Oak."""

    def json(self, name: str, call: str = "", **own: str) -> Any:
        """A command's answer, which must be JSON with a 200. ``call``: where a body is all that the guide gives."""
        status, said = self.run(name, call, **own)
        assert status == "200", said
        return json.loads(said)

    def run(self, name: str, call: str = "", **own: str) -> tuple[str, str]:
        """The status of a command's last request, and what it printed. ``own`` by the words of the placeholders."""
        text = (COMMANDS / name).read_text(encoding="utf-8")
        if call:
            method, path = call.split()
            headers = f'-H "X-API-Key: {KEY}" -H "Content-Type: application/json"'
            text = f"curl -X {method} {HOST}/api/v1{path} {headers} -d '{text}'"
        changes = {placeholder: own.pop(re.sub(r"\W+", "_", placeholder).strip("_"), None) for placeholder in OWN}
        assert not own
        for placeholder, value in (changes | {HOST: self.api.origin, KEY: self.api.key}).items():
            assert (placeholder in text) == (value is not None) or placeholder in {HOST, KEY}
            text = text.replace(placeholder, value or "")
        return self.bash(text)

    def bash(self, command: str) -> tuple[str, str]:
        curlrc = 'silent\nshow-error\nnoproxy = "*"\nwrite-out = "%{stderr}%{http_code}\\n"\n'
        (self.home / ".curlrc").write_text(curlrc, encoding="utf-8")
        home = str(self.home)
        done = subprocess.run(
            ["bash", "-c", command],
            env={"PATH": os.environ["PATH"], "HOME": home, "CURL_HOME": home, "API_KEY": self.api.key},
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr.split()[-1], done.stdout

    def download(self, file_path: str) -> bytes:
        url = f"{self.api.url}/files/{file_path}"
        status, _ = self.bash(f'curl "{url}" -H "X-API-Key: {self.api.key}" -o "{self.home}/downloaded"')
        assert status == "200"
        return (self.home / "downloaded").read_bytes()

    def finished(self, job_id: str) -> Any:
        """The job once the guide's command says that it is COMPLETED or FAILED."""

        def ask() -> Any:
            job = self.json("14-render-status.sh", job_uuid=job_id)
            return job if job["status"] in {"COMPLETED", "FAILED"} else None

        return eventually(ask, pause=0.2)


STUDIOS = {"SQLite and a folder": "api", "PostgreSQL and S3": "api_elsewhere"}
"""The fixture of a studio that draws, by where it keeps its records and files."""


@pytest.fixture(params=STUDIOS)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Shell:
    return Shell(request.getfixturevalue(STUDIOS[request.param]), tmp_path)


@pytest.fixture(params=[*STUDIOS, pytest.param("filament", marks=pytest.mark.renders)])
def rendering_shell(request: pytest.FixtureRequest, tmp_path: Path, workspace_templates: Path) -> Iterator[Shell]:
    """A shell on studios that draw, and on one that renders, if not in full size."""
    if request.param in STUDIOS:
        yield Shell(request.getfixturevalue(STUDIOS[request.param]), tmp_path)
        return
    studio = EmbeddedStudio(
        tmp_path / "data", workers=1, templates=workspace_templates, engine="small_engines:DraftFilamentEngine"
    )
    with client_of_embedded(studio) as client:
        yield Shell(client, tmp_path, frozenset({"Oak"}))


@runs_commands
def test_the_guides_own_commands_lead_to_finished_pictures(rendering_shell: Shell, tmp_path: Path) -> None:
    shell = rendering_shell
    file = tmp_path / "product.glb"
    file.write_bytes(box(["Oak"]))

    # Step 1
    (model,) = shell.json("01-create-model.sh")["models"]
    model_id = model["modelId"]
    assert model == {
        "modelId": model_id,
        "name": "My Product",
        "uploadUrl": model["uploadUrl"],
        "uploadKey": model["uploadKey"],
    }
    assert shell.run("02-upload-file.sh", uploadUrl=model["uploadUrl"], path_to_your_model_glb=str(file)) == ("200", "")
    assert shell.json("03-confirm-upload.sh", abc123_uuid=model_id) == {
        "modelId": model_id,
        "name": "My Product",
        "status": "PENDING",
        "filePath": model["uploadKey"],
    }
    _, said = shell.run("05-wait-for-model.sh", abc123_uuid=model_id)
    assert said.splitlines()[-1] == "Model ready! Proceeding to create project..."
    assert shell.json("04-model-status.sh", abc123_uuid=model_id) == {
        "models": [{"modelId": model_id, "name": "My Product", "status": "READY", "ready": True}],
        "allReady": True,
        "notFound": [],
    }

    # Finding available templates
    templates = shell.json("06-templates.sh")["templates"]
    public = shell.json("07-templates-public.sh")["templates"]
    own = shell.json("08-templates-workspace.sh")["templates"]
    assert {template["name"] for template in public} >= {"Studio Light", "Outdoor Scene", "Dark Luxe"}
    assert [template["name"] for template in own] == [WORKSPACE_TEMPLATE]
    assert templates == public + own
    assert all(set(template) == {"templateId", "name", "description"} for template in templates)
    template_id = own[0]["templateId"]

    # Step 3
    (project,) = shell.json("09-create-project.sh", abc123_uuid=model_id, template_uuid=template_id)["projects"]
    project_id = project["projectId"]
    assert project == {
        "projectId": project_id,
        "name": "Product Photoshoot",
        "status": "PENDING",
        "modelIds": [model_id],
        "templateId": template_id,
    }

    # Steps 4 and 5
    for start, has_video in (
        (shell.json("11-start-render.json", "POST /renders", project_uuid=project_id), True),
        (shell.json("12-start-render-images-4k.sh", project_uuid=project_id), False),
    ):
        (job,) = start["jobs"]
        job_id = job["jobId"]
        assert start == {
            "jobs": [{"jobId": job_id, "status": "QUEUED", "projectId": project_id}],
            "totalProjects": 1,
        }
        finished = shell.finished(job_id)
        renders = finished.pop("renders")
        assert finished == {"jobId": job_id, "status": "COMPLETED", "projectId": project_id}
        cameras, looks = (set(part) for part in zip(*(render["name"].split(" - ") for render in renders), strict=True))
        assert "Front View" in cameras and ("360 Spin" in cameras) == has_video
        assert looks == shell.looks
        for render in renders:
            assert set(render) == {"id", "name", "filePath", "fileType", "isVideo"}
            assert (render["fileType"], render["isVideo"]) in {("PNG", False), ("MP4", True)}
            assert shell.download(render["filePath"])[4:8] == (b"ftyp" if render["isVideo"] else b"\r\n\x1a\n")


@runs_commands
def test_the_guides_bodies_make_and_render_a_project_for_each_model(shell: Shell) -> None:
    first, second, third = (shell.api.ready(name) for name in ("Lamp", "Chair", "Table"))
    template_id = shell.api.template_id()
    projects = shell.json(
        "10-create-project-per-model.json",
        "POST /projects",
        model_1_uuid=first,
        model_2_uuid=second,
        model_3_uuid=third,
        template_uuid=template_id,
    )["projects"]
    assert [project["modelIds"] for project in projects] == [[first], [second], [third]]
    ids = [project["projectId"] for project in projects]
    answer = shell.json(
        "13-start-many-renders.json", "POST /renders", project_1=ids[0], project_2=ids[1], project_3=ids[2]
    )
    assert answer["totalProjects"] == 3
    assert [job["projectId"] for job in answer["jobs"]] == ids
    assert {shell.finished(job["jobId"])["status"] for job in answer["jobs"]} == {"COMPLETED"}


@runs_commands
def test_the_guides_command_retries_a_failed_render(shell: Shell, tmp_path: Path) -> None:
    easel = tmp_path / "easel"
    project_id = shell.api.project(shell.api.ready(f"refuse until {easel}"))
    job_id = shell.api.start(project_id)
    failed = {"jobId": job_id, "status": "FAILED", "projectId": project_id}
    assert shell.finished(job_id) == failed | {"errorMessage": "the easel is too small for this"}
    easel.touch()
    retried = shell.json("15-retry-render.sh", job_uuid=job_id)
    batch_id = retried.pop("batchId")
    assert retried == failed | {"status": "QUEUED"} and batch_id
    assert shell.finished(job_id)["status"] == "COMPLETED"


@runs_commands
def test_the_guides_body_configures_the_webhook(shell: Shell) -> None:
    made = shell.json("16-put-webhook.json", "PUT /webhooks")
    asked = json.loads((COMMANDS / "16-put-webhook.json").read_text(encoding="utf-8"))
    assert made == asked | {"id": made["id"], "secret": made["secret"]}
    assert made["id"] and made["secret"]
    del made["secret"]
    assert shell.api.get("/webhooks").json() == made
    assert shell.api.http.delete(shell.api.url + "/webhooks").status_code == 204
