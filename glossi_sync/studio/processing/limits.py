"""The memory that looking at a model may take: enforced by the system, so that it holds in native libraries, too."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glossi_sync.studio.processing.facts import ProcessingError

PROCESSING_BYTES = 4 * 1024**3
"""On top of what the process has already, and of ``_TIMES`` the file's size."""

_TIMES = 4


@contextmanager
def limited_memory(path: Path, allowance: int = PROCESSING_BYTES) -> Iterator[None]:
    """Let this process take so much more address space and no more, for as long as the context lasts.

    On Linux; elsewhere there is no such limit, or none that the system keeps.

    Raises:
        ProcessingError: the limit was met.
    """
    try:
        if not sys.platform.startswith("linux"):
            yield
            return
        import resource  # noqa: PLC0415 - Windows has none

        before = resource.getrlimit(resource.RLIMIT_AS)
        taken = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        limit = taken + allowance + _TIMES * path.stat().st_size
        if before[1] != resource.RLIM_INFINITY:
            limit = min(limit, before[1])
        resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)
    except MemoryError:
        raise ProcessingError(
            f"the model takes more than {allowance // 1024**2:,} MB of memory to look at: simplify it, or split it"
        ) from None
