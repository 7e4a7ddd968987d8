"""The reading of files is told on a terminal alone, and only once it takes a while."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from glossi_sync.reporting import reading


@pytest.mark.parametrize(("seconds", "shown"), [(0.5, False), (1.5, True)])
def test_what_takes_a_while_is_told_on_a_terminal(seconds: float, shown: bool) -> None:
    out = StringIO()
    times = iter([0.0, seconds])
    with reading(Console(file=out, force_terminal=True, width=100), lambda: next(times)) as tell:
        assert tell is not None
        tell(250_000_000, 1_000_000_000)
    assert ("reading the models' files" in out.getvalue()) == shown
    assert ("0.2/1.0 GB" in out.getvalue()) == shown


def test_elsewhere_nothing_is_told() -> None:
    with reading(Console(file=StringIO(), force_terminal=False)) as tell:
        assert tell is None
