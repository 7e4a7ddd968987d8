"""What an apply did, at its end: a few lines for a person, one object for a program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from glossi_sync.applying import Applied, Home
from glossi_sync.reporting.words import calls_line


def applied_text(applied: Applied, home: Home, *, seconds: float) -> str:
    """``Applied in 12.3 s: 4 record, …``, and what did not converge, each with its reason."""
    steps = ", ".join(f"{count} {step}" for step, count in applied.steps.items()) or "no step was needed"
    lines = [f"Applied in {seconds:.1f} s: {steps}."]
    if applied.calls:
        lines.append(f"Calls: {calls_line(applied.calls)}.")
    if home.fetched:
        lines.append(f"Brought home: {home.fetched} {'file' if home.fetched == 1 else 'files'}.")
    troubles = {**applied.failed, **home.failed}
    if troubles:
        lines += ["", f"{len(troubles)} did not converge:"]
        lines += [f"  {address}: {reason}" for address, reason in troubles.items()]
    if applied.skipped:
        lines.append(f"{len(applied.skipped)} not gone on with: {_some(list(applied.skipped))}.")
    if applied.under_way:
        lines.append(f"Still under way: {_some(list(applied.under_way))}. A later apply goes on from there.")
    if applied.stopped:
        lines.append("Stopped as asked; run the command again to go on from here.")
    return "\n".join(lines)


def applied_document(applied: Applied, home: Home, *, seconds: float, error: str | None = None) -> dict[str, Any]:
    """The last line of ``apply --format json`` (contract); ``error`` is what has ended the run before its time."""
    return {
        "event": "summary",
        "converged": applied.converged and error is None,
        "stopped": applied.stopped,
        "steps": dict(applied.steps),
        "calls": dict(applied.calls),
        "failed": dict(applied.failed),
        "skipped": dict(applied.skipped),
        "underWay": dict(applied.under_way),
        "downloads": {"fetched": home.fetched, "failed": dict(home.failed)},
        "seconds": round(seconds, 3),
        **({} if error is None else {"error": error}),
    }


def _some(addresses: Sequence[str], most: int = 5) -> str:
    more = len(addresses) - most
    return ", ".join(addresses[:most]) + (f" and {more} more" if more > 0 else "")
