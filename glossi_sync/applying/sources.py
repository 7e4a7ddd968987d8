"""Where finished files come from: the service's own files, an https prefix, or a bucket with the user's credentials.

The guide calls a finished file's ``filePath`` its path in S3 ("use this to copy/download the render"); the hosted
service names no call for it. So ``from: auto`` fetches from a studio, and asks the user to say where otherwise.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

from glossi_sync.applying.downloads import Source
from glossi_sync.errors import UserError
from glossi_sync.service import Glossi
from glossi_sync.spec import Downloads
from glossi_sync.spec.files import Unfit
from glossi_sync.spec.stores import Stores, aside, open_store

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

    async def fetch(self, file_path: str, target: Path) -> int:
        return (await self._service.download(file_path, target, below=self._below)).size


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

    async def fetch(self, file_path: str, target: Path) -> int:
        return await asyncio.wrap_future(aside(self._fetch, f"{self._url}/{file_path.lstrip('/')}", target))

    def _fetch(self, url: str, target: Path) -> int:
        part = target.with_name(f".{target.name}.part")
        size = 0
        try:
            reading = self._stores.read(url)
            with part.open("wb") as file:
                for piece in reading.pieces:
                    size += file.write(piece)
            part.replace(target)
        except Unfit as error:
            raise OSError(f"{url} {error}") from None
        finally:
            part.unlink(missing_ok=True)
        return size
