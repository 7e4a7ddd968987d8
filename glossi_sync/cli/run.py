"""One run, from the spec to finished pictures at home: what ``apply`` does once, and ``watch`` again and again."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import SystemRandom

from glossi_sync.applying import Applied, Emit, Home, Setup, Stop, Stopped, apply, model_files, new_id
from glossi_sync.applying.events import Stopping
from glossi_sync.cli import event_loop
from glossi_sync.cli.errors import sentence_of
from glossi_sync.cli.session import Session, connect, fetch_home, holder, open_session
from glossi_sync.errors import UserError
from glossi_sync.planning import WHOLE, LargeChange, Plan, Refresh, Scope
from glossi_sync.planning.reviewed import Reviewed
from glossi_sync.reporting import Report


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a run is to do, as the command's options say it (``options`` tells of each)."""

    spec_path: Path
    endpoint: str | None
    state_location: str | None
    uploads: int = 8
    download: bool = True
    retry_failed: bool = False
    in_doubt: str = "hold"
    refresh: str = "live"
    allow_large_change: bool = False
    verbose: bool = False
    scope: Scope = WHOLE
    reviewed: Reviewed | None = None
    """A saved plan: nothing is done unless it is what would happen."""
    parallelism: int | None = None
    wait: bool = True
    timeout: float | None = None
    """Seconds, from the run's beginning."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a run."""

    plan: Plan
    applied: Applied
    home: Home
    time_is_up: bool = False
    asked: Mapping[str, int] = field(default_factory=dict)
    """All requests that were sent, by name."""

    @property
    def converged(self) -> bool:
        """Whether every address is complete, and what was to be brought home is there."""
        return self.applied.converged and not self.home.failed


class NotAgreed(UserError):
    """The user was asked, and does not want the plan to be applied."""


def run_once(
    wishes: Wishes,
    tell: Report,
    *,
    command: str,
    agreed: Callable[[Plan], bool] = lambda plan: True,
    afterwards: Callable[[Session], None] = lambda session: None,
) -> Ran:
    """Read the spec, hold its state, plan, apply, and bring home; ``tell`` hears of it until its end.

    ``agreed`` is asked about the plan before anything is done; ``afterwards`` may look at the session when all is.

    Raises:
        UserError: as reading, planning, applying and the lock raise them; NotAgreed where ``agreed`` says no, PlanMoved
            where a saved plan is not what would happen.
        KeyboardInterrupt: it was interrupted before the apply had begun, or twice while it ran.
    """
    rng = SystemRandom()
    run_id = new_id(rng)
    reviewed = wishes.reviewed
    ends = None if wishes.timeout is None else time.monotonic() + wishes.timeout
    with (
        told_to_the_end(tell),
        open_session(
            wishes.spec_path, wishes.endpoint, wishes.state_location, create=True, reviewed=reviewed
        ) as session,
        session.state.lock(holder(run_id, f"glossi-sync {command}", session.spec.fingerprint), wishes.scope.shard),
    ):
        spec = session.spec
        hashed = session.hash_files()
        policy = session.policy(
            retry_failed=wishes.retry_failed,
            in_doubt=wishes.in_doubt,
            allow_large_change=wishes.allow_large_change,
        )

        async def run() -> Ran:
            async with connect(
                spec, verbose=wishes.verbose, parallelism=wishes.parallelism, holding=session.state
            ) as service:
                surveyed = await session.survey(
                    hashed.models, service, policy=policy, refresh=Refresh(wishes.refresh), scope=wishes.scope
                )
                if reviewed is not None:
                    reviewed.check(surveyed, session.state.runs())
                tell.plan(surveyed.plan, session.service_name)
                if surveyed.plan.excess is not None:
                    raise LargeChange(surveyed.plan.excess)
                if not agreed(surveyed.plan):
                    raise NotAgreed("Nothing was changed.")
                began = time.monotonic()
                stop = Stop()
                home = Home()
                with tell.progress(surveyed.plan) as emit, stopping(stop, emit, ends):
                    setup = Setup(
                        service=service,
                        state=session.state,
                        desired=surveyed.desired,
                        realised=surveyed.realised,
                        file_of=model_files(spec, hashed.remote),
                        policy=policy,
                        emit=emit,
                        stop=stop,
                        keep_secret=session.keep_secret(),
                        clock=time.time,
                        rng=rng,
                        uploads=min(wishes.uploads, wishes.parallelism or wishes.uploads),
                        wait=wishes.wait,
                        hears=spec.webhook is not None or session.state.heard() > 0,
                    )
                    applied = await apply(surveyed.plan, setup, run_id=run_id, command=command)
                    if wishes.download and not stop.requested:
                        try:
                            home = await stop.race(fetch_home(session, surveyed.desired, service, emit, surveyed.part))
                        except Stopped:
                            applied = replace(applied, stopped=True)
                tell.end(applied, home, time.monotonic() - began)
                return Ran(surveyed.plan, applied, home, stop.time_is_up, service.calls)

        ran = event_loop.run(run())
        afterwards(session)
        return ran


@contextmanager
def told_to_the_end(tell: Report) -> Iterator[None]:
    """Where an error ends the block, the report tells what has happened until then."""
    began = time.monotonic()
    try:
        yield
    except BrokenPipeError:
        raise  # nobody reads it any more
    except (Exception, KeyboardInterrupt) as error:
        tell.broken_off(sentence_of(error) or f"{type(error).__name__}: {error}", time.monotonic() - began)
        raise


@contextmanager
def stopping(stop: Stop, emit: Emit, ends: float | None = None) -> Iterator[None]:
    """While the block runs, the first Ctrl-C (or SIGTERM) asks for a stop, and the second cancels what is under way.

    So does the time ``ends`` (monotonic seconds), but once only.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()

    def interrupt() -> None:
        if stop.requested and task is not None:
            task.cancel()
        elif not stop.requested:
            emit(Stopping())
            stop.request()

    def expire() -> None:
        if not stop.requested:
            emit(Stopping())
            stop.request(time_is_up=True)

    timer = None if ends is None else loop.call_later(max(ends - time.monotonic(), 0.0), expire)
    signals = (signal.SIGINT, signal.SIGTERM)
    former = {one: signal.getsignal(one) for one in signals}
    for one in signals:
        # signal.signal rather than the loop's own handlers, which Windows does not have.
        signal.signal(one, lambda *_: loop.call_soon_threadsafe(interrupt))
    try:
        yield
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        if timer is not None:
            timer.cancel()
        for one, handler in former.items():
            signal.signal(one, handler)
