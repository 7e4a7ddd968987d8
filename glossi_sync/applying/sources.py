"""Where finished files come from: the service's own files, an https prefix, or a bucket with the user's credentials.

The guide calls a finished file's ``filePath`` its path in S3 ("use this to copy/download the render"); the hosted
service names no call for it. So ``from: auto`` fetches from a studio, and asks the user to say where otherwise.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

from glossi_sync.applying.downloads import Source
from glossi_sync.errors import UserError
from glossi_sync.service import Downloaded, Glossi, Part, WrongContent, tag_of
from glossi_sync.service.downloads import FULL, write_all
from glossi_sync.spec import Downloads
from glossi_sync.spec.files import Unfit
from glossi_sync.spec.stores import Reading, Stores, aside, open_store

HOSTED = "glossi.app"
BUCKETS = ("s3://", "gs://", "az://")


class NoSource(UserError):
    """Finished renders cannot be fetched from where the spec says; the message says what to write instead."""


def source_of(downloads: Downloads, service: Glossi) -> Source:
    """The source that ``downloads.from`` names.

    Raises:
        NoSource: ``auto`` with the hosted service, or a bucket without the ``buckets`` extra.
    """
    if downloads.source.startswith(BUCKETS):
        return _Bucket(downloads.source)
    if downloads.source != "auto":
        return _Http(service, downloads.source)
    host = urlsplit(service.endpoint.base).hostname or ""
    if host == HOSTED or host.endswith("." + HOSTED):
        raise NoSource(
            "downloads.from is `auto`, and the hosted service has no call that hands out finished files: "
            "name its bucket (s3://BUCKET, with your own credentials) or an https:// prefix under downloads.from"
        )
    return _Http(service, None)


class _Http:
    """The studio's files, or whatever serves them below a URL."""

    def __init__(self, service: Glossi, below: str | None) -> None:
        self._service = service
        self._below = below

    async def fetch(self, file_path: str, target: Path) -> Downloaded:
        return await self._service.download(file_path, target, below=self._below)


class _Bucket:
    """A bucket, by the credentials of the environment (the usual variables of each cloud)."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._stores = Stores()
        try:
            # What keeps it from being opened at all is told once, and not for each file.
            open_store(url)
        except Unfit as error:
            raise NoSource(f"downloads.from: {url} {error}") from None

    async def fetch(self, file_path: str, target: Path) -> Downloaded:
        stopped = Event()
        try:
            url = f"{self._url}/{file_path.lstrip('/')}"
            return await asyncio.wrap_future(aside(self._fetch, url, target, stopped))
        except asyncio.CancelledError:
            # The thread goes on until its next piece; it must not write into what a later run goes on with.
            stopped.set()
            raise

    def _fetch(self, url: str, target: Path, stopped: Event) -> Downloaded:
        part = Part(target)
        part.find()
        while True:
            before = part.received
            try:
                self._receive(url, part, stopped)
                return part.finish({})
            except WrongContent as error:
                raise OSError(f"{url} {error}") from None
            except Unfit as error:
                # A connection that breaks off is taken up again, as long as each brings something.
                if part.received <= before:
                    raise OSError(f"{url} {error}") from None
            except OSError as error:
                if error.errno in FULL:
                    part.discard()
                raise

    def _receive(self, url: str, part: Part, stopped: Event) -> None:
        """Read what is missing of a file into its part."""
        reading = self._go_on(url, part)
        if reading is None:
            part.discard()
            reading = self._stores.read(url)
        with part.opened(tag_of(url, url, reading.etag)) as file:
            for piece in reading.pieces:
                if stopped.is_set():
                    raise OSError("stopped")
                write_all(file, piece)
                part.received += len(piece)
        if part.received != reading.size:
            raise Unfit(f"sent {part.received:,} bytes of {reading.size:,}")

    def _go_on(self, url: str, part: Part) -> Reading | None:
        """The rest of a file that an earlier run has a part of, unless the bucket has another there now."""
        if not part.can_continue:
            return None
        size, etag = self._stores.look(url)
        if etag is None or not part.is_of(tag_of(url, url, etag)) or part.received > size:
            return None
        if part.received == size:
            return Reading(size, etag, iter(()))
        return self._stores.read(url, only=etag, start=part.received)
