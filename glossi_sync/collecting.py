"""The garbage collector, out of the way while something large is being read."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected(*, lasting: bool = False) -> Iterator[None]:
    """Pause the collector for the block.

    A catalogue is a million small values, and none of them is garbage: going through them again and again, as they
    become more, costs up to a third of the time. With ``lasting`` they are not gone through later either: what there
    is at the block's end stays for as long as the process does, as the spec, state and plan of a command do.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if lasting:
            gc.freeze()
        if enabled:
            gc.enable()
