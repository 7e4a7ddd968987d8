"""Uploads: a file from disk to its signed URL (guide, Step 2.2).

The file is read in large pieces in a thread, one piece ahead of the network, hashed as it goes, so memory stays flat
and the event loop free. The last piece leaves only when the whole is known to be what was planned: a file that changed
meanwhile never arrives.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import httpx

from glossi_sync.service import wire
from glossi_sync.service.calls import UPLOAD
from glossi_sync.service.errors import FileChanged
from glossi_sync.service.exchange import Asking, Exchange

CHUNK_BYTES: Final = 512 * 1024

Progress = Callable[[int], None]
"""Told how many bytes of the file have left in all; an upload that is begun again starts from 0 again."""


class RunBlocking(Protocol):
    """Runs a blocking function off the event loop, as ``asyncio.to_thread`` does."""

    def __call__(self, function: Callable[..., Any], /, *args: Any) -> Awaitable[Any]: ...


@dataclass(frozen=True, slots=True)
class ExpectedFile:
    """A file as the plan knows it: where it lies, how many bytes it has, and their SHA-256 (hex)."""

    path: Path
    size: int
    sha256: str


async def upload(
    exchange: Exchange,
    url: str,
    file: ExpectedFile,
    file_type: str,
    *,
    progress: Progress | None = None,
    run_blocking: RunBlocking = asyncio.to_thread,
) -> None:
    """PUT a file to its signed URL, with nothing on the request but its length and its type.

    Raises:
        FileChanged: the file is not what the plan hashed, or cannot be read.
        UploadExpired: the URL is too old.
        ServiceError: anything else, sorted as usual.
    """
    headers = {"Content-Type": wire.FILE_TYPES[file_type], "Content-Length": str(file.size)}

    async def consume(response: httpx.Response) -> None:
        await response.aread()

    def build() -> httpx.Request:
        body = _Body(file, progress, run_blocking, where=asking.where)
        return httpx.Request("PUT", url, headers=headers, content=body)

    asking = Asking(UPLOAD, f"uploading {file.path}", url, build, keyed=False, lane="transfers")
    await exchange.persist(asking, consume)


class _Body:
    def __init__(self, file: ExpectedFile, progress: Progress | None, run_blocking: RunBlocking, where: str) -> None:
        self._file = file
        self._progress = progress or (lambda _: None)
        self._run_blocking = run_blocking
        self._where = where

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = _verified_chunks(self._file, self._where)
        sent = 0
        self._progress(sent)
        ahead = asyncio.ensure_future(self._run_blocking(next, chunks, None))
        try:
            while (chunk := await ahead) is not None:
                ahead = asyncio.ensure_future(self._run_blocking(next, chunks, None))
                yield chunk
                sent += len(chunk)
                self._progress(sent)
        finally:
            # Nobody waits for it any more; its file is closed with the generator, when its thread is through.
            ahead.add_done_callback(lambda done: done.cancelled() or done.exception())
            ahead.cancel()


def _verified_chunks(file: ExpectedFile, where: str) -> Iterator[bytes]:
    def changed(how: str) -> FileChanged:
        return FileChanged(
            call=UPLOAD.name, doing=f"uploading {file.path}", where=where, happened=f"was broken off: {how}"
        )

    digest = hashlib.sha256()
    left = file.size
    try:
        with file.path.open("rb", buffering=0) as content:
            while True:
                chunk = content.read(min(CHUNK_BYTES, left))
                left -= len(chunk)
                digest.update(chunk)
                if left and not chunk:
                    raise changed(f"the file has become shorter than the {file.size} bytes that were planned")
                if not left:
                    if content.read(1):
                        raise changed(f"the file has become longer than the {file.size} bytes that were planned")
                    if digest.hexdigest() != file.sha256:
                        raise changed("the file's content is no longer what was planned")
                if chunk:
                    yield chunk
                if not left:
                    return
    except OSError as error:
        reason = error.strerror or type(error).__name__
    raise changed(f"the file cannot be read ({reason})")
