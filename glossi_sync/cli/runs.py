"""Naming a run of the history on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from glossi_sync.cli.errors import fail

if TYPE_CHECKING:
    from glossi_sync.state import Run


def named_run(wanted: str, runs: Sequence[Run]) -> Run:
    """The run that an id, or the beginning of one, names; it must have ended."""
    found = [run for run in runs if str(run.run_id).startswith(wanted)]
    if not found:
        fail(f"The history has no run {wanted}; `glossi-sync history` lists them.")
    if len(found) > 1:
        fail(f"{len(found)} runs begin with {wanted}; write more of the id.")
    if found[0].ended is None:
        fail(f"Run {found[0].run_id} never ended, so what it left is not known; choose one that did.")
    return found[0]
