"""The report of a run that is one of many: it says nothing where there was nothing to do."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

from glossi_sync.applying import Applied, Emit, Home
from glossi_sync.planning import Plan
from glossi_sync.reporting.report import Report


@dataclass(frozen=True, slots=True)
class QuietReport:
    """``report``, but for plans that change nothing; implements ``Report``."""

    report: Report

    def plan(self, plan: Plan, service: str) -> None:
        if not plan.is_empty:
            self.report.plan(plan, service)

    def progress(self, plan: Plan) -> AbstractContextManager[Emit]:
        return self.report.progress(plan)

    def end(self, applied: Applied, home: Home, seconds: float) -> None:
        self.report.end(applied, home, seconds)

    def broken_off(self, error: str, seconds: float) -> None:
        self.report.broken_off(error, seconds)
