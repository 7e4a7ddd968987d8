"""A state as JSON values, for people and scripts that read it (``state show --format json``)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from glossi_sync.state.objects import Run, Stray
from glossi_sync.state.store import State
from glossi_sync.state.values import file_values, intent_values, object_values, run_values, stray_values


def describe(state: State) -> dict[str, Any]:
    """Everything that a state holds, but no secret: never an upload URL (nor a key, which no state has).

    Times are Unix seconds. Numbers of objects, calls and runs are strings, because they have 63 bits and most JSON
    readers keep 53.

    Raises:
        StateError: it cannot be read.
    """
    realised = state.realised()
    inputs = state.inputs(realised.objects)
    files = state.files(realised.objects)
    addresses: dict[int, list[str]] = {}
    for address, oid in realised.bindings.items():
        addresses.setdefault(oid, []).append(address)
    return {
        "format": 1,
        "location": state.location,
        "service": state.service,
        "lineage": state.lineage,
        "serial": state.serial,
        "bindings": {address: str(oid) for address, oid in sorted(realised.bindings.items())},
        "objects": [
            object_values(thing)
            | {
                "addresses": sorted(addresses.get(thing.oid, ())),
                "inputs": inputs.get(thing.oid),
                "files": [file_values(file) for file in files.get(thing.oid, ())],
            }
            for thing in sorted(realised.objects.values(), key=lambda thing: (thing.kind, thing.since, thing.oid))
        ],
        "inDoubt": [intent_values(intent) for intent in realised.in_doubt],
        "strays": stray_documents(state.strays()),
        "downloads": [
            {
                "path": download.path,
                "renderId": download.render_id,
                "size": download.size,
                "sha256": download.sha256,
            }
            for _, download in sorted(state.downloads().items())
        ],
        "runs": history(state.runs()),
    }


def stray_documents(strays: Iterable[Stray]) -> list[dict[str, Any]]:
    """Strays as JSON values, in the order given."""
    return [stray_values(stray) for stray in strays]


def history(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """Runs as JSON values, in the order given; ``outcome`` is null for one that was killed or still goes on."""
    return [run_values(run) for run in runs]
