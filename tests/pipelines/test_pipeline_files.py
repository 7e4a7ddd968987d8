"""The recipes' files: each fits its service's published schema, shellcheck finds nothing, and their commands exist."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from glossi_sync.cli import main

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
WORKFLOWS = sorted((EXAMPLES / "github").glob("*.yml"))
MANIFESTS = sorted((EXAMPLES / "kubernetes").glob("*.yaml"))
SCRIPTS = sorted([*(ROOT / "pipelines").glob("*.sh"), *EXAMPLES.glob("*/*.sh")])

SCHEMAS = {
    ROOT / "action.yml": "vendor.github-actions",
    EXAMPLES / "gitlab" / ".gitlab-ci.yml": "vendor.gitlab-ci",
    **dict.fromkeys(WORKFLOWS, "vendor.github-workflows"),
}


@pytest.mark.parametrize("schema", sorted(set(SCHEMAS.values())))
def test_a_service_takes_its_files(schema: str) -> None:
    files = [path for path, one in SCHEMAS.items() if one == schema]
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
def test_shellcheck_finds_nothing_in_the_scripts() -> None:
    done = subprocess.run(
        ["shellcheck", "-x", "-P", "SCRIPTDIR", *SCRIPTS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
def test_shellcheck_finds_nothing_in_what_is_written_within_the_files() -> None:
    for text in embedded():
        command = ["shellcheck", "-s", "bash", "-"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.skipif(shutil.which("actionlint") is None, reason="needs actionlint")
def test_actionlint_finds_nothing_in_the_workflows() -> None:
    done = subprocess.run(["actionlint", *WORKFLOWS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def embedded() -> Iterator[str]:
    """The shell of the action's steps, of the workflows' and of the template's jobs."""
    steps = list(_load(ROOT / "action.yml")["runs"]["steps"])
    for path in WORKFLOWS:
        steps += [step for job in _load(path)["jobs"].values() for step in job["steps"]]
    yield from (step["run"] for step in steps if "run" in step)
    template = _load(EXAMPLES / "gitlab" / ".gitlab-ci.yml")
    jobs = [job for job in template.values() if isinstance(job, dict)]
    yield from ("\n".join(job[part]) for job in jobs for part in ("before_script", "script") if part in job)


def test_no_expression_is_part_of_a_script() -> None:
    texts = list(embedded())
    assert texts
    assert [text for text in texts if "${{" in text] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_gives_the_action_inputs_that_it_has(path: Path) -> None:
    inputs = _load(ROOT / "action.yml")["inputs"]
    steps = [
        step for job in _load(path)["jobs"].values() for step in job["steps"] if "glossi-sync@" in step.get("uses", "")
    ]
    assert steps
    for step in steps:
        assert step["with"].keys() <= inputs.keys()
        assert step["with"]["api-key"].startswith("${{ secrets.")
    permissions = _load(path)["permissions"]
    assert permissions.pop("contents") == "read"
    wanted = {"pull-request.yml": {"pull-requests": "write"}, "nightly-drift.yml": {"issues": "write"}}
    assert permissions == wanted.get(path.name, {})


@pytest.mark.parametrize(
    "path", [path for path in MANIFESTS if path.stem != "kustomization"], ids=lambda path: path.name
)
def test_kubernetes_takes_the_manifests(path: Path) -> None:
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        kubernetes_validate.validate(document, "1.30", strict=True)


def pods() -> dict[str, Any]:
    """The pods that the manifests make, by what makes them."""
    made: dict[str, Any] = {}
    for path in MANIFESTS:
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            spec = document.get("spec", {})
            template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
            if template is not None:
                made[f"{document['kind']}/{document['metadata']['name']}"] = template["spec"]
    return made


PODS = pods()


@pytest.mark.parametrize("name", PODS)
def test_a_pod_may_do_nothing_that_it_need_not(name: str) -> None:
    pod = PODS[name]
    assert pod["securityContext"]["runAsNonRoot"] and pod["automountServiceAccountToken"] is False
    for container in pod["containers"] + pod.get("initContainers", []):
        locked = container["securityContext"]
        assert locked["readOnlyRootFilesystem"] and not locked["allowPrivilegeEscalation"]
        assert locked["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"] and container["resources"]["requests"]["cpu"]


@pytest.mark.parametrize("name", PODS)
def test_a_pods_command_is_one(name: str) -> None:
    [container] = PODS[name]["containers"]
    command, *arguments = container["args"]
    found = main.get_command(None, command)  # type: ignore[arg-type]
    assert found is not None
    found.make_context(command, arguments)


def test_only_one_job_of_a_kind_runs_at_a_time() -> None:
    jobs = [_load(EXAMPLES / "kubernetes" / f"{name}.yaml") for name in ("apply", "drift")]
    assert [job["spec"]["concurrencyPolicy"] for job in jobs] == ["Forbid", "Forbid"]
    assert _load(EXAMPLES / "gitlab" / ".gitlab-ci.yml")["glossi-apply"]["resource_group"]
    for path in (EXAMPLES / "github" / "merge.yml", EXAMPLES / "github" / "shards.yml"):
        assert _load(path)["concurrency"]["cancel-in-progress"] is False
    assert "disableConcurrentBuilds()" in (EXAMPLES / "jenkins" / "Jenkinsfile").read_text(encoding="utf-8")


def test_the_kustomization_names_files_that_are_there() -> None:
    folder = EXAMPLES / "kubernetes"
    assert all((folder / name).is_file() for name in _load(folder / "kustomization.yaml")["resources"])


def test_the_recipes_are_for_the_version_that_they_lie_beside() -> None:
    from glossi_sync import __version__

    named = [
        version
        for path in [
            *EXAMPLES.glob("git*/*.yml"),
            *EXAMPLES.glob("git*/.*.yml"),
            *SCRIPTS,
            *EXAMPLES.glob("*/README.md"),
        ]
        for version in re.findall(
            r"glossi-sync@v([\d.]+\d)|_REF(?::|:-| =) ?v([\d.]+\d)", path.read_text(encoding="utf-8")
        )
    ]
    assert {"".join(one) for one in named} == {__version__}


def _load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))
