"""The user's side of the end-to-end tests: a folder with a spec, and the installed console script run in it.

``Shop.applied`` is how every test applies where nothing is meant to go wrong: it plans first, applies, and holds the
apply to the plan, with the studio's own count as a witness.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Timer
from typing import Any, ClassVar

import jsonschema
import yaml
from counting_studio import Studio
from triangle import triangle

SCRIPT = Path(sys.executable).with_name("glossi-sync.exe" if os.name == "nt" else "glossi-sync")
"""The console script, as pip installs it beside the interpreter."""

ROOT = Path(__file__).parents[2]

MADE = {"record": "models", "create": "projects", "start": "render_jobs"}
"""The steps that make something new at the studio, and where its records show it."""


@dataclass(frozen=True)
class Ran:
    """What came of one run of the console script."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The one line that the run said on stderr."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        return lines[0]


class Running:
    """The console script while it runs. Its stdout is read line by line; its stderr goes to a file.

    ``begun`` are all that a test has started.
    """

    begun: ClassVar[list[Running]] = []

    def __init__(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], *, encoding: str
    ) -> None:
        self._err = tempfile.TemporaryFile("w+", encoding=encoding)
        self._lines: list[str] = []
        self._process = process = subprocess.Popen(
            [SCRIPT, *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._err,
            encoding=encoding,
        )
        # A defect must not make the tests wait without end.
        self._watchdog = Timer(90, process.kill)
        self._watchdog.daemon = True
        self._watchdog.start()
        Running.begun.append(self)

    @property
    def pid(self) -> int:
        return self._process.pid

    def until(self, event: str, times: int = 1) -> bool:
        """Read ``apply --format json`` until it has told an event so often; False where it ended before that."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line)
            times -= json.loads(line)["event"] == event
            if not times:
                return True
        return False

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def finish(self) -> Ran:
        with self._process, self._err:
            assert self._process.stdout is not None
            self._lines += self._process.stdout
            code = self._process.wait()
            self._watchdog.cancel()
            self._err.seek(0)
            return Ran(code, "".join(self._lines), self._err.read())

    def abandon(self) -> None:
        """End it, whatever it does."""
        self._watchdog.cancel()
        self._process.kill()
        self._process.wait()


@dataclass(frozen=True)
class Applied:
    """What an apply said (its events, its summary), what its plan had said, and what arrived at the studio."""

    plan: Mapping[str, Any]
    events: list[dict[str, Any]]
    summary: Mapping[str, Any]
    arrived: Mapping[str, int]
    made: Mapping[str, int]
    err: str

    def actions(self) -> dict[str, str]:
        """The action of every address that the plan would touch."""
        return {one["address"]: one["action"] for one in self.plan["changes"] if one["action"] != "none"}

    def change(self, address: str) -> Mapping[str, Any]:
        return next(one for one in self.plan["changes"] if one["address"] == address)

    def happened(self, event: str) -> list[dict[str, Any]]:
        return [one for one in self.events if one["event"] == event]


@dataclass
class Shop:
    """A user's folder. ``spec`` is the document; ``save`` writes it to ``glossi.yaml``."""

    folder: Path
    studio: Studio
    spec: dict[str, Any] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    """What no output and no file of the state may hold."""

    def __post_init__(self) -> None:
        self.secrets.add(self.studio.key)
        self.folder.mkdir(parents=True, exist_ok=True)

    # --- what the user has ------------------------------------------------------------------------------------------

    def model(self, key: str, content: str, **more: Any) -> None:
        """An entry of ``models``, and its file; the content is told apart by this folder's name, too."""
        file = more.pop("file", f"models/{key}.glb")
        self.write(file, content)
        self.spec.setdefault("models", {})[key] = {"file": file, **more}

    def write(self, file: str, content: str) -> None:
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(triangle(f"{self.folder} {content}"))

    def save(self) -> None:
        text = yaml.safe_dump(self.spec, sort_keys=False, allow_unicode=True)
        (self.folder / "glossi.yaml").write_text(text, encoding="utf-8")

    def copy(self, folder: Path) -> Shop:
        """The same folder, its state included, at another place: to go on from what was made already."""
        shutil.copytree(self.folder, folder)
        spec = yaml.safe_load((folder / "glossi.yaml").read_text(encoding="utf-8"))
        return Shop(folder, self.studio, spec, set(self.secrets))

    @property
    def state(self) -> Path:
        """The state's file."""
        (path,) = (self.folder / "state").glob("*.db")
        return path

    def renders(self) -> dict[str, bytes]:
        """The files that were brought home, by their path below the downloads folder."""
        home = self.folder / self.spec.get("downloads", {}).get("to", "renders")
        return {path.relative_to(home).as_posix(): path.read_bytes() for path in home.rglob("*") if path.is_file()}

    # --- what the user does -----------------------------------------------------------------------------------------

    def environment(self, **more: str) -> dict[str, str]:
        """This process's environment without anything of glossi-sync's, but the studio's key."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("GLOSSI_")}
        return {**inherited, "GLOSSI_API_KEY": self.studio.key, **more}

    def start(self, *arguments: str, encoding: str = "utf-8", **more: str) -> Running:
        """The console script, begun; ``more`` are variables of its environment, ``encoding`` its output's."""
        return Running(arguments, self.folder, self.environment(**more), encoding=encoding)

    def finish(self, running: Running, code: int | None = 0) -> Ran:
        """Wait for the console script's end; ``code`` is what it must exit with (None: anything)."""
        ran = running.finish()
        assert code is None or ran.code == code, f"exit {ran.code}, not {code}\n{ran.err}\n{ran.out}"
        assert "Traceback" not in ran.err, ran.err
        self.check_secrets(ran.out, ran.err)
        return ran

    def run(self, *arguments: str, code: int | None = 0, encoding: str = "utf-8", **more: str) -> Ran:
        """The console script, run to its end."""
        return self.finish(self.start(*arguments, encoding=encoding, **more), code)

    def plan(self, *options: str) -> dict[str, Any]:
        """What ``plan --format json --all`` says; checked against its schema, and that nothing was asked for."""
        before = self.studio.arrived()
        document = json.loads(self.run("plan", "--format", "json", "--all", *options).out)
        assert self.studio.arrived() == before
        _plan_schema().validate(document)
        return document

    def settled(self) -> bool:
        """Whether a plan finds nothing to do and no trouble."""
        return all(one["action"] == "none" and "trouble" not in one for one in self.plan()["changes"])

    def applied(self, *options: str, code: int = 0, beyond: Mapping[str, int] | None = None) -> Applied:
        """Plan, apply, and hold the apply to its plan.

        ``options`` are for both (``--retry-failed``). ``beyond`` are steps that the service's refusals call for and
        that no plan can know: a render that fails is retried within the same apply.
        """
        plan = self.plan(*options)
        applied = self.apply(plan, *options, code=code)
        further = Counter(beyond or {})
        assert Counter(applied.summary["steps"]) == Counter(plan["summary"]["steps"]) + further
        bound = Counter(plan["summary"]["calls"]) + Counter({"POST /renders/{id}/retry": further["retry"]})
        assert Counter(applied.summary["calls"]) <= bound
        assert applied.arrived == Counter(applied.summary["calls"])
        taken = Counter({MADE[step]: count for step, count in applied.summary["steps"].items() if step in MADE})
        assert applied.made == taken
        return applied

    def apply(self, plan: Mapping[str, Any], *options: str, code: int | None) -> Applied:
        """Apply alone, with what arrived at the studio meanwhile."""
        before, had = self.studio.arrived(), self.studio.count()
        return self.read(plan, self.run("apply", "--yes", "--format", "json", *options, code=code), before, had)

    def read(self, plan: Mapping[str, Any], ran: Ran, before: Counter[str], had: Counter[str]) -> Applied:
        """Read an apply's output: one JSON object a line, the plan first and the summary last."""
        events = [json.loads(line) for line in ran.out.splitlines()]
        assert all(isinstance(event, dict) and event["event"] for event in events)
        assert [number for number, one in enumerate(events) if one["event"] == "plan"] == [0]
        assert [number for number, one in enumerate(events) if one["event"] == "summary"] == [len(events) - 1]
        touched = [one for one in plan["changes"] if one["action"] != "none" or "trouble" in one or "note" in one]
        assert events[0]["changes"] == touched, "what was applied is not what was planned"
        self.check_state()
        made = self.studio.count() - had
        return Applied(plan, events, events[-1], self.studio.arrived() - before, made, ran.err)

    def check_state(self) -> None:
        """No secret stands in the state's file, nor in its log beside it."""
        self.check_secrets(*(path.read_bytes() for path in self.state.parent.glob("*.db*")))

    def check_secrets(self, *places: str | bytes) -> None:
        """No secret stands in any of these."""
        for place in places:
            content = place.encode() if isinstance(place, str) else place
            assert not [secret for secret in self.secrets if secret.encode() in content]


@cache
def _plan_schema() -> jsonschema.Draft202012Validator:
    schema = json.loads((ROOT / "schemas" / "plan.schema.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema)
