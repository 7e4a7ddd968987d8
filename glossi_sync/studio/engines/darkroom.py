"""The darkroom: what is done to a picture once it is taken, in a thread beside the one that takes the next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

_WAITING = 2
"""Pictures that may wait: in 4K, one takes 50 MB."""


class Darkroom:
    """Does one thing after the other, in the order in which they are given; a context manager.

    Native code (an encoder, a compressor, numpy) lets the drawing go on meanwhile. What goes wrong is raised where the
    next thing is given, or at the end.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="darkroom")
        self._given: deque[Future[None]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.finish()
        finally:
            self._thread.shutdown(cancel_futures=True)

    def give(self, work: Callable[[], None]) -> None:
        """Have something done; waits while too much is waiting already."""
        while len(self._given) >= _WAITING:
            self._given.popleft().result()
        self._given.append(self._thread.submit(work))

    def finish(self) -> None:
        """Wait until all is done."""
        while self._given:
            self._given.popleft().result()
