"""Lengths of time, as options take them: ``90s``, ``20m``, ``1h30m``."""

from __future__ import annotations

import re

import click

_SECONDS = (3600.0, 60.0, 1.0)
_WRITTEN = re.compile(r"(?=\d)(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?")


def duration(text: str) -> float:
    """Seconds. A number without a unit is of seconds. An option's ``type``.

    Raises:
        click.BadParameter: it is written otherwise.
    """
    found = _WRITTEN.fullmatch(text.strip())
    if found is None:
        raise click.BadParameter(f"{text!r} is no length of time: write 90s, 20m or 1h30m")
    return sum(float(part) * seconds for part, seconds in zip(found.groups(), _SECONDS, strict=True) if part)
