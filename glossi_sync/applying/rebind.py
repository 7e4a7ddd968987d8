"""Moving bindings, and nothing else: what a rollback does. No call is made."""

from __future__ import annotations

from collections.abc import Callable

from glossi_sync.planning import Action, Plan
from glossi_sync.state import Bind, PutRun, Run, State, Unbind, Write


def rebind(plan: Plan, state: State, *, run_id: int, command: str, clock: Callable[[], float]) -> None:
    """Carry out a plan whose changes are all adoptions and forgettings, in one transaction, as a run of the history.

    Raises:
        StateError: the state cannot be written; then nothing was.
    """
    writes: list[Write] = []
    for change in plan.changes:
        if change.action is Action.FORGET:
            writes.append(Unbind(change.address))
        elif change.oid is not None:
            writes.append(Bind(change.address, change.oid))
    started = clock()
    state.write([*writes, PutRun(Run(run_id, command, started, clock(), "converged"))])
