"""Binding addresses to what exists at the service already: one transaction, a run of the history, and no call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from glossi_sync.applying.ledger import new_id
from glossi_sync.planning.explain import inputs_of
from glossi_sync.planning.importing import Import
from glossi_sync.state import Bind, Object, PutObject, PutRun, Run, State, Write


def bind_imports(
    imports: Sequence[Import], state: State, *, run_id: int, command: str, clock: Callable[[], float], rng: Random
) -> None:
    """Carry out what ``decide_import`` has decided; parents come before what is made of them.

    Raises:
        StateError: the state cannot be written; then nothing was.
    """
    started = clock()
    oids = dict(state.realised().bindings)
    writes: list[Write] = []
    for one in imports:
        want = one.want
        oids[want.address] = one.oid if one.oid is not None else new_id(rng)
        made = Object(
            oid=oids[want.address],
            kind=want.kind,
            digest=want.digest,
            phase=one.phase,
            label=one.label,
            remote_id=one.remote_id,
            parents=tuple(oids[parent] for parent in want.parents),
            since=started,
            error=one.error,
        )
        writes += [PutObject(made, inputs=inputs_of(want), files=one.files), Bind(want.address, made.oid)]
    state.write([*writes, PutRun(Run(run_id, command, started, clock(), "converged"))])
