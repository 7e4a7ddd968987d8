"""The runs of ``glossi-sync watch``: each reads the spec anew, waits until files are still, applies, and is told."""

from __future__ import annotations

import gc
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from glossi_sync.cli.options import given_variables
from glossi_sync.cli.run import Ran, Wishes, run_once
from glossi_sync.cli.session import Session, load_spec, open_session
from glossi_sync.errors import UserError
from glossi_sync.planning import LargeChange
from glossi_sync.receiving import Intake, Receiver, Secret, Told, delivery_path
from glossi_sync.reporting import Report
from glossi_sync.resources import kind_of
from glossi_sync.resources.model import FILE_TYPES
from glossi_sync.spec import Spec, SpecError
from glossi_sync.spec.remote import is_remote
from glossi_sync.state import Received, StateError, location_of, service_identity
from glossi_sync.watching import Came, Outcome, Stillness, Triggers
from glossi_sync.watching.folders import FolderWatch, roots_of
from glossi_sync.watching.metrics import Metrics

EVENT = "a webhook event"
FILES = "changed files"
START = "the start"

SUFFIXES = frozenset(
    {".yaml", ".yml", ".json", ".jsonl", ".ndjson", ".csv", ".tsv", *(f".{one}" for one in FILE_TYPES)}
)
"""Of files that a spec may be made of, whatever it names now: the spec itself, its variables, rows, models."""


class Beside:
    """The state, open beside the runs for the receiver's events; there is none until a spec could be read."""

    def __init__(self, wishes: Wishes, triggers: Triggers) -> None:
        self._wishes = wishes
        self._triggers = triggers
        self._opened = ExitStack()
        self._session: Session | None = None

    def use(self, spec: Spec) -> None:
        """Keep events in this spec's state from now on.

        Raises:
            UserError: it cannot be opened.
        """
        now = self._session
        if now is not None and _place(now.spec) == _place(spec):
            return
        self.close()
        wishes = self._wishes
        opening = open_session(wishes.spec_path, wishes.endpoint, wishes.state_location, create=True)
        self._session = self._opened.enter_context(opening)

    def secret(self) -> str | None:
        """The webhook's secret; None while it is not known."""
        return None if self._session is None else self._session.webhook_secret()

    def keep(self, event: Received) -> bool:
        """Keep an event, and ask for a run because of it.

        Raises:
            StateError: it cannot be kept.
        """
        if self._session is None:
            raise StateError("there is no state yet: the spec could not be read")
        fresh = self._session.state.put_event(event)
        if fresh:
            self._triggers.pull(EVENT)
        return fresh

    def close(self) -> None:
        """Close the state."""
        self._session = None
        self._opened.close()


def new_receiver(beside: Beside, tell: Callable[[Told], None]) -> Receiver:
    """A receiver that keeps events ``beside`` the runs."""
    return Receiver(Intake(Secret(beside.secret, time.monotonic), beside.keep, time.time), "/", tell)


@dataclass(slots=True)
class Runs:
    """What every run of a watch needs. Call it with the reasons for a run."""

    wishes: Wishes
    tell: Callable[[], Report]
    say: Callable[[str], None]
    stillness: Stillness
    folders: FolderWatch
    metrics: Metrics | None
    beside: Beside | None
    receiver: Receiver | None
    breaking_off: Callable[[], AbstractContextManager[None]]
    """Around what may be broken off wherever it is."""
    _last_said: str = field(default="", init=False)
    _elsewhere: set[Path] = field(default_factory=set, init=False)
    _ignored: tuple[Path, ...] = field(default=(), init=False)
    _suffixes: set[str] = field(default_factory=set, init=False)

    def __call__(self, reasons: tuple[str, ...]) -> Outcome:
        """One run. Known errors are told, and none of them ends the watch.

        Raises:
            KeyboardInterrupt: the watch is to end.
        """
        began = time.monotonic()
        try:
            with self.breaking_off():
                outcome = self._run(reasons)
        except (SpecError, LargeChange) as error:
            self._say_once(f"Not run: {error}")
            outcome = Outcome(Came.BAD_SPEC)
        except (UserError, OSError, ExceptionGroup) as error:
            known = _known(error)
            if known is None:
                raise
            self.say(f"The run failed: {known}")
            outcome = Outcome(Came.FAILED)
        if self.metrics is not None:
            self.metrics.ran(outcome.came, time.monotonic() - began, time.time())
        # What a command keeps from the collector for its whole life is this run's alone.
        gc.unfreeze()
        gc.collect()
        return outcome

    def _run(self, reasons: tuple[str, ...]) -> Outcome:
        try:
            spec = load_spec(self.wishes.spec_path, self.wishes.endpoint)
        except SpecError:
            self._watch(None)
            raise
        self._watch(spec)
        if self.beside is not None and self.receiver is not None:
            self.beside.use(spec)
            self.receiver.path = delivery_path(None if spec.webhook is None else spec.webhook.webhook.url)
        local = [one.location for one in spec.models.values() if not is_remote(one.location)]
        restless = self.stillness.restless([*map(str, spec.sources), *local], time.time())
        if restless is not None:
            self._say_once(f"Waiting until {restless} is no longer being written.")
            return Outcome(Came.NOT_STILL, self.stillness.quiet)
        if self.wishes.verbose:
            self.say(f"Running because of {', '.join(reasons)}.")
        ran = run_once(self.wishes, self.tell(), command="watch", afterwards=self._count_addresses)
        self._last_said = ""
        if self.metrics is not None:
            self.metrics.asked(ran.asked, ran.home.fetched)
        return Outcome(_came(ran))

    def _watch(self, spec: Spec | None) -> None:
        """Watch what the spec is made of; where it cannot be read, what it was made of before, and its folder."""
        here = self.wishes.spec_path.resolve()
        folder = here if here.is_dir() else here.parent
        given = [path.resolve() for path in given_variables()[1]]
        if spec is not None:
            local = [one.location for one in spec.models.values() if not is_remote(one.location)]
            self._elsewhere = {Path(one).parent for one in local}
            self._suffixes = {os.path.splitext(one)[1] for one in local}  # noqa: PTH122 (100,000 of them)
        self._ignored = tuple(_written_by_runs(spec, self.wishes)) if spec is not None else self._ignored
        ignored = (folder / "state", *self._ignored)
        roots = roots_of(folder, self._elsewhere | {path.parent for path in given}, ignored)
        suffixes = SUFFIXES | self._suffixes | {path.suffix for path in (here, *given)}
        self.folders.look_at(roots, ignored, suffixes)

    def _say_once(self, line: str) -> None:
        """Say what is still the same at the next look only once: also because a log may lie in the watched folder."""
        if line != self._last_said:
            self.say(line)
        self._last_said = line

    def _count_addresses(self, session: Session) -> None:
        if self.metrics is not None:
            realised = session.state.realised()
            phases = ((address, realised.bound(address)) for address in realised.bindings)
            self.metrics.holds(
                Counter((kind_of(address).value, one.phase.value) for address, one in phases if one is not None)
            )


@contextmanager
def closing_beside(beside: Beside | None) -> Iterator[None]:
    """The block, after which the state beside the runs is closed."""
    try:
        yield
    finally:
        if beside is not None:
            beside.close()


def _came(ran: Ran) -> Came:
    if ran.applied.stopped:
        return Came.STOPPED
    if ran.converged:
        return Came.CONVERGED
    # Where nothing was done and nothing failed to come home, what is left has failed for good, or is held.
    idle = not (ran.applied.steps or ran.applied.calls or ran.home.failed)
    return Came.SETTLED if idle else Came.PARTLY


def _place(spec: Spec) -> tuple[object, ...]:
    return spec.folder, spec.workspace, spec.service.endpoint, spec.webhook and spec.webhook.secret_file


def _known(error: Exception) -> str | None:
    """The sentence of a known error; None for a defect of the program."""
    first: BaseException = error
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return str(first) if isinstance(first, UserError | OSError) else None


def _written_by_runs(spec: Spec, wishes: Wishes) -> Iterator[Path]:
    """Where runs write: the state with what lies beside it, the pictures brought home, the webhook's secret."""
    folder = spec.folder.resolve()
    where = location_of(wishes.state_location, spec.folder, spec.workspace, service_identity(spec.service.endpoint))
    if "://" not in where:
        state = Path(where).resolve()
        yield from (state.with_name(state.name + ending) for ending in ("", "-wal", "-shm", "-journal", ".lock"))
        yield from (state.with_suffix(ending) for ending in (".key", ".previous"))
    if spec.downloads is not None:
        yield (folder / spec.downloads.to).resolve()
    if spec.webhook is not None and spec.webhook.secret_file is not None:
        secret = spec.webhook.secret_file.resolve()
        yield from (secret, secret.with_name(secret.name + ".part"))
