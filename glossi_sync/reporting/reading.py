"""The reading of the models' files, told on a terminal once it takes long enough to be wondered about."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

PATIENCE_SECONDS = 1.0


@contextmanager
def reading(
    console: Console, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[int, int], None] | None]:
    """A listener for how many bytes of how many are read, for the length of the block; None where nobody watches."""
    if not console.is_terminal:
        yield None
        return
    began = clock()
    columns = (TextColumn("reading the models' files"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    bars = Progress(*columns, console=console, transient=True)
    bar = bars.add_task("")

    def tell(read: int, total: int) -> None:
        if clock() - began >= PATIENCE_SECONDS:
            bars.update(bar, completed=read, total=total)
            bars.start()

    try:
        yield tell
    finally:
        bars.stop()
