"""What the webhook's receiver answers, a line each: for a log that people read, or one that programs do."""

from __future__ import annotations

import json

from glossi_sync.moments import moment
from glossi_sync.receiving import Told


def delivery_line(told: Told, form: str, now: float) -> str:
    """One answer, in ``form`` text or json; ``now`` in Unix seconds."""
    verdict = told.verdict
    if form == "json":
        document = {
            "event": "delivery",
            "time": moment(now),
            "status": verdict.status,
            "message": verdict.words,
            "name": verdict.event,
            "digest": verdict.digest,
            "peer": told.peer,
            "method": told.method,
            "path": told.path,
        }
        return json.dumps(document, ensure_ascii=False)
    about = f"{verdict.event} " if verdict.event else ""
    return f"{moment(now)} {verdict.status} {told.peer} {told.method} {told.path} {about}{verdict.words}"
