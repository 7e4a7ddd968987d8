"""What a storage is to the server (``Storage``) and to a worker (``Depot``), and how its keys are made."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

from glossi_sync.service import wire

MEDIA_TYPES: Final = MappingProxyType[str, str](
    {
        "png": "image/png",
        "jpg": "image/jpeg",
        "mp4": "video/mp4",
        "mov": "video/quicktime",
        **wire.FILE_TYPES,
    }
)
"""Suffix of a key -> Content-Type of its file."""

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}\Z", re.ASCII)


class TooLarge(Exception):
    """More bytes came in than are allowed."""


class NotUploaded(Exception):
    """Nothing was uploaded under this key yet."""


class WrongContentType(Exception):
    """The file was uploaded with another Content-Type than that of its file type; the message is that type."""


class UploadReplaced(Exception):
    """The upload was replaced by another as often as it was looked at."""


class FileLost(Exception):
    """There is no file under a key at which there was one; the message names it."""


class StorageAway(OSError):
    """The storage cannot be used at the moment; the message says why. It may be there again later."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file in storage: its size in bytes, and a tag that changes with its content."""

    key: str
    size: int
    etag: str


def model_key(workspace_id: str, model_id: str, file_type: str) -> str:
    return f"workspaces/{workspace_id}/models/{model_id}/model.{file_type}"


def beside_model(model_key: str, name: str) -> str:
    """The key of a file that the studio made of a model: beside the upload, whose own name it must not take."""
    return f"{model_key.rpartition('/')[0]}/{name}"


def job_prefix(workspace_id: str, job_id: str) -> str:
    return f"workspaces/{workspace_id}/renders/{job_id}"


def check_key(key: str) -> tuple[str, ...]:
    """The parts of a key.

    Raises:
        ValueError: it is none.
    """
    parts = tuple(key.split("/"))
    if parts[0] != "workspaces" or len(parts) < 2 or not all(map(_PART.match, parts)):
        raise ValueError(f"{key!r} is not a key of this storage")
    return parts


class Depot(Protocol):
    """A storage as a worker sees it. It can be pickled, and blocks.

    Raises (all methods): StorageAway; OSError, where this machine's disk refuses.
    """

    def check(self) -> None:
        """See whether this machine can use the storage."""
        ...

    def fetch(self, key: str, folder: Path) -> Path:
        """A file that can be read on this machine: the stored one itself, or a copy of it in ``folder``.

        Raises:
            FileLost: there is none under this key.
        """
        ...

    def put(self, source: Path, key: str) -> None:
        """Keep a finished file under a key, in place of what is there. ``source`` may be gone afterwards."""
        ...

    def working_folder(self, attempt: str) -> AbstractContextManager[Path]:
        """A new, empty folder on this machine, removed in the end. Where the worker does not live to do that, the
        server does (``Storage.discard``), as far as it can reach."""
        ...


class Storage(Protocol):
    """A storage as the server sees it.

    Raises (all methods): StorageAway; OSError, where the disk refuses.
    """

    @property
    def depot(self) -> Depot:
        """This storage, for workers."""
        ...

    async def upload_urls(self, keys: Sequence[str], seconds: float) -> list[str] | None:
        """Signed URLs to PUT models' files to; None where the studio takes uploads itself (``FolderStorage``)."""
        ...

    async def settle(self, key: str, *, content_type: str, limit: int) -> None:
        """Make what was uploaded for a model its file. One call at a time for each key, and none once it is confirmed.

        Raises:
            NotUploaded, UploadReplaced: see there.
            TooLarge, WrongContentType: nothing was kept.
        """
        ...

    async def settled(self, key: str) -> None:
        """The model is confirmed: what was uploaded besides its file is not needed any more."""
        ...

    async def find(self, key: str) -> StoredFile | None:
        """The file under a key from anywhere; None where there is none, or where it is no key at all."""
        ...

    def read(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to but not including ``end``, in chunks."""
        ...

    async def discard(self, attempt: str) -> None:
        """Remove what is left of an attempt's working folder."""
        ...

    async def remove_tree(self, prefix: str) -> None:
        """Remove everything under a prefix, if there is anything."""
        ...
