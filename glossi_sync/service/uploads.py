"""Uploads: a file from disk to its signed URL (guide, Step 2.2).

The file is read in large pieces in a thread, one piece ahead of the network, hashed as it goes, so memory stays flat
and the event loop free. A file of another size is refused before anything is sent; and the last piece leaves only when
the whole is known to be what was planned, so a file with other bytes in it never arrives.
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
from glossi_sync.service.asking import Asking
from glossi_sync.service.calls import UPLOAD
from glossi_sync.service.errors import SAFE_TO_REPEAT, FileChanged, InDoubt
from glossi_sync.service.exchange import Exchange

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
    """PUT a file to its signed URL, with nothing of ours on the request but its length and its type.

    Raises:
        FileChanged: the file is not what the plan hashed, or cannot be read.
        UploadExpired: the URL is too old.
        ServiceError: anything else, sorted as usual.
    """
    headers = {"Content-Type": wire.FILE_TYPES[file_type], "Content-Length": str(file.size)}

    body: _Body | None = None

    def build() -> httpx.Request:
        nonlocal body
        body = _Body(asking, file, progress, run_blocking)
        return httpx.Request("PUT", url, headers=headers, content=body)

    async def consume(response: httpx.Response) -> None:
        await response.aread()
        if body is not None and body.sent < file.size:
            happened = f"answered {response.status_code} before it had the whole file"
            raise asking.failed(InDoubt, happened, status=response.status_code, advice=SAFE_TO_REPEAT)

    asking = Asking(UPLOAD, f"uploading {file.path}", url, build, keyed=False, lane="transfers")
    await run_blocking(_check_size, asking, file)
    await exchange.persist(asking, consume)


class _Body:
    """A request's body, to be sent once. ``sent`` counts the bytes that have left."""

    def __init__(
        self, asking: Asking, file: ExpectedFile, progress: Progress | None, run_blocking: RunBlocking
    ) -> None:
        self.sent = 0
        self._chunks = _verified_chunks(asking, file)
        self._progress = progress or (lambda _: None)
        self._run_blocking = run_blocking

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._progress(self.sent)
        ahead = self._next_chunk()
        try:
            while (chunk := await ahead) is not None:
                ahead = self._next_chunk()
                yield chunk
                self.sent += len(chunk)
                self._progress(self.sent)
        finally:
            # Nobody waits for it any more; its file is closed with the generator, when its thread is through.
            ahead.add_done_callback(lambda done: done.cancelled() or done.exception())
            ahead.cancel()

    def _next_chunk(self) -> asyncio.Future[bytes | None]:
        return asyncio.ensure_future(self._run_blocking(next, self._chunks, None))


def _check_size(asking: Asking, file: ExpectedFile) -> None:
    try:
        size = file.path.stat().st_size
    except OSError as error:
        raise asking.failed(FileChanged, f"was not begun: the file cannot be read ({_reason(error)})") from None
    if size != file.size:
        happened = f"was not begun: the file has {size:,} bytes where {file.size:,} were planned"
        raise asking.failed(FileChanged, happened)


def _verified_chunks(asking: Asking, file: ExpectedFile) -> Iterator[bytes]:
    def broken_off(why: str) -> FileChanged:
        return asking.failed(FileChanged, f"was broken off: {why}")

    digest = hashlib.sha256()
    left = file.size
    try:
        with file.path.open("rb", buffering=0) as content:
            while True:
                chunk = content.read(min(CHUNK_BYTES, left))
                left -= len(chunk)
                digest.update(chunk)
                if left and not chunk:
                    raise broken_off(f"the file has become shorter than the {file.size:,} bytes that were planned")
                if not left:
                    if content.read(1):
                        raise broken_off(f"the file has become longer than the {file.size:,} bytes that were planned")
                    if digest.hexdigest() != file.sha256:
                        raise broken_off("the file's content is no longer what was planned")
                if chunk:
                    yield chunk
                if not left:
                    return
    except OSError as error:
        raise broken_off(f"the file cannot be read ({_reason(error)})") from None


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
