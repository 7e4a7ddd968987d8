"""The state: what has been realised at a service, remembered between runs.

Here lie the objects and what they are made of, the bindings of addresses to them, the journal of mutating calls, the
history of runs, and the lock that keeps two applies apart. ``State`` is the one protocol; a backend folds ``Write``
values, many in one durable transaction. ``SqlState`` keeps it in a file or a PostgreSQL database, ``BucketState`` in a
bucket, ``MemoryState`` in memory.

It is not the place for what should be (``spec``), for what the service says now or what to do about it (``planning``),
nor for the API key, which is never written down.
"""

from glossi_sync.state.check import check
from glossi_sync.state.describe import describe, history, stray_documents
from glossi_sync.state.memory import MemoryState
from glossi_sync.state.objects import (
    Download,
    FileStamp,
    Holder,
    Intent,
    Object,
    Realised,
    Received,
    RemoteStamp,
    RenderedFile,
    Run,
    Stray,
    Subject,
)
from glossi_sync.state.opening import default_location, key_file_of, location_of, open_state, service_identity
from glossi_sync.state.secrets import KEY_VARIABLE, seal, state_key, unseal
from glossi_sync.state.sql import SqlState
from glossi_sync.state.store import State, StateError, StateLocked
from glossi_sync.state.writes import (
    AddStray,
    Bind,
    DropDownload,
    Intend,
    PutDownload,
    PutObject,
    PutRun,
    PutSecret,
    Settle,
    Unbind,
    Write,
)

__all__ = [
    "KEY_VARIABLE",
    "AddStray",
    "Bind",
    "Download",
    "DropDownload",
    "FileStamp",
    "Holder",
    "Intend",
    "Intent",
    "MemoryState",
    "Object",
    "PutDownload",
    "PutObject",
    "PutRun",
    "PutSecret",
    "Realised",
    "Received",
    "RemoteStamp",
    "RenderedFile",
    "Run",
    "Settle",
    "SqlState",
    "State",
    "StateError",
    "StateLocked",
    "Stray",
    "Subject",
    "Unbind",
    "Write",
    "check",
    "default_location",
    "describe",
    "history",
    "key_file_of",
    "location_of",
    "open_state",
    "seal",
    "service_identity",
    "state_key",
    "stray_documents",
    "unseal",
]
