"""Zip archives, read with suspicion: a scene file together with its textures and materials (``.gltf`` + ``.bin``, …).

Nothing is ever unpacked to the disk, and names that come out of an archive are only ever compared: an entry is found
by the name by which the scene file calls it. What is unpacked is counted as it comes, not as the archive claims.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from glossi_sync.studio.processing.facts import refuse

MAX_ENTRIES = 10_000
MAX_UNPACKED_BYTES = 1024**3
"""Of all entries that are read."""

_CHUNK = 1 << 20


def is_archive(path: Path) -> bool:
    """Whether a file begins as a zip archive does."""
    with path.open("rb") as file:
        return file.read(4) in {b"PK\x03\x04", b"PK\x05\x06"}


class Archive:
    """A zip archive's entries by name.

    Raises (the constructor and ``read``):
        ProcessingError: it is damaged, encrypted, or unpacks to too much.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
            entries = self._zip.infolist()
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            refuse(f"the zip archive cannot be read: {error}. Make it anew")
        if len(entries) > MAX_ENTRIES:
            refuse(f"the zip archive has more than {MAX_ENTRIES:,} entries: pack the model and its textures alone")
        self._entries = {entry.filename.replace("\\", "/"): entry for entry in entries if not entry.is_dir()}
        self._left = MAX_UNPACKED_BYTES

    def names(self) -> list[str]:
        """All entries."""
        return list(self._entries)

    def main(self, *suffixes: str) -> str:
        """The one entry with such a suffix, of several the one that lies highest.

        Raises:
            ProcessingError: there is none, or there are several side by side.
        """
        found = [
            name
            for name in self._entries
            if PurePosixPath(name).suffix.lower() in suffixes
            and not any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)
        ]
        wanted = " or ".join(suffixes)
        if not found:
            refuse(f"the zip archive holds no {wanted} file: pack the model together with what it refers to")
        depth = min(name.count("/") for name in found)
        highest = sorted(name for name in found if name.count("/") == depth)
        if len(highest) > 1:
            refuse(f"the zip archive holds several models ({', '.join(highest)[:200]}): upload one archive for each")
        return highest[0]

    def find(self, reference: str, beside: str) -> str | None:
        """The entry that the entry ``beside`` means by a relative path or URI; by its last part where need be.

        Exporters leave paths of their own machine in a file, and whoever packs it moves textures about.
        """
        parts: list[str] = []
        for part in (*PurePosixPath(beside).parts[:-1], *unquote(reference).replace("\\", "/").split("/")):
            if part == "..":
                del parts[-1:]
            elif part not in {"", "."}:
                parts.append(part)
        if "/".join(parts) in self._entries:
            return "/".join(parts)
        last = parts[-1].casefold() if parts else ""
        alike = [name for name in self._entries if name.rpartition("/")[2].casefold() == last]
        return alike[0] if len(alike) == 1 else None

    def read(self, name: str) -> bytes:
        """An entry's bytes."""
        entry = self._entries[name]
        if entry.flag_bits & 0x1:
            refuse(f"{name} in the zip archive is encrypted: pack it without a password")
        if entry.file_size > self._left:
            refuse(f"the zip archive unpacks to more than {MAX_UNPACKED_BYTES // 1024**3} GB")
        pieces: list[bytes] = []
        try:
            with self._zip.open(entry) as file:
                while piece := file.read(_CHUNK):
                    self._left -= len(piece)
                    if self._left < 0:
                        refuse(f"the zip archive unpacks to more than {MAX_UNPACKED_BYTES // 1024**3} GB")
                    pieces.append(piece)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
            refuse(f"{name} in the zip archive cannot be unpacked: {error}. Make the archive anew")
        return b"".join(pieces)
