"""What the state holds as JSON values, a function for each sort of thing: for people who read it, and for moving it.

Times are Unix seconds. Numbers of objects, calls and runs are strings, because they have 63 bits and most JSON readers
keep 53.
"""

from __future__ import annotations

from typing import Any

from glossi_sync.state.objects import Intent, Object, RenderedFile, Run, Stray


def object_values(thing: Object) -> dict[str, Any]:
    return {
        "oid": str(thing.oid),
        "kind": thing.kind.value,
        "phase": thing.phase.value,
        "label": thing.label,
        "remoteId": thing.remote_id,
        "digest": thing.digest,
        "parents": [str(parent) for parent in thing.parents],
        "since": thing.since,
        "expires": thing.expires,
        "attempts": thing.attempts,
        "error": thing.error,
    }


def file_values(file: RenderedFile) -> dict[str, Any]:
    return {
        "id": file.id,
        "name": file.name,
        "filePath": file.file_path,
        "fileType": file.file_type,
        "isVideo": file.is_video,
    }


def intent_values(intent: Intent) -> dict[str, Any]:
    return {
        "callId": str(intent.call_id),
        "runId": str(intent.run_id),
        "step": intent.step,
        "call": intent.call,
        "subjects": [{"address": one.address, "digest": one.digest} for one in intent.subjects],
        "at": intent.at,
    }


def run_values(run: Run) -> dict[str, Any]:
    return {
        "runId": str(run.run_id),
        "command": run.command,
        "started": run.started,
        "ended": run.ended,
        "outcome": run.outcome,
        "steps": dict(run.steps),
        "calls": dict(run.calls),
    }


def stray_values(stray: Stray) -> dict[str, Any]:
    return {"kind": stray.kind.value, "remoteId": stray.remote_id, "reason": stray.reason, "at": stray.at}
