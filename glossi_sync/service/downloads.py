"""Downloads: a finished file from its URL to disk, whole or not at all.

The bytes go to a hidden part file beside the destination, which is renamed once their number is right. A part file's
name carries the ETag of what it is a part of, so a later run takes up where an earlier one was stopped, and never joins
the parts of two files.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import httpx

from glossi_sync.service.asking import Asking
from glossi_sync.service.calls import DOWNLOAD
from glossi_sync.service.endpoint import origin_of
from glossi_sync.service.errors import ReadFailed, Refused
from glossi_sync.service.exchange import Exchange
from glossi_sync.service.uploads import Progress, RunBlocking

_WRITE_BYTES: Final = 1024 * 1024
_MOST_REDIRECTS: Final = 5
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", re.ASCII)

KeyHeaders = Callable[[str], dict[str, str]]
"""The headers that prove who asks, for a URL: those with the API key at the service's origin, none elsewhere."""


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file that was brought home: where it lies, its bytes, and how many of them an earlier run had brought."""

    path: Path
    size: int
    resumed_from: int


async def download(
    exchange: Exchange,
    url: str,
    destination: Path,
    *,
    key_headers: KeyHeaders,
    size: int | None = None,
    progress: Progress | None = None,
    run_blocking: RunBlocking = asyncio.to_thread,
) -> Downloaded:
    """Bring ``url`` to ``destination``, whose folder is made if need be; a file that is there already is replaced.

    ``size`` is the number of bytes that must arrive, where it is known beforehand. A redirect is followed, without the
    key where it leads elsewhere.

    Raises:
        ServiceError: sorted as usual; NotFound where there is no such file.
        OSError: the file cannot be written.
    """
    transfer = _Transfer(destination, size, progress or (lambda _: None), run_blocking)
    await run_blocking(transfer.find_part)
    doing = f"downloading {destination.name}"
    for _ in range(_MOST_REDIRECTS + 1):
        asking = _asking(url, doing, key_headers, transfer)
        transfer.asking = asking
        try:
            target = await exchange.persist(asking, transfer.receive)
        except Refused as refused:
            if refused.status != 416 or transfer.part is None:
                raise
            await run_blocking(transfer.discard_part)
            continue
        if target is None:
            return await run_blocking(transfer.finish)  # type: ignore[no-any-return]
        url = target
    raise asking.failed(ReadFailed, "was redirected again and again", permanent=True)


def _asking(url: str, doing: str, key_headers: KeyHeaders, transfer: _Transfer) -> Asking:
    def build() -> httpx.Request:
        headers = {"Accept-Encoding": "identity", **proof}
        if transfer.can_continue:
            headers["Range"] = f"bytes={transfer.received}-"
        return httpx.Request("GET", url, headers=headers)

    proof = key_headers(url)
    return Asking(DOWNLOAD, doing, url, build, keyed=bool(proof), lane="transfers", follows=_REDIRECTS)


class _Transfer:
    """One file on its way: the part that has arrived, and what it is a part of."""

    def __init__(self, destination: Path, size: int | None, progress: Progress, run_blocking: RunBlocking) -> None:
        self.asking: Asking
        self.part: Path | None = None
        self.received = 0
        self._resumed_from = 0
        self._destination = destination
        self._size = size
        self._progress = progress
        self._run_blocking = run_blocking

    def find_part(self) -> None:
        """Make the destination's folder, and take up what an earlier run has left in it."""
        folder = self._destination.parent
        folder.mkdir(parents=True, exist_ok=True)
        part_of_this = re.compile(rf"\.{re.escape(self._destination.name)}\.[0-9a-f]{{16}}\.part")
        # Names alone are looked at first: the folder may hold ten thousand pictures, and is looked at for each.
        for path in [folder / name for name in os.listdir(folder) if part_of_this.fullmatch(name)]:  # noqa: PTH208
            size = path.stat().st_size
            if not size or _NO_TAG in path.name or self.part is not None:
                path.unlink(missing_ok=True)
            else:
                self.part, self.received, self._resumed_from = path, size, size

    @property
    def can_continue(self) -> bool:
        """Whether the rest alone can be asked for."""
        return self.part is not None and self.received > 0 and _NO_TAG not in self.part.name

    def discard_part(self) -> None:
        """Begin anew."""
        if self.part is not None:
            self.part.unlink(missing_ok=True)
        self.part, self.received, self._resumed_from = None, 0, 0

    async def receive(self, response: httpx.Response) -> str | None:
        """Take in a response's body; the URL to ask instead, where it is a redirect."""
        if response.status_code in _REDIRECTS:
            return str(response.url.join(response.headers.get("location", "")))
        if response.status_code == 206 and not self._continues(response):
            # Parts of another file; the next asking is for the whole.
            await self._run_blocking(self.discard_part)
            raise self.asking.failed(ReadFailed, "has another file there now")
        if response.status_code != 206:
            await self._run_blocking(self.discard_part)
        whole = _whole_length(response)
        if self._size is not None and whole not in (None, self._size):
            raise self._wrong_size("has", whole)
        if self.part is None:
            self.part = self._destination.with_name(f".{self._destination.name}.{_tag(response)}.part")
        with await self._run_blocking(_opened, self.part, self.received) as part:
            await self._take_in(response, part)
        if whole not in (None, self.received):
            raise self.asking.failed(ReadFailed, f"sent {self.received:,} bytes of {whole:,}")
        if self._size not in (None, self.received):
            await self._run_blocking(self.discard_part)
            raise self._wrong_size("sent", self.received)
        return None

    def finish(self) -> Downloaded:
        """Put the file in its place."""
        assert self.part is not None
        with self.part.open("rb+") as part:
            os.fsync(part.fileno())
        self.part.replace(self._destination)
        return Downloaded(self._destination, self.received, self._resumed_from)

    async def _take_in(self, response: httpx.Response, part: IO[bytes]) -> None:
        pending = bytearray()
        try:
            async for chunk in response.aiter_raw():
                pending += chunk
                if len(pending) >= _WRITE_BYTES:
                    await self._put_down(part, pending)
        finally:
            # What has arrived before a connection broke is kept: the next asking is for the rest alone.
            await self._put_down(part, pending)

    async def _put_down(self, part: IO[bytes], pending: bytearray) -> None:
        if not pending:
            return
        content = bytes(pending)
        pending.clear()
        writing = asyncio.ensure_future(self._run_blocking(_write_all, part, content))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait({writing})  # its thread must be through before the file is closed
            raise
        self.received += len(content)
        self._progress(self.received)

    def _continues(self, response: httpx.Response) -> bool:
        content_range = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
        return (
            self.part is not None
            and content_range is not None
            and int(content_range[1]) == self.received
            and f".{_tag(response)}." in self.part.name
            and _tag(response) != _NO_TAG
        )

    def _wrong_size(self, how: str, size: int) -> ReadFailed:
        happened = f"{how} {size:,} bytes where {self._size:,} were expected"
        return self.asking.failed(ReadFailed, happened, permanent=True)


_NO_TAG: Final = "0" * 16


def _tag(response: httpx.Response) -> str:
    """What tells one content from another in a part file's name: a digest of the URL and its strong ETag."""
    etag = response.headers.get("etag", "")
    if not etag or etag.startswith("W/"):
        return _NO_TAG
    url = f"{origin_of(str(response.url))}{response.url.path}"
    return hashlib.sha256(f"{url} {etag}".encode()).hexdigest()[:16]


def _whole_length(response: httpx.Response) -> int | None:
    if response.status_code == 206:
        content_range = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
        return int(content_range[2]) if content_range is not None and content_range[2] != "*" else None
    length = response.headers.get("content-length", "")
    encoded = response.headers.get("content-encoding", "identity") != "identity"
    return int(length) if length.isdecimal() and not encoded else None


def _opened(part: Path, received: int) -> IO[bytes]:
    return part.open("ab" if received else "wb", buffering=0)


def _write_all(part: IO[bytes], content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[part.write(view) :]
