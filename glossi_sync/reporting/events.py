"""An apply's events as lines: plain ones where there is no terminal, JSON ones for programs."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from glossi_sync.applying import Event
from glossi_sync.applying.events import (
    Downloaded,
    Ended,
    Failed,
    Noted,
    Reached,
    Recorded,
    Removed,
    Skipped,
    StepTaken,
    Stopping,
    Uploading,
    Waiting,
)
from glossi_sync.moments import moment

WORDS = {"record": "recorded", "upload": "uploaded", "confirm": "confirmed", "create": "created", "start": "started"}


STOPPING = "stopping: what is under way is finished and recorded; once more stops at once"


class EventLines:
    """One plain line an event, but for those that would only repeat themselves (bytes sent, a wait going on)."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._waiting: dict[str, str] = {}

    def __call__(self, event: Event) -> None:
        line = self._line(event)
        if line is not None:
            self._write(line)

    def _line(self, event: Event) -> str | None:  # noqa: PLR0911 (one for each kind of event)
        match event:
            case StepTaken(address, step, remote_id):
                return f"{address}: {WORDS.get(step, step)}" + (f" ({remote_id})" if remote_id else "")
            case Waiting(address, status):
                if self._waiting.get(address) == status.lower():
                    return None
                self._waiting[address] = status.lower()
                return f"{address}: {status.lower()} …"
            case Reached(address, phase):
                return f"{address}: {phase}"
            case Recorded(address, action):
                return f"{address}: {action}"
            case Failed(address, error):
                return f"{address}: FAILED: {error}"
            case Skipped(address, reason):
                return f"{address}: skipped, {reason}"
            case Noted(address, message):
                return f"{address}: note: {message}"
            case Downloaded(_, path, _):
                return f"brought home {path}"
            case Removed(path):
                return f"removed {path}"
            case Stopping():
                return STOPPING
            case Uploading() | Ended():
                return None


class JsonLines:
    """One JSON object an event: ``{"event": "step-taken", "time": …, …}`` (contract, ``apply --format json``)."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def __call__(self, event: Event) -> None:
        if isinstance(event, Uploading) and event.sent < event.total:
            return
        self._write(json_line(_kebab(type(event).__name__), asdict(event)))


def json_line(event: str, fields: dict[str, Any]) -> str:
    """One line of JSON, its keys as in the plan's document."""
    told = {"event": event, "time": moment(time.time())}
    return json.dumps({**told, **{_camel(key): value for key, value in fields.items()}}, ensure_ascii=False)


def _kebab(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)
