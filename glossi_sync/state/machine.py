"""What this machine remembers for itself, beside the states that many machines share: the stamps of its files.

A stamp says what a file on a disk is known to be by its path, inode and time, which on another machine, or in another
container, may be another file's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from glossi_sync.state.memory import MemoryState
from glossi_sync.state.sql import SqlState
from glossi_sync.state.sqlite import SqliteDatabase, create_file
from glossi_sync.state.store import State, StateError

_STAMPS = "file-stamps.db"
_THIS_MACHINE = "this machine"


def machine_stamps() -> State:
    """The stamps of this machine's files, for every state that is shared; forgotten with the process if need be."""
    path = _caches(os.environ) / "glossi-sync" / _STAMPS
    try:
        if not path.exists():
            create_file(path, service=_THIS_MACHINE)
        return SqlState(SqliteDatabase(path, location=str(path), reading=False), service=_THIS_MACHINE)
    except (StateError, OSError):
        return MemoryState(service=_THIS_MACHINE)


def _caches(env: Mapping[str, str]) -> Path:
    """Where this system wants a user's caches."""
    if sys.platform == "win32":
        return Path(env.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache")
