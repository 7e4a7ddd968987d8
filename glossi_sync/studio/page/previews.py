"""Previews: a still as large as a tile of the page, because a gallery of 4K pictures is too much for a phone."""

from __future__ import annotations

import asyncio
import io
from collections import OrderedDict

import anyio.to_thread

from glossi_sync.studio.storage import Storage, StoredFile

WIDTH = 800
"""Pixels: a tile's width on a screen of twice the density."""

MAX_BYTES = 128 * 1024 * 1024
"""Of a still; a larger file gets no preview."""

_KEPT = 400
_AT_ONCE = 2


class Previews:
    """Makes previews, a few at a time, and keeps the latest few hundred (some 30 MB)."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def of(self, file: StoredFile) -> bytes | None:
        """A WebP of at most WIDTH pixels a side; None where the file is no picture."""
        key = file.key, file.etag
        if (kept := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            return kept
        if file.size > MAX_BYTES:
            return None
        async with self._places:
            content = b"".join([chunk async for chunk in self._storage.read(file.key, 0, file.size)])
            preview = await anyio.to_thread.run_sync(_shrunk, content)
        if preview is not None:
            self._kept[key] = preview
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return preview


def _shrunk(content: bytes) -> bytes | None:
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - the studio starts without it

    try:
        with Image.open(io.BytesIO(content), formats=["PNG", "JPEG", "WEBP"]) as picture:
            picture.thumbnail((WIDTH, WIDTH))
            shrunk = io.BytesIO()
            picture.save(shrunk, "WEBP", quality=82)
            return shrunk.getvalue()
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return None
