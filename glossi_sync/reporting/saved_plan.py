"""A saved plan: what its document says of how it was made, and the way back from the file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from glossi_sync.errors import UserError
from glossi_sync.planning import Action, Refresh, Scope
from glossi_sync.planning.reviewed import Made, Options, Reviewed, ReviewedChange
from glossi_sync.resources import Shard

FORMAT = 1
"""The version of a plan's document."""

_IN_DOUBT = ("hold", "again")


class NotAPlan(UserError):
    """A file that is no plan, or not one that this version can apply; the message says what is wrong with it."""


def made_document(made: Made) -> dict[str, Any]:
    """How a plan was made, as JSON values. It holds no secret: no value of a variable, no key, no state's URL."""
    options = made.options
    document: dict[str, Any] = {
        "at": datetime.fromtimestamp(made.at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "spec": made.spec_file,
        "service": made.service,
        "lastRun": None if made.last_run is None else str(made.last_run),
        "targets": list(options.scope.targets),
        "replace": list(options.scope.anew),
        "shard": None if options.scope.shard is None else str(options.scope.shard),
        "refresh": options.refresh.value,
        "retryFailed": options.retry_failed,
        "inDoubt": options.in_doubt,
        "allowLargeChange": options.allow_large_change,
        "seen": dict(made.seen),
    }
    if made.endpoint is not None:
        document["endpoint"] = made.endpoint
    return document


def read_plan(path: Path) -> Reviewed:
    """Read a saved plan.

    Raises:
        NotAPlan: the file cannot be read, is cut short, is none, or is one of another form.
    """
    document = _load(path)
    if not isinstance(document, dict) or not {"format", "changes", "state"} <= document.keys():
        raise NotAPlan(f"{path} is not a plan: `glossi-sync plan --out FILE` saves one")
    if document["format"] != FORMAT:
        raise NotAPlan(
            f"{path} is a plan of format {document['format']!r}, and this version knows format {FORMAT}: plan again, "
            "or apply it with the version that has made it"
        )
    if "madeWith" not in document:
        raise NotAPlan(f"{path} does not say how it was made: `glossi-sync plan --out FILE` saves a plan that does")
    try:
        return _reviewed(str(path), document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise NotAPlan(f"{path} is damaged, or not as `glossi-sync plan` has written it: {what}") from None


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise NotAPlan(f"the plan {path} cannot be read: {error.strerror or error}") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise NotAPlan(f"{path} is no whole plan: it is not JSON from {where} on ({error.msg})") from None
    except (UnicodeDecodeError, RecursionError):
        raise NotAPlan(f"{path} is not a plan: it is not JSON in UTF-8") from None


def _reviewed(name: str, document: Mapping[str, Any]) -> Reviewed:
    state = document["state"]
    return Reviewed(
        name=name,
        workspace=_text(document, "workspace"),
        spec=_text(document, "spec"),
        lineage=_text(state, "lineage"),
        serial=int(state["serial"]),
        made=_made(document["madeWith"]),
        changes={_text(one, "address"): _change(one) for one in document["changes"]},
    )


def _made(document: Mapping[str, Any]) -> Made:
    shard, last_run, in_doubt = document["shard"], document["lastRun"], document["inDoubt"]
    if in_doubt not in _IN_DOUBT:
        raise ValueError(f"inDoubt is {in_doubt!r}")
    scope = Scope(
        targets=tuple(map(str, document["targets"])),
        anew=tuple(map(str, document["replace"])),
        shard=None if shard is None else Shard.parse(shard),
    )
    options = Options(
        scope=scope,
        refresh=Refresh(document["refresh"]),
        retry_failed=document["retryFailed"] is True,
        in_doubt=in_doubt,
        allow_large_change=document["allowLargeChange"] is True,
    )
    return Made(
        options,
        spec_file=_text(document, "spec"),
        service=_text(document, "service"),
        endpoint=document.get("endpoint"),
        last_run=None if last_run is None else int(last_run),
        seen={str(address): str(phase) for address, phase in document["seen"].items()},
        at=datetime.fromisoformat(document["at"]).timestamp(),
    )


def _change(document: Mapping[str, Any]) -> ReviewedChange:
    return ReviewedChange(
        action=Action(document["action"]),
        digest=document.get("digest"),
        steps=tuple(map(str, document["steps"])),
        trouble=document.get("trouble"),
        moved_from=document.get("movedFrom"),
        waits=document.get("waits") is True,
        reason=_text(document, "reason"),
    )


def _text(document: Mapping[str, Any], key: str) -> str:
    value = document[key]
    if not isinstance(value, str):
        raise TypeError(f"{key} is {value!r}")
    return value
