"""The report of one apply, from its plan to its end: for a terminal or a log, or as JSON lines for a program."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from rich.console import Console

from glossi_sync.applying import Applied, Emit, Event, Home
from glossi_sync.applying.events import Downloaded, Ended
from glossi_sync.moments import moment
from glossi_sync.planning import Plan
from glossi_sync.reporting.applied import applied_document, applied_text
from glossi_sync.reporting.events import EventLines, JsonLines
from glossi_sync.reporting.plan_json import plan_document
from glossi_sync.reporting.plan_text import plan_text, width_of
from glossi_sync.reporting.progress import Progress


class Report(Protocol):
    """How an apply is told, stage by stage."""

    def plan(self, plan: Plan, service: str) -> None:
        """What is going to happen, and at which service."""
        ...

    def progress(self, plan: Plan) -> AbstractContextManager[Emit]:
        """A listener for the apply's events, for as long as it runs."""
        ...

    def end(self, applied: Applied, home: Home, seconds: float) -> None:
        """What has happened."""
        ...

    def broken_off(self, error: str, seconds: float) -> None:
        """What has happened until an error ended it, which ``sentences`` tells on stderr."""
        ...


class TextReport:
    """For people: results on stdout; progress on stderr, live where that is a terminal, plain lines elsewhere."""

    def __init__(self, out: Console, err: Console, *, verbose: bool) -> None:
        self._out = out
        self._err = err
        self._verbose = verbose

    def plan(self, plan: Plan, service: str) -> None:
        self._out.print(f"{plan.workspace} on {service}\n", style="bold")
        self._out.print(plan_text(plan, everything=self._verbose, width=width_of(self._out)), end="")

    @contextmanager
    def progress(self, plan: Plan) -> Iterator[Emit]:
        if not self._err.is_terminal:
            yield EventLines(lambda line: self._err.print(line, markup=False, soft_wrap=True))
            return
        with Progress(self._err, [change.address for change in plan.acting()]) as progress:
            yield progress

    def end(self, applied: Applied, home: Home, seconds: float) -> None:
        if applied.is_quiet and not home.fetched:
            return
        self._out.print("\n" + applied_text(applied, home, seconds=seconds), markup=False)

    def broken_off(self, error: str, seconds: float) -> None:
        pass


class JsonReport:
    """For programs: the plan, every event and the summary, one JSON object a line (contract)."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._applied = Applied(run_id=0)
        self._fetched = 0
        self._ended = False

    def plan(self, plan: Plan, service: str) -> None:
        self._line({"event": "plan", "service": service, **plan_document(plan)})

    @contextmanager
    def progress(self, plan: Plan) -> Iterator[Emit]:
        lines = JsonLines(self._write)

        def tell(event: Event) -> None:
            if isinstance(event, Ended):
                self._applied = event.applied  # the summary tells it
                return
            self._fetched += isinstance(event, Downloaded)
            lines(event)

        yield tell

    def end(self, applied: Applied, home: Home, seconds: float) -> None:
        self._ended = True
        self._line(applied_document(applied, home, seconds=seconds))

    def broken_off(self, error: str, seconds: float) -> None:
        if not self._ended:
            self._line(applied_document(self._applied, Home(self._fetched), seconds=seconds, error=error))

    def _line(self, document: Mapping[str, Any]) -> None:
        told = {"event": document["event"], "time": moment(time.time())}
        self._write(json.dumps({**told, **document}, ensure_ascii=False))
