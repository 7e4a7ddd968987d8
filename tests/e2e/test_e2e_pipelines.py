"""The pipelines, run for real: a repository's way through pull request, merge, drift and revert, and each recipe's shell.

The action and the workflows are read and run by ``actions_runner``; the studio, the state's PostgreSQL and git are real;
``forge`` is GitHub and GitLab. Only the installation is not one: what the recipes ask pip for is written down, and the
console script of this environment is used.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from string import Template

import pytest
import yaml
from actions_runner import ROOT, Ended, Runner, pull_request
from counting_studio import Studio
from forge import TOKEN, Forge, running_forge
from shop import SCRIPT, Shop
from studio_elsewhere import postgresql

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="the recipes are for runners with a POSIX shell"),
    pytest.mark.skipif(not all(map(shutil.which, ("git", "curl", "jq"))), reason="needs git, curl and jq"),
]

GITHUB = ROOT / "examples" / "github"
INJECTION = "$(touch injected) `touch injected`; touch injected"


@pytest.fixture(scope="module")
def new_state() -> Iterator[Callable[[], str]]:
    """Call it for the URL of a new state in PostgreSQL."""
    with postgresql() as new_database:
        yield lambda: new_database().replace("+psycopg", "")


@pytest.fixture
def forge() -> Iterator[Forge]:
    with running_forge() as running:
        yield running


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """Programs that go before the machine's own, and write down what they are asked.

    ``python3`` makes virtual environments that have this one's console script, and only notes what pip is to install;
    ``curl`` is the real one.
    """
    folder = tmp_path / "tools"
    folder.mkdir()
    curl = folder / "curl"
    curl.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>"{folder}/curl.log"\nexec {shutil.which("curl")} "$@"\n')
    curl.chmod(0o755)
    python = folder / "python3"
    python.write_text(
        f"""#!/bin/sh
if [ "$2" = venv ]; then
  mkdir -p "$3/bin" && ln -sf "{python}" "$3/bin/python" && ln -sf "{SCRIPT}" "$3/bin/glossi-sync"
else
  printf '%s\\n' "$@" >>"{folder}/pip.log"
fi
""",
        encoding="utf-8",
    )
    python.chmod(0o755)
    return folder


@pytest.fixture
def shop(new_shop: Callable[..., Shop]) -> Shop:
    """Two products, each with a project and a render."""
    shop = new_shop(
        "catalogue", templates={"light": {"name": "Studio Light"}}, renderSettings={"web": {"renderShots": False}}
    )
    for key in ("lamp", "chair"):
        add(shop, key)
    return shop


def add(shop: Shop, key: str, **model: object) -> None:
    """One more product."""
    shop.model(key, key, **model)
    project = {"models": [key], "template": "light", "renders": ["web"]}
    shop.spec.setdefault("projects", {})[key] = project
    shop.save()


@pytest.fixture
def runner(tmp_path: Path, forge: Forge, tools: Path, studio: Studio) -> Runner:
    secrets = {"GLOSSI_API_KEY": studio.key}
    return Runner(tmp_path / "runner", forge, tools, secrets, {"endpoint": studio.url})


# --- GitHub ----------------------------------------------------------------------------------------------------------


class Repository:
    """A bare repository, the working copy that somebody pushes from, and a new checkout for each of the runner's."""

    def __init__(self, copy: Path, folder: Path) -> None:
        self.copy = copy
        self.bare = folder / "catalogue.git"
        self._folder = folder
        self._checkouts = 0
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", self.bare], check=True)
        self.git("init", "-q", "-b", "main")
        self.git("remote", "add", "origin", str(self.bare))

    def git(self, *arguments: str) -> None:
        author = ("-c", "user.name=Somebody", "-c", "user.email=somebody@shop.example")
        subprocess.run(["git", *author, *arguments], cwd=self.copy, check=True, capture_output=True)

    def push(self, message: str, branch: str) -> None:
        self.git("add", "glossi.yaml", "models")
        self.git("commit", "-q", "-m", message)
        self.git("push", "-q", "origin", branch)

    def checkout(self, branch: str) -> Path:
        self._checkouts += 1
        folder = self._folder / f"checkout {self._checkouts}"
        subprocess.run(["git", "clone", "-q", "-b", branch, self.bare, folder], check=True)
        return folder


def test_a_repository_from_pull_request_to_revert(
    shop: Shop, studio: Studio, forge: Forge, runner: Runner, new_state: Callable[[], str], tmp_path: Path
) -> None:
    state = new_state()
    runner.secrets = {**runner.secrets, "GLOSSI_STATE": state}
    repository = Repository(shop.folder, tmp_path)

    def workflow(
        name: str, branch: str, event_name: str, event: Mapping[str, object] | None = None
    ) -> dict[str, Ended]:
        ended = runner.workflow(GITHUB / name, repository.checkout(branch), event_name, event)
        shop.check_secrets(*(job.log for job in ended.values()), runner.summary, *map(str, forge.comments.values()))
        return ended

    def good(name: str, branch: str, event_name: str, event: Mapping[str, object] | None = None) -> dict[str, Ended]:
        ended = workflow(name, branch, event_name, event)
        assert [job.log for job in ended.values() if job.failed] == []
        return ended

    repository.push("A lamp and a chair", "main")
    good("merge.yml", "main", "push")
    first = studio.count()

    # A pull request shows its plan, and changes nothing.
    repository.git("checkout", "-q", "-b", "stool")
    add(shop, "stool")
    repository.push("A stool", "stool")
    arrived = studio.arrived()
    good("pull-request.yml", "stool", "pull_request", pull_request(12))
    [comment] = forge.comments[12]
    assert comment["body"].startswith("<!-- glossi-sync: catalogue -->\n")
    assert "model.stool" in comment["body"] and "model.lamp" not in comment["body"]

    # Another push updates that comment.
    shop.write("models/lamp.glb", "a better lamp")
    repository.push("A better lamp", "stool")
    good("pull-request.yml", "stool", "pull_request", pull_request(12))
    assert forge.comments[12] == [comment]
    assert "model.stool" in comment["body"] and "model.lamp" in comment["body"]
    assert studio.arrived() == arrived

    # The merge makes it so, by the plan that was kept.
    repository.git("checkout", "-q", "main")
    repository.git("merge", "-q", "--no-ff", "-m", "Stool and lamp", "stool")
    repository.git("push", "-q", "origin", "main")
    ended = good("merge.yml", "main", "push")
    assert ended["plan"].outputs == {"has-changes": "true"} and not ended["apply"].skipped
    assert studio.count() - first == {"models": 2, "projects": 2, "render_jobs": 2}
    assert (runner.artifacts["glossi-apply"] / "report.html").read_text(encoding="utf-8").startswith("<!")
    assert good("merge.yml", "main", "push")["apply"].skipped, "nothing is left to do"

    # The service has what the spec says, until it has not; an issue tells, once, until it is well again.
    good("nightly-drift.yml", "main", "schedule")
    assert forge.issues == []
    [(model_id,)] = studio.rows("SELECT model_id FROM models WHERE name = ? ORDER BY created_at DESC LIMIT 1", "stool")
    with studio.without_model(model_id):
        drift = runner.action(repository.checkout("main"), "schedule", command="drift", state=state, api_key=studio.key)
        assert (drift.failed, drift.outputs["exit-code"], drift.outputs["has-changes"]) == (
            "Run glossi-sync",
            "2",
            "true",
        )
        good("nightly-drift.yml", "main", "schedule")
        good("nightly-drift.yml", "main", "schedule")
        [issue] = forge.issues
        assert "stool" in issue["body"] and issue["state"] == "open"
    good("nightly-drift.yml", "main", "schedule")
    assert [one["state"] for one in forge.issues] == ["closed"]

    # The revert uploads nothing and renders nothing.
    arrived = studio.arrived()
    repository.git("revert", "-m", "1", "--no-edit", "HEAD")
    repository.git("push", "-q", "origin", "main")
    assert not good("merge.yml", "main", "push")["apply"].skipped
    assert studio.arrived() == arrived
    assert good("merge.yml", "main", "push")["apply"].skipped, "what was made before is bound again"


def test_the_shards_workflow_leaves_nothing_to_do(
    shop: Shop, studio: Studio, runner: Runner, new_state: Callable[[], str]
) -> None:
    runner.secrets = {**runner.secrets, "GLOSSI_STATE": new_state()}
    before = studio.count()
    ended = runner.workflow(GITHUB / "shards.yml", shop.folder, "push")
    assert [job.log for job in ended.values() if job.failed or job.skipped] == []
    assert studio.count() - before == {"models": 2, "projects": 2, "render_jobs": 2}
    assert {f"glossi-apply-{number}-4" for number in (1, 2, 3, 4)} <= runner.artifacts.keys()


def test_a_large_plan_with_hostile_names_is_a_comment_and_runs_nothing(
    shop: Shop, runner: Runner, forge: Forge, tools: Path
) -> None:
    for number in range(700):
        key = f"product-{number:04}-{'x' * 100}"
        shop.spec["models"][key] = {"file": "models/lamp.glb", "name": f"{number} {INJECTION}"}
        shop.spec.setdefault("projects", {})[key] = {"name": INJECTION, "models": [key], "template": "light"}
    shop.save()
    others = [forge.comment(3, "<!-- glossi-sync: catalogue -->\nmine", login="somebody") for _ in range(120)]
    for _ in range(2):
        ended = runner.action(
            shop.folder, "pull_request", pull_request(3), command="plan", api_key=runner.secrets["GLOSSI_API_KEY"]
        )
        assert ended.failed is None, ended.log
    [ours] = [one for one in forge.comments[3] if one not in others]
    assert 50_000 < len(ours["body"]) < 60_000
    assert forge.written() == [
        "POST /repos/shop/catalogue/issues/3/comments",
        f"PATCH /repos/shop/catalogue/issues/comments/{ours['id']}",
    ]
    on_command_lines = (tools / "curl.log").read_text(encoding="utf-8").splitlines()
    assert on_command_lines and TOKEN not in "".join([ended.log, *on_command_lines])
    assert max(map(len, on_command_lines)) < 300, "a text is an argument"
    assert list(shop.folder.rglob("*injected*")) == []


def test_a_comment_that_cannot_be_written_fails_the_step_in_words(shop: Shop, runner: Runner) -> None:
    good = {"command": "plan", "api_key": runner.secrets["GLOSSI_API_KEY"]}
    ended = runner.action(shop.folder, "pull_request", pull_request(3), **good, token="of somebody without rights")
    assert ended.failed == "Comment on the pull request"
    assert ended.log.splitlines()[-1].endswith("issues/3/comments?per_page=100&page=1: Bad credentials")


@pytest.mark.parametrize("name", ["args", "spec", "shard", "extras", "version", "command", "plan_file"])
def test_no_input_becomes_part_of_a_script(name: str, shop: Shop, runner: Runner) -> None:
    good = {"command": "apply" if name == "plan_file" else "plan", "api_key": runner.secrets["GLOSSI_API_KEY"]}
    ended = runner.action(shop.folder, "push", **(good | {name: INJECTION}))
    assert ended.failed, ended.log
    assert ended.outputs["has-changes"] == "", "it is taken for a plan"
    assert list(runner.folder.parent.rglob("injected")) == []


def test_a_forks_pull_request_is_not_commented_on(shop: Shop, runner: Runner, forge: Forge) -> None:
    event = pull_request(5, fork=True)
    assert runner.workflow(GITHUB / "pull-request.yml", shop.folder, "pull_request", event)["plan"].skipped
    ended = runner.action(shop.folder, "pull_request", event, command="plan", api_key=runner.secrets["GLOSSI_API_KEY"])
    assert (ended.failed, forge.asked) == (None, [])
    assert "model.lamp" in runner.summary


def test_what_a_step_asks_pip_for(shop: Shop, runner: Runner, tools: Path) -> None:
    def asked(**inputs: str) -> str:
        (tools / "pip.log").unlink(missing_ok=True)
        runner.action(shop.folder, "push", command="none", **inputs)
        return (tools / "pip.log").read_text(encoding="utf-8").splitlines()[-1]

    assert asked() == f"{ROOT}[buckets,postgres,report]"
    assert asked(extras="", version="0.1.0") == "glossi-sync==0.1.0"


# --- GitLab, Jenkins and plain shell ---------------------------------------------------------------------------------


@pytest.fixture
def published(tmp_path: Path) -> str:
    """The URL of a repository with this project's pipelines, as the recipes clone it."""
    copy = tmp_path / "published"
    shutil.copytree(ROOT / "pipelines", copy / "pipelines")
    repository = ("-c", "user.name=Us", "-c", "user.email=us@glossi.example")
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "0.1.0"], ["tag", "v0.1.0"]):
        subprocess.run(["git", *repository, *arguments], cwd=copy, check=True)
    return copy.as_uri()


def gitlab(shop: Shop, forge: Forge, tools: Path, builds: Path, published: str, **pipeline: str) -> dict[str, str]:
    """Run the template's jobs that this pipeline has; returns what each printed."""
    template = yaml.safe_load((ROOT / "examples" / "gitlab" / ".gitlab-ci.yml").read_text(encoding="utf-8"))
    base = template.pop(".glossi")
    given = {
        "CI_API_V4_URL": forge.url,
        "CI_BUILDS_DIR": str(builds),
        "CI_DEFAULT_BRANCH": "main",
        "CI_PROJECT_ID": "7",
        "GITLAB_TOKEN": TOKEN,
        "GLOSSI_API_KEY": shop.studio.key,
        **pipeline,
    }
    variables = template["variables"] | {"GLOSSI_ENDPOINT": shop.studio.url, "GLOSSI_SYNC_REPOSITORY": published}
    ran: dict[str, str] = {}
    for name, job in template.items():
        if "script" not in job or not any(_rule(rule["if"], given) for rule in job["rules"]):
            continue
        job_variables = {**given, "CI_JOB_ID": name}
        filled = {key: Template(value).substitute(job_variables) for key, value in variables.items()}
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", "\n".join(base["before_script"] + job["script"])],
            cwd=shop.folder,
            env={"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "HOME": str(builds), **job_variables, **filled},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        shop.check_secrets(done.stdout, done.stderr)
        ran[name] = done.stdout
    return ran


def _rule(rule: str, variables: Mapping[str, str]) -> bool:
    """Whether a rule's condition holds: ``$NAME``, texts in quotes, ``== != &&``."""
    return bool(eval(re.sub(r"\$(\w+)", lambda found: repr(variables.get(found[1])), rule).replace("&&", " and ")))


def test_gitlab_from_merge_request_to_drift(
    shop: Shop, studio: Studio, forge: Forge, tools: Path, tmp_path: Path, published: str
) -> None:
    builds = tmp_path / "builds"

    def run(**pipeline: str) -> dict[str, str]:
        shutil.rmtree(builds, ignore_errors=True)
        builds.mkdir()
        return gitlab(shop, forge, tools, builds, published, **pipeline)

    request = {"CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_IID": "4"}
    theirs = forge.note(4, "<!-- glossi-sync: catalogue -->\nnot yours", author=1)
    for _ in range(2):
        assert list(run(**request)) == ["glossi-plan"]
        [note] = [one for one in forge.notes[4] if one != theirs]
    notes = "/projects/7/merge_requests/4/notes"
    assert forge.written() == [f"POST {notes}", f"PUT {notes}/{note['id']}"]
    assert "model.lamp" in note["body"]

    before = studio.count()
    assert list(run(CI_PIPELINE_SOURCE="push", CI_COMMIT_BRANCH="main")) == ["glossi-apply"]
    assert studio.count() - before == {"models": 2, "projects": 2, "render_jobs": 2}
    assert list(run(CI_PIPELINE_SOURCE="schedule", CI_COMMIT_BRANCH="main")) == ["glossi-drift"]
    assert run(CI_PIPELINE_SOURCE="push", CI_COMMIT_BRANCH="stool") == {}


def test_a_note_may_be_larger_than_a_command_line(forge: Forge, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- glossi-sync: shop -->\n" + "Stühle & `Tische`\n" * 40_000, encoding="utf-8")
    known = {"CI_API_V4_URL": forge.url, "CI_PROJECT_ID": "7", "CI_MERGE_REQUEST_IID": "4", "GITLAB_TOKEN": TOKEN}
    script = ROOT / "pipelines" / "gitlab.sh"
    subprocess.run(["sh", script, "note", page], env={"PATH": os.environ["PATH"], **known}, check=True)
    assert forge.notes[4][0]["body"] == page.read_text(encoding="utf-8")


def test_jenkins_steps_fetch_once_and_run(
    shop: Shop, studio: Studio, tools: Path, tmp_path: Path, published: str
) -> None:
    jenkins = ROOT / "examples" / "jenkins"
    shutil.copy(jenkins / "sync.sh", shop.folder)
    steps = re.findall(r"sh '(.+)'", (jenkins / "Jenkinsfile").read_text(encoding="utf-8"))
    assert steps == ["sh sync.sh plan", "sh sync.sh drift", "sh sync.sh apply"]

    def run(step: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-xe", "-c", step],
            cwd=shop.folder,
            env={
                "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
                "HOME": str(tmp_path),
                "GLOSSI_API_KEY": studio.key,
                "GLOSSI_ENDPOINT": studio.url,
                "GLOSSI_SYNC_REPOSITORY": published,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    plan, drift, apply = steps
    assert run(plan).returncode == 0
    assert (shop.folder / "glossi-pipeline" / "plan.json").exists()
    shutil.rmtree(tmp_path / "published")
    assert run(apply).returncode == 0
    assert run(drift).returncode == 0
    assert (tools / "pip.log").read_text(encoding="utf-8").count("install\n") == 1
