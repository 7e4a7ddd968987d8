"""Downloads: a finished file from its URL to disk, whole or not at all.

The bytes go to a part file beside the destination (``parts``), which is renamed once their number is right, and their
digests where the server tells any.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import errno
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final

import httpx

from glossi_sync.service.asking import Asking
from glossi_sync.service.calls import DOWNLOAD
from glossi_sync.service.errors import ReadFailed, Refused
from glossi_sync.service.exchange import Exchange
from glossi_sync.service.parts import NO_TAG, Downloaded, Part, WrongContent, tag_of
from glossi_sync.service.uploads import Progress, RunBlocking

_WRITE_BYTES: Final = 1024 * 1024
_MOST_REDIRECTS: Final = 5
_REDIRECTS: Final = (301, 302, 303, 307, 308)
FULL: Final = (errno.ENOSPC, errno.EDQUOT)
"""What an OSError says where there is no room left."""

_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", re.ASCII)

KeyHeaders = Callable[[str], dict[str, str]]
"""The headers that prove who asks, for a URL: those with the API key at the service's origin, none elsewhere."""


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
        OSError: the file cannot be written. Where the disk is full, what has arrived of it is removed.
    """
    transfer = _Transfer(destination, size, progress or (lambda _: None), run_blocking)
    try:
        return await _bring(exchange, url, transfer, f"downloading {destination.name}", key_headers, run_blocking)
    except OSError as error:
        if error.errno in FULL:
            await run_blocking(transfer.part.discard)
        raise


async def _bring(
    exchange: Exchange, url: str, transfer: _Transfer, doing: str, key_headers: KeyHeaders, run_blocking: RunBlocking
) -> Downloaded:
    await run_blocking(transfer.part.find)
    first, wrong = url, 0
    for _ in range(_MOST_REDIRECTS + 1):
        asking = _asking(url, doing, key_headers, transfer)
        transfer.asking = asking
        try:
            target = await exchange.persist(asking, transfer.receive)
        except Refused as refused:
            if refused.status != 416 or transfer.part.path is None:
                raise
            await run_blocking(transfer.part.discard)
            continue
        if target is not None:
            url = target
            continue
        try:
            return await run_blocking(transfer.part.finish, transfer.told)  # type: ignore[no-any-return]
        except WrongContent as error:
            if wrong:
                raise asking.failed(ReadFailed, f"sent a file that {error}", permanent=True) from None
            # Once may have been the way; twice is the file.
            url, wrong = first, 1
    raise asking.failed(ReadFailed, "was redirected again and again", permanent=True)


def _asking(url: str, doing: str, key_headers: KeyHeaders, transfer: _Transfer) -> Asking:
    def build() -> httpx.Request:
        headers = {"Accept-Encoding": "identity", **proof}
        if transfer.part.can_continue:
            headers["Range"] = f"bytes={transfer.part.received}-"
        return httpx.Request("GET", url, headers=headers)

    proof = key_headers(url)
    return Asking(DOWNLOAD, doing, url, build, keyed=bool(proof), lane="transfers", follows=_REDIRECTS)


class _Transfer:
    """One file on its way: the part that has arrived, and what it is a part of."""

    def __init__(self, destination: Path, size: int | None, progress: Progress, run_blocking: RunBlocking) -> None:
        self.asking: Asking
        self.part = Part(destination)
        self.told: dict[str, bytes] = {}
        """What the server has said that the file's digests are."""
        self._size = size
        self._progress = progress
        self._run_blocking = run_blocking

    async def receive(self, response: httpx.Response) -> str | None:
        """Take in a response's body; the URL to ask instead, where it is a redirect."""
        if response.status_code in _REDIRECTS:
            return str(response.url.join(response.headers.get("location", "")))
        if response.status_code == 206 and not self._continues(response):
            # Parts of another file; the next asking is for the whole.
            await self._run_blocking(self.part.discard)
            raise self.asking.failed(ReadFailed, "has another file there now")
        if response.status_code != 206:
            await self._run_blocking(self.part.discard)
            self.told.clear()
        self.told |= _digests(response)
        whole = _whole_length(response)
        if self._size is not None and whole not in (None, self._size):
            raise self._wrong_size("has", whole)
        with await self._run_blocking(self.part.opened, _tag(response)) as part:
            await self._take_in(response, part)
        if whole not in (None, self.part.received):
            raise self.asking.failed(ReadFailed, f"sent {self.part.received:,} bytes of {whole:,}")
        if self._size not in (None, self.part.received):
            received = self.part.received
            await self._run_blocking(self.part.discard)
            raise self._wrong_size("sent", received)
        return None

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
        writing = asyncio.ensure_future(self._run_blocking(write_all, part, content))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait({writing})  # its thread must be through before the file is closed
            raise
        self.part.received += len(content)
        self._progress(self.part.received)

    def _continues(self, response: httpx.Response) -> bool:
        content_range = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
        tag = _tag(response)
        return (
            content_range is not None
            and int(content_range[1]) == self.part.received
            and tag != NO_TAG
            and self.part.is_of(tag)
        )

    def _wrong_size(self, how: str, size: int) -> ReadFailed:
        happened = f"{how} {size:,} bytes where {self._size:,} were expected"
        return self.asking.failed(ReadFailed, happened, permanent=True)


def _tag(response: httpx.Response) -> str:
    return tag_of(str(response.url), response.url.path, response.headers.get("etag"))


def _digests(response: httpx.Response) -> dict[str, bytes]:
    """What the server says that the whole file's digests are, by hashlib's names.

    ``Content-MD5`` is of what a response holds, so of the whole file only where that holds it (RFC 1864); the others
    are of the file, whatever part is sent: ``Repr-Digest`` (RFC 9530), Azure's and Google's own.
    """
    told: dict[str, bytes] = {}
    for name, size, text in _told(response):
        try:
            digest = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            continue
        if len(digest) == size:
            told[name] = digest
    return told


def _told(response: httpx.Response) -> Iterator[tuple[str, int, str]]:
    headers = response.headers
    if headers.get("content-encoding", "identity") != "identity":
        return
    if response.status_code == 200:
        yield "md5", 16, headers.get("content-md5", "")
    yield "md5", 16, headers.get("x-ms-blob-content-md5", "")
    for one in headers.get("x-goog-hash", "").split(","):
        yield "md5", 16, one.strip().removeprefix("md5=")
    for one in headers.get("repr-digest", "").split(","):
        if one.strip().startswith("sha-256=:"):
            yield "sha256", 32, one.strip().removeprefix("sha-256=:").removesuffix(":")


def _whole_length(response: httpx.Response) -> int | None:
    if response.status_code == 206:
        content_range = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
        return int(content_range[2]) if content_range is not None and content_range[2] != "*" else None
    length = response.headers.get("content-length", "")
    encoded = response.headers.get("content-encoding", "identity") != "identity"
    return int(length) if length.isdecimal() and not encoded else None


def write_all(part: IO[bytes], content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[part.write(view) :]
