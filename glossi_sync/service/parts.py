"""Part files: what has arrived of a file, until it is whole.

A part lies hidden beside the file's destination, and its name carries the ETag of what it is a part of (``tag_of``). So
a later run takes up where an earlier one was stopped, and the parts of two files are never joined.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from glossi_sync.service.endpoint import origin_of

NO_TAG: Final = "0" * 16
"""The tag of a file without a strong ETag: its part is of no use to a later run."""


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file that was brought home: where it lies, its bytes, how many of them an earlier run had brought, its hash."""

    path: Path
    size: int
    resumed_from: int
    sha256: str


class WrongContent(Exception):
    """What has arrived is not what its source says of it; the message says how, to be read after "the file"."""


def tag_of(url: str, path: str, etag: str | None) -> str:
    """What tells one content from another in a part file's name: a digest of the origin, path and strong ETag."""
    if not etag or etag.startswith("W/"):
        return NO_TAG
    return hashlib.sha256(f"{origin_of(url)}{path} {etag}".encode()).hexdigest()[:16]


class Part:
    """What has arrived of the file that is to lie at ``destination``. All of it blocks."""

    def __init__(self, destination: Path) -> None:
        self.path: Path | None = None
        self.received = 0
        self._resumed_from = 0
        self._destination = destination

    def find(self) -> None:
        """Make the destination's folder, and take up what an earlier run has left in it."""
        folder = self._destination.parent
        folder.mkdir(parents=True, exist_ok=True)
        part_of_this = re.compile(rf"\.{re.escape(self._destination.name)}\.[0-9a-f]{{16}}\.part")
        # Names alone are looked at first: the folder may hold ten thousand pictures, and is looked at for each.
        for path in [folder / name for name in os.listdir(folder) if part_of_this.fullmatch(name)]:  # noqa: PTH208
            found = path.lstat()
            # A link is nobody's part: what is written to it would lie wherever it leads.
            usable = stat.S_ISREG(found.st_mode) and found.st_size and NO_TAG not in path.name and self.path is None
            if usable:
                self.path, self.received, self._resumed_from = path, found.st_size, found.st_size
            else:
                path.unlink(missing_ok=True)

    @property
    def can_continue(self) -> bool:
        """Whether the rest alone can be asked for."""
        return self.received > 0 and not self.is_of(NO_TAG)

    def is_of(self, tag: str) -> bool:
        """Whether it is a part of the content with this tag."""
        return self.path is not None and f".{tag}." in self.path.name

    def discard(self) -> None:
        """Begin anew."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
        self.path, self.received, self._resumed_from = None, 0, 0

    def opened(self, tag: str) -> IO[bytes]:
        """The part, to be gone on with; begun as one of the content with ``tag`` where there is none."""
        if self.path is None:
            self.path = self._destination.with_name(f".{self._destination.name}.{tag}.part")
        return self.path.open("ab" if self.received else "wb", buffering=0)

    def finish(self, told: Mapping[str, bytes]) -> Downloaded:
        """Put the file in its place: flushed, looked at once more, renamed.

        ``told`` are digests by the names of hashlib's algorithms, as the source gave them.

        Raises:
            WrongContent: it is not what the source says; the part is gone.
        """
        assert self.path is not None
        hashes = {name: hashlib.new(name, usedforsecurity=False) for name in {*told, "sha256"}}
        size = 0
        with self.path.open("rb+") as part:
            os.fsync(part.fileno())
            while piece := part.read(1 << 20):
                size += len(piece)
                for one in hashes.values():
                    one.update(piece)
        # Another process may have written to it.
        wrong = [] if size == self.received else [f"has {size:,} bytes here where {self.received:,} arrived"]
        wrong += [f"is not what its {name.upper()} says" for name, one in told.items() if hashes[name].digest() != one]
        if wrong:
            self.discard()
            raise WrongContent(wrong[0])
        self.path.replace(self._destination)
        return Downloaded(self._destination, size, self._resumed_from, hashes["sha256"].hexdigest())
