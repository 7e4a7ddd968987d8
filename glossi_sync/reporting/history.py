"""Runs and strays for a terminal: one line each."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.text import Text

from glossi_sync.reporting.words import calls_line
from glossi_sync.state import Holder, Run, Stray

_COLOURS = {"converged": "green", "converged in part": "yellow", "under way": "cyan"}


def history_text(runs: Sequence[Run]) -> Text:
    """The runs: id, beginning, seconds, outcome, what was called."""
    lines = Text()
    if not runs:
        return Text("No run yet.\n")
    for run in runs:
        took = "" if run.ended is None else f"{run.ended - run.started:.0f} s"
        outcome = run.outcome or "did not end"
        lines.append(f"{run.run_id:<19}  {_moment(run.started)}  {took:>7}  ")
        lines.append(f"{outcome:<17}", style=_COLOURS.get(outcome, "red"))
        lines.append(f"  {run.command}  {calls_line(run.calls) if run.calls else 'no calls'}\n")
    return lines


def strays_text(strays: Sequence[Stray]) -> Text:
    """The strays: when noticed, kind, remote id where it is known, why."""
    lines = Text()
    if not strays:
        return Text("No strays.\n")
    for stray in strays:
        lines.append(f"{_moment(stray.at)}  {stray.kind.value:<8}  {stray.remote_id or '(id unknown)':<36}  ")
        lines.append(f"{stray.reason}\n", style="bright_black")
    return lines


def holders_text(holders: Sequence[Holder]) -> Text:
    """Who holds a state: run, since when, who where, the process, the command, the shard if any."""
    lines = Text()
    for holder in holders:
        lines.append(f"run {holder.run_id:<19}  since {_moment(holder.since)}  {holder.user} on {holder.host}, ")
        shard = "" if holder.shard is None else f", shard {holder.shard}"
        lines.append(f"pid {holder.pid}  {holder.command}{shard}\n")
    return lines


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
