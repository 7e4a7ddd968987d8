"""The story of a seed: applies that are killed again and again, over as many catalogues as it takes.

    begin a catalogue ─> apply ─ killed ──────────────────────────────┐
                          ^  │                                        │
                          │  └ ends, renders are held ─> resolve ─────┤ the state is sound
                          │  └ ends, all is done ─> prove, begin anew │
                          └───────────────────────────────────────────┘

Of a render that is held, ``resolve`` is told what the studio's records say, as by a user who looks there. After the last
kill the catalogue that was begun is applied to its end.

The moments are the seed's own; what is under way then is the machine's, so a replay is alike and not the same.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from click.testing import CliRunner
from kills.moments import AtLine, AtRequest, AtTime, Moment, moment
from kills.products import SCRIPT, Products, write_products
from kills.proof import Broken, Proven, check_after_a_kill, look, prove, records
from kills.studio import Studio, running_studio

from glossi_sync.cli import main
from glossi_sync.resources.render import START
from glossi_sync.state import open_state, service_identity

LONGEST = 120
"""Seconds after which an apply is taken to hang."""

Say = Callable[[str], None]


@dataclass
class Figures:
    """What came of a story. ``in_doubt`` counts the calls that a kill has left without an answer, by their name."""

    kills: int = 0
    applies: int = 0
    in_doubt: Counter[str] = field(default_factory=Counter)
    held: int = 0
    """Renders that were held."""
    adopted: int = 0
    """Held renders of which the studio had a job."""
    asked_again: int = 0
    """Held renders of which it had none."""
    proven: list[Proven] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        doubts = ", ".join(f"{call} {count}" for call, count in sorted(self.in_doubt.items())) or "none"
        strays: Counter[str] = sum((one.strays for one in self.proven), Counter())
        told: Counter[str] = sum((one.strays_told for one in self.proven), Counter())
        spoken = ", ".join(
            f"{kind}s {strays[kind]} (spoken of: {told[kind]})" for kind in ("model", "project", "render")
        )
        return (
            f"{self.kills} kills in {self.applies} applies of {len(self.proven)} catalogues, {self.seconds:.0f} s\n"
            f"uploads {sum(one.uploads for one in self.proven)}, renders {sum(one.renders for one in self.proven)}: "
            "each done once, and none twice\n"
            f"calls without an answer: {doubts}\n"
            f"renders held: {self.held}, of which {self.adopted} were running and {self.asked_again} were not\n"
            f"files sent again to the same model: {sum(one.uploads_repeated for one in self.proven)}\n"
            f"strays: {spoken}"
        )


def kill(folder: Path, *, seed: int, kills: int, products: int, say: Say = lambda _: None) -> Figures:
    """Kill the console script so often, and prove of each catalogue that nothing was made twice or forgotten.

    Raises:
        Broken: something was, or an apply has failed.
    """
    figures = Figures()
    began = time.monotonic()
    with running_studio(folder / "studio", f"{seed}/studio") as studio:
        while figures.kills < kills:
            number = len(figures.proven) + 1
            rng = Random(f"{seed}/catalogue {number}")
            made = write_products(folder / f"catalogue{number}", products, rng)
            before = look(studio)
            say(f"catalogue {number}")
            _Catalogue(made, studio, seed, figures, say).realise(kills)
            proven = prove(made, studio, before)
            figures.proven.append(proven)
    figures.seconds = time.monotonic() - began
    return figures


class _Catalogue:
    """One catalogue on its way to the end."""

    def __init__(self, products: Products, studio: Studio, seed: int, figures: Figures, say: Say) -> None:
        self._products = products
        self._studio = studio
        self._seed = seed
        self._figures = figures
        self._say = say
        self._environment = products.environment(studio)
        self._copies = products.folder / "copies"
        self._copies.mkdir()
        self._doubted: set[int] = set()

    def realise(self, kills: int) -> None:
        """Apply until all is done; while there are kills to come, each apply is killed if it lives to its moment."""
        while True:
            when = None
            if self._figures.kills < kills:
                when = moment(Random(f"{self._seed}/apply {self._figures.applies + 1}"), len(self._products.files))
            self._figures.applies += 1
            code = self._apply(when)
            if code is None:
                self._figures.kills += 1
                self._say(f"  kill {self._figures.kills}: {when}{self._look_after_a_kill()}")
            elif code == 0:
                break
            elif code == 3:
                self._settle()
            else:
                raise Broken(f"apply ended with {code}: {self._said('err')}{self._said('out')[-2000:]}")
        self._expect_sound()
        self._expect_settled()

    # --- one apply ---------------------------------------------------------------------------------------------------

    def _apply(self, when: Moment | None) -> int | None:
        """Run it; its exit code, or None where it was killed."""
        command = [str(SCRIPT), "apply", "--yes", "--format", "json"]
        folder = self._products.folder
        if isinstance(when, AtRequest):
            self._studio.trap(when.call, when.nth, when.when)
        with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
            process = subprocess.Popen(
                command, cwd=folder, env=self._environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )
            try:
                if when is None:
                    return process.wait(LONGEST)
                return None if self._killed(process, when) else process.returncode
            except subprocess.TimeoutExpired:
                raise Broken(f"apply did not end within {LONGEST} s: {self._said('out')[-2000:]}") from None
            finally:
                process.kill()
                process.wait()
                self._studio.let_go()
                self._studio.wait_until_quiet()

    def _killed(self, process: subprocess.Popen[bytes], when: Moment) -> bool:
        """Kill it at its moment; False where it has ended before."""
        deadline = time.monotonic() + LONGEST
        with self._arrived(when) as arrived:
            while not arrived():
                if process.poll() is not None:
                    return False
                if time.monotonic() > deadline:
                    raise subprocess.TimeoutExpired(process.args, LONGEST)
        process.kill()
        # It may have come to its end between the two.
        return process.wait() < 0

    @contextmanager
    def _arrived(self, when: Moment) -> Iterator[Callable[[], bool]]:
        """A look at whether the moment has come, which takes a moment itself."""
        match when:
            case AtTime(seconds):
                due = time.monotonic() + seconds
                yield lambda: _nap(time.monotonic() >= due)
            case AtRequest():
                yield self._studio.sprung
            case AtLine(lines):
                had = _lines(self._products.state)
                yield lambda: _nap(_lines(self._products.state) >= had + lines)

    def _look_after_a_kill(self) -> str:
        """Check the state, and count the calls that this kill has left in doubt."""
        realised = check_after_a_kill(self._products, self._studio, self._copies)
        fresh = [intent for intent in realised.in_doubt if intent.call_id not in self._doubted]
        self._doubted |= {intent.call_id for intent in fresh}
        self._figures.in_doubt.update(intent.call for intent in fresh)
        if not fresh:
            return ""
        doubts = Counter(intent.call for intent in fresh)
        return f"; in doubt: {', '.join(f'{call} {count}' for call, count in doubts.items())}"

    # --- what is held ------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Tell of each held render what the studio's records say: its job, or that there is none."""
        plan = self._plan()
        troubled = {one["address"]: one["trouble"] for one in plan["changes"] if "trouble" in one}
        if not troubled or set(troubled.values()) != {"held"}:
            raise Broken(f"an apply ended with 3, and its troubles are {troubled}: {self._said('err')}")
        state = open_state(self._products.state, service=service_identity(self._studio.url), create=False)
        realised = state.realised()
        state.close()
        known = {one.remote_id for one in realised.objects.values()}
        doubted = [subject.digest for one in realised.in_doubt if one.step == START.name for subject in one.subjects]
        if twice := [digest for digest, count in Counter(doubted).items() if count > 1]:
            raise Broken(f"asked for again while it was in doubt: {twice}")
        jobs: dict[tuple[str, bool], list[str]] = {}
        for job_id, (project_id, settings) in records(self._studio).jobs.items():
            if job_id not in known:
                jobs.setdefault((project_id, json.loads(settings)["renderShots"]), []).append(job_id)
        for address in troubled:
            key, _, settings = address.removeprefix("render.").rpartition("/")
            project = realised.bound(f"project.{key}")
            if project is None or project.remote_id is None:
                raise Broken(f"{address} is held, and project.{key} is not realised")
            found = jobs.get((project.remote_id, settings == "film"), [])
            if len(found) > 1:
                raise Broken(f"{address} was started {len(found)} times: {found}")
            self._glossi_sync("resolve", address, *(("--adopt", found[0]) if found else ("--again",)))
            self._figures.held += 1
            self._figures.adopted += len(found)
            self._figures.asked_again += 1 - len(found)
        self._say(f"  {len(troubled)} renders were held")

    # --- the end -----------------------------------------------------------------------------------------------------

    def _expect_sound(self) -> None:
        said = self._glossi_sync("state", "check")
        if "is sound" not in said:
            raise Broken(f"state check says: {said}")

    def _expect_settled(self) -> None:
        left = [one for one in self._plan()["changes"] if one["action"] != "none" or "trouble" in one]
        if left:
            raise Broken(f"all is done, and the plan is not empty: {left}")

    # -----------------------------------------------------------------------------------------------------------------

    def _plan(self) -> dict[str, list[dict[str, str]]]:
        plan: dict[str, list[dict[str, str]]] = json.loads(self._glossi_sync("plan", "--format", "json", "--all"))
        return plan

    def _glossi_sync(self, *arguments: str) -> str:
        """Another command, in this process: nobody kills it, and there may be hundreds of them."""
        spec = str(self._products.folder / "glossi.yaml")
        ran = CliRunner(env=self._environment).invoke(main, [*arguments, "-f", spec])
        if ran.exit_code:
            raise Broken(
                f"`glossi-sync {' '.join(arguments)}` ended with {ran.exit_code}: {ran.output}"
            ) from ran.exception
        return ran.stdout

    def _said(self, stream: str) -> str:
        return (self._products.folder / stream).read_text(encoding="utf-8")


def _nap(come: bool) -> bool:
    if not come:
        time.sleep(0.002)
    return come


def _lines(state: Path) -> int:
    """The lines of a state's journal: what was intended, and what came of it. Looked at without a trace."""
    try:
        with closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as connection:
            [(lines,)] = connection.execute("SELECT count(*) + count(outcome) FROM journal")
    except sqlite3.Error:
        return 0  # there is no such file or no such table yet
    return int(lines)
