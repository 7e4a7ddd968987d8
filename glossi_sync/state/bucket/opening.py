"""Opening the state at a bucket's URL, with a cache of file stamps on this machine."""

from __future__ import annotations

from glossi_sync.state.bucket.bucket_state import Absent, BucketState, create
from glossi_sync.state.bucket.objects import BucketObjects
from glossi_sync.state.machine import machine_stamps
from glossi_sync.state.memory import MemoryState
from glossi_sync.state.store import State


def open_bucket(url: str, *, service: str, create_it: bool) -> State:
    """Open the state below ``url``; one that does not exist is made, or with no ``create_it`` an empty one.

    Raises:
        StateError: it cannot be opened or made, or belongs to another service.
    """
    objects = BucketObjects(url)
    stamps = machine_stamps()
    try:
        try:
            return BucketState(objects, service=service, stamps=stamps)
        except Absent:
            if create_it:
                create(objects, service=service)
                return BucketState(objects, service=service, stamps=stamps)
    except BaseException:
        stamps.close()
        raise
    stamps.close()
    return MemoryState(service=service, location=objects.url, absent=True)
