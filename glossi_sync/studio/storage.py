"""Storage: the studio's files, in a folder of this machine, by key.

A key is the ``uploadKey`` or ``filePath`` of an answer: ``workspaces/<id>/models/<id>/model.glb``. Every part of a
key is made by the studio (ids, a fixed name, a known suffix), and a key that comes in from outside is looked at
letter by letter before it becomes a path. Files appear whole or not at all: they are written elsewhere on the same
disk, flushed, and renamed. What lies here never changes under its key, but for a model's file before it is confirmed.

    <root>/files/workspaces/…   what answers point to
    <root>/incoming/            uploads that are still arriving
    <root>/working/             folders in which jobs render
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from glossi_sync.studio.records import Runner, in_thread

CHUNK = 1 << 20
"""Bytes that are written or read at once: large enough that the hop into a thread costs nothing beside it."""

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}\Z", re.ASCII)


class TooLarge(Exception):
    """More bytes came in than are allowed."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file in storage: its size in bytes, and a tag that changes with its content."""

    key: str
    size: int
    etag: str


def model_key(workspace_id: str, model_id: str, file_type: str) -> str:
    return f"workspaces/{workspace_id}/models/{model_id}/model.{file_type}"


def job_prefix(workspace_id: str, job_id: str) -> str:
    return f"workspaces/{workspace_id}/renders/{job_id}"


class Storage:
    """Files under ``root``, made where it is missing.

    Raises (all methods): OSError, where the disk refuses.
    """

    def __init__(self, root: Path, *, run: Runner = in_thread) -> None:
        self._files = root / "files"
        self._incoming = root / "incoming"
        self._working = root / "working"
        self._run = run
        for folder in (self._files, self._incoming, self._working):
            folder.mkdir(parents=True, exist_ok=True)

    def clear_unfinished(self) -> None:
        """Remove what an earlier server left half done. Only where no other server uses the folder."""
        for folder in (self._incoming, self._working):
            for entry in folder.iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    async def receive(self, chunks: AsyncIterator[bytes], limit: int) -> Path:
        """Write what arrives to a file of its own among the incoming ones, flushed to the disk.

        The caller places it with ``place`` or removes it.

        Raises:
            TooLarge: at the first byte over ``limit``; nothing is left behind, nor by any other error.
        """
        descriptor, name = await self._run(partial(tempfile.mkstemp, dir=self._incoming))
        path = Path(name)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                received = 0
                waiting = bytearray()
                async for chunk in chunks:
                    received += len(chunk)
                    if received > limit:
                        raise TooLarge
                    waiting += chunk
                    if len(waiting) >= CHUNK:
                        await self._run(partial(_write, file, waiting))
                        waiting = bytearray()
                await self._run(partial(_write, file, waiting))
                await self._run(partial(os.fsync, file.fileno()))
        except BaseException:
            path.unlink(missing_ok=True)  # noqa: ASYNC240 - quick, and must happen even where the task is cancelled
            raise
        return path

    def place(self, source: Path, key: str) -> None:
        """Move a finished file under its key, in place of what is there. Quick, and safe inside a transaction."""
        target = self._path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
        _flush_folder(target.parent)

    async def adopt(self, source: Path, key: str) -> None:
        """``place`` a file that somebody else wrote into a working folder, after flushing it."""

        def move() -> None:
            with source.open("rb") as file:
                os.fsync(file.fileno())
            self.place(source, key)

        await self._run(move)

    async def find(self, key: str) -> StoredFile | None:
        """The file under a key from anywhere; None where there is none, or where it is no key at all."""
        try:
            path = self._path(key)
        except ValueError:
            return None

        def look() -> StoredFile | None:
            try:
                status = path.stat(follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                return None
            if not stat.S_ISREG(status.st_mode):
                return None
            return StoredFile(key, status.st_size, f'"{status.st_size:x}-{status.st_mtime_ns:x}"')

        return await self._run(look)

    async def read(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to but not including ``end``, in chunks."""
        path = self._path(key)
        with await self._run(lambda: path.open("rb", buffering=0)) as file:
            await self._run(partial(file.seek, start))
            left = end - start
            while left > 0:
                chunk = await self._run(partial(file.read, min(CHUNK, left)))
                if not chunk:
                    raise OSError(f"{key} became shorter while it was read")
                left -= len(chunk)
                yield chunk

    def local(self, key: str) -> Path:
        """The file under a key as a path on this machine, for a worker to read."""
        return self._path(key)

    async def working_folder(self) -> Path:
        """A new, empty folder for one job; the caller removes it with ``remove_working_folder``."""
        return Path(await self._run(partial(tempfile.mkdtemp, dir=self._working)))

    async def remove_working_folder(self, folder: Path) -> None:
        await self._run(partial(shutil.rmtree, folder, ignore_errors=True))

    async def remove_tree(self, prefix: str) -> None:
        """Remove everything under a prefix, if there is anything."""
        await self._run(partial(shutil.rmtree, self._path(prefix), ignore_errors=True))

    def _path(self, key: str) -> Path:
        parts = key.split("/")
        if parts[0] != "workspaces" or len(parts) < 2 or not all(map(_PART.match, parts)):
            raise ValueError(f"{key!r} is not a key of this storage")
        return self._files.joinpath(*parts)


def _write(file: BinaryIO, content: bytearray) -> None:
    view = memoryview(content)
    while view:
        view = view[file.write(view) :]


def _flush_folder(folder: Path) -> None:
    # A rename is on the disk only when its folder is. Windows knows no such call, and needs none.
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
