"""What a download replaces is kept for a while, so that a report can show before and after.

    state/WORKSPACE@SERVICE.previous/
        <now>-<before>.png            what lay in the place of the rendered file <now>, which was <before>
        <now>-altered-<sha256>.png    what a person had made of it

``<now>`` and ``<before>`` are digests of rendered files' ids: an id comes from the service, and is no file's name. The
folder lies beside local states, and is this machine's alone; what is oldest goes when it grows beyond ``MOST_BYTES``.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

MOST_BYTES = 1 << 30

_DIGITS = 24
_NAME = re.compile(rf"([0-9a-f]{{{_DIGITS}}})-([0-9a-f]{{{_DIGITS}}})\.[a-z0-9]{{1,16}}")


@dataclass(frozen=True, slots=True)
class Previous:
    """The pictures that are kept: by what replaced them, and by what they were."""

    replaced_by: Mapping[str, Path] = field(default_factory=dict)
    of: Mapping[str, Path] = field(default_factory=dict)

    @classmethod
    def in_folder(cls, folder: Path) -> Previous:
        """What a folder holds; nothing where there is none."""
        replaced_by: dict[str, Path] = {}
        of: dict[str, Path] = {}
        if folder.is_dir():
            for path in folder.iterdir():
                if named := _NAME.fullmatch(path.name):
                    replaced_by[named[1]] = of[named[2]] = path
        return cls(replaced_by, of)

    def before(self, render_id: str) -> Path | None:
        """What lay in a rendered file's place before it."""
        return self.replaced_by.get(_digest(render_id))

    def itself(self, render_id: str) -> Path | None:
        """A rendered file that has been replaced since."""
        return self.of.get(_digest(render_id))


def keep(folder: Path, file: Path, *, now: str, before: str | None, sha256: str | None = None) -> Path | None:
    """Keep ``file``, which is about to be replaced by the rendered file with the id ``now``; answers where it lies.

    ``before`` is the id that it was, or None where it is no rendered file as it came; ``sha256`` is its hash then. None
    where there is no file.

    Raises:
        OSError: it cannot be kept.
    """
    if not file.is_file():
        return None
    folder.mkdir(parents=True, exist_ok=True)
    suffix = re.sub(r"[^a-z0-9]", "", file.suffix.lower())[:16] or "bin"
    was = _digest(before) if before is not None else f"altered-{(sha256 or '')[:_DIGITS]}"
    kept = folder / f"{_digest(now)}-{was}.{suffix}"
    arriving = folder / f".{kept.name}.{os.getpid()}.part"
    arriving.unlink(missing_ok=True)
    try:
        try:
            # A second name for the same file costs nothing; the new one takes its place under another.
            os.link(file.resolve(), arriving)
        except OSError:
            shutil.copyfile(file, arriving)
        arriving.replace(kept)
    finally:
        # Also where all went well: a rename between two names of one file does nothing, and leaves both.
        arriving.unlink(missing_ok=True)
    return kept


def drop_oldest(folder: Path, most: int = MOST_BYTES) -> None:
    """Remove what was kept first, until no more than ``most`` bytes are left."""
    if not folder.is_dir():
        return
    kept = [(path, path.stat()) for path in folder.iterdir() if path.is_file()]
    # Not the file's own time, which is that of its download: it was linked when it was kept.
    kept.sort(key=lambda one: one[1].st_ctime_ns)
    over = sum(one.st_size for _, one in kept) - most
    for path, one in kept:
        if over <= 0:
            break
        path.unlink(missing_ok=True)
        over -= one.st_size


def _digest(render_id: str) -> str:
    return hashlib.sha256(render_id.encode(errors="surrogatepass")).hexdigest()[:_DIGITS]
