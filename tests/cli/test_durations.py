"""Lengths of time are written as people write them, and anything else is refused with an example."""

from __future__ import annotations

import click
import pytest

from glossi_sync.cli.durations import duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("90", 90), ("20m", 1200), ("2h", 7200), ("1h30m", 5400), ("1.5s", 1.5), ("0s", 0)],
)
def test_a_length_of_time_in_seconds(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "h", "-1s", "1d", "1.5h", "30m1h", "s"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="write 90s, 20m or 1h30m"):
        duration(text)
