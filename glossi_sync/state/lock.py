"""The run lock of a state that lies in a file: two applies on one state never run together.

The operating system holds it (flock, on Windows LockFile) for an open file, so it goes with its process, however that
ends. The lock file itself says nothing about the holder and may stay behind: who holds it stands in the state.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from glossi_sync.state.objects import Holder
from glossi_sync.state.store import StateError, StateLocked


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


def locked(location: str, holder: Holder | None, why: str = "") -> StateLocked:
    """The refusal of a run, naming who holds the state at ``location``, and ``why`` that is in the way."""
    who = "another run" if holder is None else told(holder)
    return StateLocked(f"the state {location} is held by {who}{why}; wait for it, or stop that process", holder)


def in_the_way(wanted: Holder, other: Holder) -> str | None:
    """Why one holder cannot have the lock beside another, for the end of ``locked``'s sentence; None where it can."""
    if wanted.shard is None or other.shard is None or wanted.shard == other.shard:
        return ""
    if wanted.shard.count != other.shard.count:
        return f", and shard {wanted.shard} does not go with a division into {other.shard.count}"
    if wanted.spec != other.spec:
        return ", and shards run side by side only for one and the same spec"
    return None


def unbreakable(location: str, holder: Holder) -> StateError:
    """The refusal to break a lock that dies with its process, and with nothing else."""
    return StateError(
        f"the state {location} is held by {told(holder)}; its lock ends with that process and cannot be taken away: "
        f"end it on {holder.host} with `kill {holder.pid}`, and what it was doing is taken up by the next run"
    )


def told(holder: Holder) -> str:
    """Who holds a state, for a sentence."""
    shard = "" if holder.shard is None else f", shard {holder.shard},"
    return (
        f"`{holder.command}`{shard} of {holder.user} on {holder.host} (pid {holder.pid}) "
        f"since {_clock_time(holder.since)}"
    )


def _clock_time(since: float) -> str:
    moment = time.localtime(since)
    today = time.strftime("%Y-%m-%d") == time.strftime("%Y-%m-%d", moment)
    return time.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S", moment)
