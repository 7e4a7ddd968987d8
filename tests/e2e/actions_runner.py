"""GitHub's runner, as far as the project's own action and workflows ask for one: their shell steps are run for real.

Jobs, needs, matrices, steps, conditions and expressions are read from the files themselves. What other actions would
do stands here: a checkout is there already, an artifact is a folder.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import yaml
from forge import BOT, TOKEN, Forge

ROOT = Path(__file__).parents[2]
ACTION = ROOT / "action.yml"
US = re.compile(r"glossi-sync/glossi-sync@v[0-9.]+")

Context = Mapping[str, Any]


@dataclass
class Ended:
    """What became of a job, or of the action: ``failed`` names the step that did."""

    outputs: dict[str, str] = field(default_factory=dict)
    failed: str | None = None
    skipped: bool = False
    log: str = ""


@dataclass
class Runner:
    """A runner of one repository, in ``folder``; ``tools`` goes before everything on its PATH.

    ``inputs`` are given to the action in place of what a workflow gives it.
    """

    folder: Path
    forge: Forge
    tools: Path
    secrets: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    artifacts: dict[str, Path] = field(default_factory=dict)
    summary: str = ""
    jobs: int = 0

    def workflow(self, path: Path, workspace: Path, event_name: str, event: Context | None = None) -> dict[str, Ended]:
        """Run a workflow's jobs, in the order in which they stand, on a checkout of the repository."""
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        github = self._github(event_name, event or {})
        self.artifacts.clear()
        ended: dict[str, Ended] = {}
        for name, job in document["jobs"].items():
            needed = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
            known = {"github": github, "secrets": self.secrets, "needs": {one: vars(ended[one]) for one in needed}}
            known["env"] = {key: fill(str(value), known) for key, value in document.get("env", {}).items()}
            if any(ended[one].failed or ended[one].skipped for one in needed) or not holds(job.get("if", ""), known):
                ended[name] = Ended(skipped=True)
                continue
            for matrix in _matrices(job):
                ended[name] = self._job(job, workspace, known | {"matrix": matrix})
                if ended[name].failed:
                    break
        return ended

    def action(self, workspace: Path, event_name: str, event: Context | None = None, **inputs: str) -> Ended:
        """Run the action alone, with those inputs (``_`` for ``-``)."""
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        self.artifacts.clear()
        return self._action(given, workspace, self._temp(), self._github(event_name, event or {}))

    def _github(self, event_name: str, event: Context) -> dict[str, Any]:
        return {"event_name": event_name, "event": event, "repository": "shop/catalogue", "token": TOKEN, "ref": "main"}

    def _temp(self) -> Path:
        self.jobs += 1
        temp = self.folder / f"job {self.jobs}"
        temp.mkdir(parents=True)
        return temp

    def _job(self, job: Context, workspace: Path, known: Context) -> Ended:
        temp = self._temp()
        steps: dict[str, Any] = {}
        log = ""
        for step in job["steps"]:
            if not holds(step.get("if", ""), known | {"steps": steps}):
                continue
            if "run" in step:
                done, _ = self._shell(step, known | {"steps": steps}, workspace, temp, [])
                if done.returncode:
                    return Ended(failed=step["name"], log=log + done.stdout + done.stderr)
                continue
            given = {key: fill(str(value), known | {"steps": steps}) for key, value in step.get("with", {}).items()}
            uses = step["uses"]
            if uses.startswith("actions/checkout@"):
                continue
            if uses.startswith("actions/download-artifact@"):
                shutil.copytree(self.artifacts[given["name"]], workspace / given["path"], dirs_exist_ok=True)
                continue
            assert US.fullmatch(uses), uses
            ended = self._action(given, workspace, temp, known["github"])
            log += ended.log
            if ended.failed:
                return Ended(failed=ended.failed, log=log)
            if "id" in step:
                steps[step["id"]] = {"outputs": ended.outputs}
        outputs = {name: fill(text, known | {"steps": steps}) for name, text in job.get("outputs", {}).items()}
        return Ended(outputs, log=log)

    def _action(self, given: Mapping[str, str], workspace: Path, temp: Path, github: Context) -> Ended:
        action = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
        assert given.keys() <= action["inputs"].keys()
        first = {"github": github, "runner": {"temp": str(temp)}}
        inputs = {name: fill(one.get("default", ""), first) for name, one in action["inputs"].items()}
        inputs |= given | self.inputs
        missing = [name for name, one in action["inputs"].items() if one.get("required") and not inputs[name]]
        assert not missing
        steps: dict[str, Any] = {}
        known = first | {"inputs": inputs, "steps": steps}
        failed: str | None = None
        log = ""
        paths: list[str] = []
        for step in action["runs"]["steps"]:
            if not holds(step.get("if", ""), known, failed=failed is not None):
                continue
            if "uses" in step:
                filled = {key: fill(str(value), known) for key, value in step["with"].items()}
                if step["uses"].startswith("actions/upload-artifact@"):
                    self._keep(filled["name"], Path(filled["path"]), temp)
                continue
            done, outputs = self._shell(step, known, workspace, temp, paths)
            log += done.stdout + done.stderr
            steps[step.get("id", "")] = {"outputs": outputs}
            if done.returncode:
                failed = failed or step["name"]
        outputs = {name: fill(one["value"], known) for name, one in action["outputs"].items()}
        return Ended(outputs, failed, log=log)

    def _keep(self, name: str, path: Path, temp: Path) -> None:
        assert re.fullmatch(r"[A-Za-z0-9-]+", name), name
        assert name not in self.artifacts, f"{name} is uploaded twice"
        self.artifacts[name] = temp / "artifacts" / name
        shutil.copytree(path, self.artifacts[name])

    def _shell(
        self, step: Context, known: Context, workspace: Path, temp: Path, paths: list[str]
    ) -> tuple[subprocess.CompletedProcess[str], dict[str, str]]:
        files = {name: temp / f"{name}-{len(list(temp.iterdir()))}" for name in ("output", "summary", "path", "event")}
        for path in files.values():
            path.touch()
        files["event"].write_text(json.dumps(known["github"]["event"]), encoding="utf-8")
        script = temp / "step.sh"
        script.write_text(step["run"], encoding="utf-8")
        environment = {
            "PATH": os.pathsep.join([*reversed(paths), str(self.tools), os.environ["PATH"]]),
            "HOME": str(temp),
            "LANG": "C.UTF-8",
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_API_URL": self.forge.url,
            "GITHUB_EVENT_NAME": known["github"]["event_name"],
            "GITHUB_EVENT_PATH": str(files["event"]),
            "GITHUB_OUTPUT": str(files["output"]),
            "GITHUB_PATH": str(files["path"]),
            "GITHUB_REPOSITORY": known["github"]["repository"],
            "GITHUB_STEP_SUMMARY": str(files["summary"]),
            "GITHUB_WORKSPACE": str(workspace),
            "RUNNER_TEMP": str(temp),
        }
        environment |= {name: fill(str(value), known) for name, value in step.get("env", {}).items()}
        assert step.get("shell", "bash") == "bash"
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", script],
            cwd=workspace,
            env=environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        self.summary += files["summary"].read_text(encoding="utf-8")
        paths += files["path"].read_text(encoding="utf-8").split("\n")[:-1]
        lines = files["output"].read_text(encoding="utf-8").splitlines()
        return done, dict(line.split("=", 1) for line in lines)


def pull_request(number: int, *, fork: bool = False) -> dict[str, Any]:
    """The event of a pull request."""
    owner = "somebody-else" if fork else "shop"
    head = {"repo": {"full_name": f"{owner}/catalogue"}}
    return {"pull_request": {"number": number, "head": head, "user": {"login": BOT}}}


def _matrices(job: Context) -> list[dict[str, Any]]:
    matrix = job.get("strategy", {}).get("matrix", {})
    return [dict(zip(matrix, values, strict=True)) for values in product(*matrix.values())]


# --- expressions -----------------------------------------------------------------------------------------------------

_TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<sign>&&|\|\||==|!=|!|\(|\))|(?P<name>[A-Za-z_][\w.-]*))")
_SIGNS = {"&&": " and ", "||": " or ", "!": " not "}


def fill(text: str, known: Context) -> str:
    """The text with its ``${{ expressions }}`` replaced by their values."""
    return re.sub(r"\$\{\{(.*?)\}\}", lambda found: _told(evaluate(found[1], known)), text)


def holds(condition: str, known: Context, *, failed: bool = False) -> bool:
    """Whether a step or a job with that ``if`` is run."""
    always = "always()" in condition
    condition = re.sub(r"^\s*\$\{\{(.*)\}\}\s*$", r"\1", condition)
    return (always or not failed) and (not condition or bool(evaluate(condition.replace("always()", "true"), known)))


def evaluate(expression: str, known: Context) -> Any:
    """The value of an expression of strings, names, ``== != && || !`` and parentheses."""
    written: list[str] = []
    place = 0
    while place < len(expression.rstrip()):
        found = _TOKEN.match(expression, place)
        assert found, f"not understood: {expression[place:]}"
        place = found.end()
        if found["text"]:
            written.append(repr(found["text"][1:-1].replace("''", "'")))
        elif found["sign"]:
            written.append(_SIGNS.get(found["sign"], found["sign"]))
        else:
            written.append(f"look({found['name']!r})")

    def look(name: str) -> Any:
        if name in ("true", "false"):
            return name == "true"
        value: Any = known
        for part in name.split("."):
            value = value.get(part, "") if isinstance(value, Mapping) else ""
        return value

    return eval("".join(written), {"look": look})


def _told(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
