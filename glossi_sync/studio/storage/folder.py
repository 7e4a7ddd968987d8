"""A folder as storage: of this machine, or of a disk that several machines see under the same path.

    <root>/files/workspaces/…   what answers point to
    <root>/incoming/            uploads that are still arriving
    <root>/working/             folders in which jobs render

Files are written elsewhere on the same disk, flushed, and renamed.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from glossi_sync.studio.storage.protocol import FileLost, NotUploaded, StorageAway, StoredFile, TooLarge, check_key
from glossi_sync.studio.threads import Runner, in_thread

CHUNK = 1 << 20
"""Bytes that are written or read at once: large enough that the hop into a thread costs nothing beside it."""


@dataclass(frozen=True, slots=True)
class FolderDepot:
    """A folder storage for workers that see it under the same path."""

    root: Path

    @property
    def working(self) -> Path:
        return self.root / "working"

    def check(self) -> None:
        if not (self.root / "files").is_dir():
            raise StorageAway(
                f"the studio's files lie in the folder {self.root}, which is not there on this worker's machine:"
                " mount it under the same path, or let the studio keep its files in a bucket (--storage s3://…)"
            )

    def fetch(self, key: str, folder: Path) -> Path:
        path = self.path(key)
        if not path.is_file():
            self.check()
            raise FileLost(f"{key} is not in the studio's storage any more")
        return path

    def put(self, source: Path, key: str) -> None:
        with source.open("rb") as file:
            os.fsync(file.fileno())
        self.place(source, key)

    @contextmanager
    def working_folder(self, attempt: str) -> Iterator[Path]:
        self.check()
        folder = self.working / attempt
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def place(self, source: Path, key: str) -> None:
        """Move a file that is flushed already under its key."""
        target = self.path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
        _flush_folder(target.parent)

    def path(self, key: str) -> Path:
        return self.root.joinpath("files", *check_key(key))


class FolderStorage:
    """Files under ``root``, made where it is missing. The studio itself takes uploads: ``receive``, then ``place``.

    Raises (all methods): OSError, where the disk refuses.
    """

    def __init__(self, root: Path, *, run: Runner = in_thread) -> None:
        self._depot = FolderDepot(root)
        self._incoming = root / "incoming"
        self._run = run
        for folder in (root / "files", self._incoming, self._depot.working):
            folder.mkdir(parents=True, exist_ok=True)

    @property
    def depot(self) -> FolderDepot:
        return self._depot

    def clear_unfinished(self) -> None:
        """Remove what an earlier server left half done. Only where no other server uses the folder."""
        for folder in (self._incoming, self._depot.working):
            for entry in folder.iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    async def upload_urls(self, keys: Sequence[str], seconds: float) -> list[str] | None:
        return None

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
        """Move a received file under its key, in place of what is there. Quick, and safe inside a transaction."""
        self._depot.place(source, key)

    async def settle(self, key: str, *, content_type: str, limit: int) -> None:
        # Whatever lies there was looked at while it arrived.
        if await self.find(key) is None:
            raise NotUploaded

    async def settled(self, key: str) -> None:
        """Nothing is left over: an upload takes the place of the one before it."""

    async def find(self, key: str) -> StoredFile | None:
        try:
            path = self._depot.path(key)
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
        path = self._depot.path(key)
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
        """Where the file under a key lies."""
        return self._depot.path(key)

    async def discard(self, attempt: str) -> None:
        await self._run(partial(remove_attempt, self._depot.working, attempt))

    async def remove_tree(self, prefix: str) -> None:
        await self._run(partial(shutil.rmtree, self._depot.path(prefix), ignore_errors=True))


def remove_attempt(working: Path, attempt: str) -> None:
    """Remove the working folders of an attempt; a worker that runs it once more adds to the name."""
    for folder in working.glob(f"{attempt}*"):
        shutil.rmtree(folder, ignore_errors=True)


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
