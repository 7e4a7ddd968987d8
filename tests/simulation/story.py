"""One seed's story: a user, a reconciler that meets with everything that can go wrong, and a service.

    edits, losses, hours that pass  ──>  a command in a storm  ──>  what must hold, holds?       a few times
    calm: applies, and the user's answers  ──>  converged?  ──>  nothing left to do?             once

Everything that happens is drawn from the seed, and time is the event loop's: the same seed is the same story.
"""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import copy_context
from functools import cache
from math import exp, log
from multiprocessing.util import Finalize
from pathlib import Path
from random import Random
from typing import Any

from simulation.catalogue import MOST_RENDERS, Catalogue
from simulation.commands import Options, Outcome, World, apply_command, plan_command, resolve_command
from simulation.invariants import (
    Broken,
    Starts,
    apply_is_quiet,
    everything_bound,
    nothing_forgotten,
    nothing_left_open,
    nothing_unknown,
    plan_is_empty,
    plan_was_kept,
    sound_state,
    truly_remembered,
)
from simulation.listener import Listener
from simulation.loop import SimulationLoop
from simulation.network import Network, Transport, Weather, storm
from simulation.process import BUCKET_ANSWER, BUCKET_REQUEST, POINTS, Ending, Fate, Mishap, Process
from simulation.service import Service, Temper
from simulation.vault import Vault

from glossi_sync.applying.resolve import NotInDoubt
from glossi_sync.planning import Change, Refresh, Trouble
from glossi_sync.state import Realised

EPOCH = 1_800_000_000.0
MOST_APPLIES = 5
"""Undisturbed applies after which everything must have converged: a project's loss shows only when it is rendered."""

SHARE_OF_BUCKETS = 0.2
"""Of the seeds whose backend nobody has chosen."""

Say = Callable[[str], None]


def simulate(seed: int, say: Say | None = None, *, backend: str | None = None, database: str | None = None) -> None:
    """Run one seed's story; ``say`` hears what happens.

    The state lies in a ``backend`` (``vault.BACKENDS``), or by seed in memory, a file or a bucket; ``database`` is the
    URL of one for a state in PostgreSQL.

    Raises:
        Broken: something happened that must never happen.
    """
    folder = _root() / f"seed-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    # What a seed leaves is let go of at once, not at a moment of the collector's choosing.
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=SimulationLoop) as runner:
            runner.run(_story(seed, folder, say, backend, database))
    finally:
        gc.enable()
        shutil.rmtree(folder, ignore_errors=True)


def how_to_replay(seed: int, backend: str | None = None) -> str:
    """The line that shows a seed's story again, from the repository's folder."""
    where = "" if backend is None else f" --backend {backend}"
    return f"PYTHONPATH=tests python -m simulation --seed {seed}{where} --trace"


@cache
def _root() -> Path:
    """A folder for this Python process, in memory where there is such a place."""
    memory = Path("/dev/shm")
    root = Path(tempfile.mkdtemp(prefix="simulation-", dir=memory if os.access(memory, os.W_OK) else None))
    # Not atexit, which the workers of a pool do not run.
    Finalize(None, shutil.rmtree, args=(root, True), exitpriority=0)
    return root


async def _story(seed: int, folder: Path, say: Say | None, backend: str | None, database: str | None) -> None:
    story = Story(seed, folder, say, backend, database)
    await story.service.start()
    try:
        await story.tell()
    finally:
        await story.end()


class Story:
    """What happens to one user, one state and one service."""

    def __init__(
        self, seed: int, folder: Path, say: Say | None, backend: str | None = None, database: str | None = None
    ) -> None:
        loop = asyncio.get_running_loop()
        self.seed = seed
        self.rng = rng = Random(f"{seed}/story")
        here = str(folder)
        self._say = None if say is None else (lambda text: say(f"{loop.time():10.3f} {text.replace(here, '~')}"))
        self.temper = Temper(
            processing=rng.choice((0.2, 0.2, 0.4, 0.4, 0.4, 1.0, 2.0, 10.0)),
            rendering=rng.choice((0.2, 0.2, 0.4, 0.4, 0.4, 1.0, 2.0, 10.0)),
            models_fail=rng.choice((0.0, 0.0, 0.05, 0.3)),
            renders_fail=rng.choice((0.0, 0.0, 0.1, 0.4)),
            upload_seconds=rng.choice((3600.0, 3600.0, 3600.0, 30.0, 2.0)),
        )
        clock = lambda: EPOCH + loop.time()  # noqa: E731
        self.service = Service(_root(), seed, clock=clock, temper=self.temper, say=self._say)
        self.starts = Starts()
        by_seed = "file" if rng.random() < 0.5 else "memory"
        # A stream of its own, so that what it decides leaves the rest of the story as it is.
        self._luck = Random(f"{seed}/lock")
        if self._luck.random() < SHARE_OF_BUCKETS:
            by_seed = "bucket"
        self.vault = Vault(backend or by_seed, folder, rng=self._luck, database=database)
        self.network = Network(self.service, rng=Random(f"{seed}/weather"), starts=self.starts, say=self._say)
        self.catalogue = Catalogue(folder, Random(f"{seed}/catalogue"))
        self.listener = Listener(self.vault.keep, rng=Random(f"{seed}/listener"), clock=clock)
        self.service.hear = self.listener.hear
        self.world = World(
            self.catalogue,
            self.vault,
            self.network,
            clock,
            commit_seconds=rng.choice((0.0, 0.0, 0.05, 1.0)),
            hears=self.listener.hears,
        )
        self._context = copy_context()
        self._takers: list[asyncio.Task[Any]] = []
        self._remembered = Realised()
        self._processes = 0

    def say(self, text: str) -> None:
        if self._say is not None:
            self._say(text)

    async def tell(self) -> None:
        """The whole story."""
        self.say(f"seed {self.seed}: a state {self.vault}, {self.temper}")
        self.catalogue.save()
        for number in range(self.rng.choice((1, 2, 2, 2, 3, 4))):
            if number:
                await self._between()
            self.network.weather = storm(self.rng)
            self.say(f"the weather is {self.network.weather}")
            await self._command()
        await self._calm()
        await self._converge()

    async def end(self) -> None:
        """Clear everything away."""
        self.vault.close()
        with suppress(Exception):
            await self.network.drain()
        await self.service.stop()
        self.service.clean_up()

    # --- the storm ---------------------------------------------------------------------------------------------------

    async def _between(self) -> None:
        """What happens between two commands: the user edits the spec, the service loses things, time passes."""
        rng = self.rng
        for _ in range(rng.choice((0, 0, 1, 1, 2, 4))):
            self.say(f"the user: {self.catalogue.edit()}")
        self.catalogue.save()
        if rng.random() < 0.2:
            self._lose_something()
        if rng.random() < 0.05:
            self.service.meddle()
            self.starts.foreign_webhook = True
        if rng.random() < 0.2:
            hours = rng.choice((0.01, 0.5, 1.5))
            self.say(f"{hours} hours pass")
            await asyncio.sleep(3600 * hours)

    async def _command(self) -> None:
        rng = self.rng
        if rng.random() < 0.1:
            await self._plan(Options(refresh=rng.choice(list(Refresh))))
        if rng.random() < 0.3:
            await self._answer_doubts()
        options = Options(
            retry_failed=rng.random() < 0.15,
            in_doubt="again" if rng.random() < 0.1 else "hold",
            refresh=rng.choice((Refresh.LIVE,) * 6 + (Refresh.FULL, Refresh.NONE)),
        )
        self.vault.storm = self._luck.choice((0.0, 0.0, 0.01, 0.05))
        mishap = self._draw_mishap()
        await self._apply(options, self._draw_loss() or mishap, self._draw_disturbances())

    def _draw_mishap(self) -> Mishap | None:
        rng = self.rng
        fate = rng.choice((None,) * 4 + (Fate.KILLED,) * 4 + (Fate.STOPPED, Fate.INTERRUPTED, Fate.FULL))
        if fate is None:
            return None
        point = "before write" if fate is Fate.FULL else rng.choice(POINTS)
        most = 1200 if point == "step" else 25
        return Mishap(fate, point, round(exp(rng.random() * log(most))))

    def _draw_loss(self) -> Mishap | None:
        """What befalls a process whose state others share: a lock that can be lost, a bucket between its requests."""
        luck = self._luck
        if self.vault.backend not in ("bucket", "postgresql") or luck.random() < 0.5:
            return None
        if self.vault.backend == "bucket" and luck.random() < 0.4:
            return Mishap(Fate.KILLED, luck.choice((BUCKET_REQUEST, BUCKET_ANSWER)), luck.randint(1, 40))
        point = luck.choice(POINTS)
        most = 1200 if point == "step" else 25
        return Mishap(luck.choice((Fate.PAUSED, Fate.UNLOCKED)), point, round(exp(luck.random() * log(most))))

    def _lose(self, fate: Fate) -> None:
        """A process is paused, or its lock broken; soon another one comes."""
        loop = asyncio.get_running_loop()
        if fate is Fate.UNLOCKED:
            loop.call_soon(self.vault.unlock, context=self._context.copy())
            seconds = self._luck.choice((0.0, 0.1, 3.0))
        else:
            seconds = self._luck.choice((1.0, 30.0, 66.0, 80.0, 150.0))
        self._takers.append(loop.create_task(self._take_over(seconds), context=self._context.copy()))

    async def _take_over(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._run("a run that takes over", apply_command, Options())

    def _draw_disturbances(self) -> list[Coroutine[Any, Any, None]]:
        """What happens while a command runs."""
        rng = self.rng
        drawn: list[Coroutine[Any, Any, None]] = []
        if rng.random() < 0.1:
            drawn.append(self._later(self._lose_something))
        if rng.random() < 0.1:
            drawn.append(self._restart_later())
        if rng.random() < 0.05:
            drawn.append(self._later(self._change_a_file))
        if rng.random() < 0.15:
            drawn.append(self._second_apply())
        if rng.random() < 0.05:
            drawn.append(self._plan_later())
        return drawn

    async def _later(self, what: Callable[[], None]) -> None:
        await asyncio.sleep(self._moment())
        what()

    async def _restart_later(self) -> None:
        await asyncio.sleep(self._moment())
        await self.service.restart()

    def _moment(self) -> float:
        """Seconds after which something happens during a command: many things are decided in the first."""
        return self.rng.choice((0.0, 0.05, 1.0, 15.0)) * self.rng.random()

    async def _second_apply(self) -> None:
        await asyncio.sleep(self.rng.choice((0.0, 0.1, 3.0)))
        await self._run("a second apply", apply_command, Options())

    async def _plan_later(self) -> None:
        await asyncio.sleep(self._moment())
        await self._plan(Options())

    def _lose_something(self) -> None:
        truth = self.service.truth()
        everything = [
            *(("model", one) for one in truth.models),
            *(("project", one) for one in truth.projects),
            *(("render", one) for one in truth.jobs),
        ]
        for kind, remote_id in self.rng.sample(everything, min(len(everything), self.rng.choice((1, 1, 2, 5)))):
            self.service.lose(kind, remote_id)

    def _change_a_file(self) -> None:
        file = self.rng.choice(list(self.catalogue.contents))
        self.say(f"the user changes {file}")
        self.catalogue.put_file(file, self.catalogue.new_content())

    # --- the calm ----------------------------------------------------------------------------------------------------

    async def _calm(self) -> None:
        """From now on nothing goes wrong any more."""
        self.say("the weather clears up")
        self.network.weather = Weather()
        self.temper.models_fail = self.temper.renders_fail = 0.0
        self.temper.upload_seconds = 3600.0
        self.vault.storm = 0.0
        await self.service.restart()
        await self.network.drain()

    async def _converge(self) -> None:
        """Applies without faults converge, and then there is nothing left to do."""
        refresh = self.rng.choice((Refresh.LIVE, Refresh.LIVE, Refresh.LIVE, Refresh.FULL))
        for _ in range(MOST_APPLIES):
            await self._answer_doubts()
            ending, _ = await self._apply(Options(retry_failed=True, refresh=refresh))
            if ending.result is None:
                raise Broken(f"an apply in calm weather failed: {ending.error!r}")
            if ending.result.applied.converged:
                break
        else:
            raise Broken(f"{MOST_APPLIES} applies in calm weather did not converge: {ending.result.applied}")
        desired, realised = ending.result.surveyed.desired, self.vault.reader().realised()
        everything_bound(desired, realised, self.starts, self.service.truth())
        ending, sent = await self._apply(Options(refresh=refresh))
        plan_is_empty(ending.result.surveyed.plan)
        apply_is_quiet(ending.result.applied, sent)

    # --- commands ----------------------------------------------------------------------------------------------------

    async def _apply(
        self,
        options: Options,
        mishap: Mishap | None = None,
        disturbances: list[Coroutine[Any, Any, None]] | None = None,
    ) -> tuple[Ending, dict[str, int]]:
        if options.in_doubt == "again":
            self._allow_all()
        failures = self.service.workshop.failures
        with_company = [asyncio.ensure_future(one) for one in disturbances or ()]
        ending, transport = await self._run("apply", apply_command, options, mishap=mishap)
        while self._takers:
            with_company.append(self._takers.pop())
        for one in with_company:
            await one
        self._check()
        disturbed = with_company or mishap is not None or transport.troubles or transport.in_doubt
        if ending.result is not None and not disturbed:
            plan, applied = ending.result.surveyed.plan, ending.result.applied
            nothing_left_open(self.vault.reader().realised(), applied.run_id)
            if applied.converged and self.service.workshop.failures == failures:
                plan_was_kept(plan, applied, transport.sent)
        return ending, dict(transport.sent)

    async def _plan(self, options: Options) -> Outcome:
        ending, transport = await self._run("plan", plan_command, options)
        if transport.sent:
            raise Broken(f"a plan has sent {dict(transport.sent)}")
        return ending.result

    async def _answer_doubts(self) -> None:
        """The user looks for every held render whether it was started, and says so, one after the other."""
        for _ in range(MOST_RENDERS):
            if not any(row.step == "start" for row in self.vault.reader().realised().in_doubt):
                return
            held = await self._held()
            if not held or not await self._answer_doubt(held[0]):
                return
            self._check()

    async def _held(self) -> list[Change]:
        """What a plan says is held; nothing where the weather keeps the user from one."""
        ending, _ = await self._run("plan", plan_command, Options())
        changes = () if ending.result is None else ending.result.surveyed.plan.changes
        return [change for change in changes if change.trouble is Trouble.HELD]

    async def _is_held(self, address: str) -> bool:
        return any(change.address == address for change in await self._held())

    async def _answer_doubt(self, change: Change) -> bool:
        """Whether the doubt is settled now: the weather may keep the user from it."""
        digest = change.digest or ""
        known = {one.remote_id for one in self.vault.reader().realised().objects.values()}
        jobs = self.service.truth().jobs
        unknown = [job_id for job_id in self.starts.jobs(digest) if job_id in jobs and job_id not in known]
        for job_id in sorted(unknown, key=lambda one: self.starts.of[one][0] != change.address):
            ending, _ = await self._run("resolve --adopt", resolve_command, change.address, job_id)
            if ending.error is None:
                return True
        before = self._doubts_about(digest)
        ending, _ = await self._run("resolve --again", resolve_command, change.address, None)
        if isinstance(ending.error, NotInDoubt) and not before and self.vault.storm:
            return True  # the adoption was kept, and the bucket's answer was lost
        if isinstance(ending.error, NotInDoubt) and not await self._is_held(change.address):
            return True  # an event has told it since
        if isinstance(ending.error, NotInDoubt):
            raise Broken(f"{change.address} is held ({change.reason}), and yet: {ending.error}")
        self.starts.denied[digest] += before - self._doubts_about(digest)
        return ending.error is None

    def _doubts_about(self, digest: str) -> int:
        doubts = self.vault.reader().realised().in_doubt
        return sum(one.digest == digest for row in doubts if row.step == "start" for one in row.subjects)

    def _allow_all(self) -> None:
        for intent in self.vault.reader().realised().in_doubt:
            if intent.step == "start":
                for subject in intent.subjects:
                    self.starts.risked[subject.digest] += 1

    async def _run(
        self, name: str, command: Callable[..., Any], *arguments: Any, mishap: Mishap | None = None
    ) -> tuple[Ending, Transport]:
        await self.vault.wait_for_the_dead()
        self._processes += 1
        process = Process(
            f"{name} {self._processes}",
            rng=Random(f"{self.seed}/process {self._processes}"),
            say=self._say,
            mishap=mishap,
            on_death=lambda: self.vault.image(process),
            on_loss=self._lose,
        )
        transport = self.network.transport(process)
        ending = await process.run(command(self.world, process, transport, *arguments))
        if self.starts.broken is not None:
            raise self.starts.broken
        process.say(f"ends after {process.steps} steps: {_told(ending)}")
        return ending, transport

    def _check(self) -> None:
        """What holds at any time, whatever has happened."""
        state = self.vault.reader()
        realised, truth = state.realised(), self.service.truth()
        sound_state(state)
        nothing_forgotten(self._remembered, realised)
        truly_remembered(realised, self.service, truth)
        nothing_unknown(realised, state.strays(), self.starts, truth)
        self._remembered = realised


def _told(ending: Ending) -> str:
    if ending.killed:
        return "killed"
    if ending.error is not None:
        return f"{type(ending.error).__name__}: {ending.error}"
    applied = getattr(ending.result, "applied", None)
    return "done" if applied is None else f"{applied}"
