"""Files that are still being written: seen by their size and time of change, which then differ between two looks.

A model that is being copied into the folder must not be uploaded by half. Its time of change is that of the last write,
so only files that were changed just now are looked at twice; and where a copy sets the original's time at its end, that
is a change as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

_Seen = tuple[int, int]


class Stillness:
    """Looks at files, again and again, until none that is new has changed for ``quiet`` seconds."""

    def __init__(self, quiet: float) -> None:
        self.quiet = quiet
        self._seen: dict[str, _Seen] = {}
        self._since = 0.0

    def restless(self, paths: Iterable[str], now: float) -> str | None:
        """A file that may still be written, or None where all are at rest; ``now`` in Unix seconds.

        Files that are not there are at rest: whoever needs them will say so.
        """
        young: dict[str, _Seen] = {}
        for path in paths:
            try:
                status = os.stat(path)  # noqa: PTH116 (a Path for each of 100,000 files would cost more than the look)
            except OSError:
                continue
            # A time in the future is another machine's clock: it is looked at twice as well.
            if status.st_mtime > now - self.quiet:
                young[path] = (status.st_size, status.st_mtime_ns)
        if not young:
            self._seen = {}
            return None
        moved = next((path for path, seen in young.items() if self._seen.get(path) != seen), None)
        if moved is not None:
            self._seen, self._since = young, now
            return moved
        return next(iter(young)) if now - self._since < self.quiet else None
