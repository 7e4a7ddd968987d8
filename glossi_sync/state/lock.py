"""The run lock of a state that lies in a file: two applies on one state never run together.

The operating system holds it (flock, on Windows LockFile) for an open file, so it goes with its process, however that
ends. The lock file itself says nothing about the holder and may stay behind: who holds it stands in the state.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from glossi_sync.state.objects import Holder
from glossi_sync.state.store import StateLocked


def take(path: Path) -> Callable[[], None] | None:
    """Take the lock on ``path`` without waiting: how to release it, or None where another holds it.

    Raises:
        OSError: the lock file cannot be made or opened.
    """
    # Imported here because it costs 30 ms, which a plan, needing no lock, should not pay.
    from filelock import FileLock, Timeout  # noqa: PLC0415

    # Not thread-local: an apply may take the lock in one thread and release it in another.
    lock = FileLock(path, mode=0o600, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock.release


def locked(location: str, holder: Holder | None) -> StateLocked:
    """The refusal of a run, naming who holds the state at ``location``."""
    if holder is None:
        who = "another run"
    else:
        who = (
            f"`{holder.command}` of {holder.user} on {holder.host} (pid {holder.pid}) since {_clock_time(holder.since)}"
        )
    return StateLocked(f"the state {location} is held by {who}; wait for it, or stop that process", holder)


def _clock_time(since: float) -> str:
    moment = time.localtime(since)
    today = time.strftime("%Y-%m-%d") == time.strftime("%Y-%m-%d", moment)
    return time.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S", moment)
