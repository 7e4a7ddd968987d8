"""Diagnostics: what is said on stderr, as lines for people or, with ``--log-format json``, as JSON objects, one a line.

Everything that a command says there passes through one stream, so that with JSON no line of another form is among
them, whichever library wrote it. Standard library only: every command imports it.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
import time
from typing import TextIO

from glossi_sync.moments import moment

VARIABLE = "GLOSSI_LOG_FORMAT"
FORMATS = ("text", "json")

_ABOUT = re.compile(r"((?:(?:model|project|render)\.[^\s:]+)|webhook): (.+)")
"""How the lines for people begin that are about an address."""
_LEVELS = {"FAILED: ": "error", "Error: ": "error", "skipped, ": "warning"}
"""By how what they say begins; all else is ``info``."""


class JsonLog(io.TextIOBase):
    """A stream that writes each line that is written to it as ``{"time", "level", "message"}``, with the address that
    it is about, where it is about one.
    """

    errors = "strict"

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begun = ""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            if line.strip():
                about = _ABOUT.fullmatch(line)
                message = about[2] if about else line.strip()
                level = next((level for beginning, level in _LEVELS.items() if message.startswith(beginning)), "info")
                self.say(message, level, about[1] if about else None)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def say(self, message: str, level: str, address: str | None) -> None:
        """Write one diagnostic."""
        said = {"time": moment(time.time()), "level": level, "message": message}
        if address is not None:
            said["address"] = address
        self._stream.write(json.dumps(said, ensure_ascii=False) + "\n")
        self._stream.flush()


def log_as(form: str) -> None:
    """Say everything on stderr in this form from now on."""
    if form == "json" and not isinstance(sys.stderr, JsonLog):
        sys.stderr = JsonLog(sys.stderr)


def log_as_asked() -> None:
    """The form that the environment asks for; an option comes later and goes before it."""
    log_as(os.environ.get(VARIABLE, "text"))


def logs_json() -> bool:
    """Whether stderr is for a program."""
    return isinstance(sys.stderr, JsonLog)


def say(message: str, level: str = "info", address: str | None = None) -> None:
    """Say something on stderr; ``level`` is ``debug``, ``info``, ``warning`` or ``error``."""
    if isinstance(sys.stderr, JsonLog):
        sys.stderr.say(message, level, address)
    else:
        import click  # noqa: PLC0415 - writes to consoles of every sort

        click.echo(message, err=True)
