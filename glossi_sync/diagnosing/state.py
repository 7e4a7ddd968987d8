"""The state: is it there, can it be opened, is it sound and free, may it be written, and can nobody else read it?"""

from __future__ import annotations

import os
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from glossi_sync.diagnosing.finding import Finding, note, ok, problem
from glossi_sync.errors import UserError
from glossi_sync.state import State, check, state_key, unseal
from glossi_sync.state.peek import NEWEST_SCHEMA, schema_version

_SHOWN = 5


def outdated(path: Path) -> Finding | None:
    """A state in a file whose schema is older: to open it would change it, and a doctor does not."""
    version = schema_version(path)
    if version is None or version >= NEWEST_SCHEMA:
        return None
    return note(
        "state",
        f"{path} has schema {version}, of an older glossi-sync; it was not looked into",
        f"The next command brings it up to schema {NEWEST_SCHEMA}, and keeps a backup beside it.",
    )


def opened(state: State) -> Iterator[Finding]:
    """What a state says of itself."""
    if not state.lineage:
        yield ok("state", f"there is none yet; the first apply makes {state.location}")
        return
    try:
        damage = check(state)
        realised = state.realised()
        holders = state.holders()
    except (UserError, OSError) as error:
        yield problem("state", str(error))
        return
    if damage:
        shown = "; ".join(damage[:_SHOWN]) + (f" … and {len(damage) - _SHOWN} more" if len(damage) > _SHOWN else "")
        yield problem("state", f"{state.location} is not sound: {shown}", "Bring back a backup of it.")
    else:
        told = f"{len(realised.bindings):,} addresses, serial {state.serial}, schema {NEWEST_SCHEMA}"
        yield ok("state", f"{state.location} is sound: {told}")
    for one in holders:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one.since))
        yield note(
            "state",
            f"it is held by `{one.command}` of {one.user} on {one.host} (pid {one.pid}) since {since}",
            "Wait for it; if that process is no more, `glossi-sync unlock`.",
        )
    if realised.in_doubt:
        yield note(
            "state",
            f"{len(realised.in_doubt)} calls of an earlier apply were never answered",
            "`glossi-sync plan` says what that means for which address.",
        )


def folder(path: Path) -> Iterator[Finding]:
    """Whether the folder of a state in a file can be written to, and what lies in it is its owner's alone."""
    here = path.parent
    while not here.exists():
        here = here.parent
    try:
        with tempfile.TemporaryFile(dir=here):
            pass
    except OSError as error:
        yield problem("folder", f"{here} cannot be written to: {error.strerror}", "Every apply writes its state there.")
    else:
        yield ok("folder", f"{here} can be written to")
    for secret in (path, path.with_suffix(".key")):
        yield from private(secret)


def private(path: Path) -> Iterator[Finding]:
    """Whether others may read a file that is nobody else's business."""
    if os.name == "nt":
        return
    with suppress(OSError):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            yield problem("permissions", f"{path} can be read by others (mode {mode:03o})", f"chmod 600 {path}")


def secret(state: State, name: str, key_file: Path, env: Mapping[str, str]) -> Finding:
    """Whether the webhook's secret, which the service tells only once, is kept and can be opened."""
    check = "webhook secret"
    try:
        sealed = state.secret(name) if state.lineage else None
        if sealed is None:
            return note(check, "none is kept yet", "It comes with the answer when an apply sets the webhook.")
        unseal(state_key(key_file, env, create=False), state.lineage, name, sealed)
    except UserError as error:
        return problem(check, str(error))
    return ok(check, "kept, sealed, and its key opens it")
