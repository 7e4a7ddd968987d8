"""Blender, in a process and with a Python of its own: what path-traces (``engines.cycles``) and reads FBX.

Blender's module ``bpy`` (370 MB) wants one version of Python and an old numpy, so that it rarely fits into the
environment of a studio. GLOSSI_CYCLES_PYTHON names the Python that has it; where the studio's own has it, nothing
needs to be named. A script of ours runs there and is told what to do, a line of JSON at a time:

    worker ── {"do": "draw", …} ──> script, in Blender's Python
           <─ {"done": …} or {"failed": "why"} ──
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Self

PYTHON_VARIABLE = "GLOSSI_CYCLES_PYTHON"

MENDING = (
    "python3.11 -m venv blender && blender/bin/pip install bpy==5.0.1, and set"
    f" {PYTHON_VARIABLE} to the path of blender/bin/python"
)
"""What gives a machine Blender."""

_START_SECONDS = 120.0
_LAST_LINES = 20


class BlenderError(Exception):
    """Blender could not do it; the message says why."""


class BlenderMissing(BlenderError):
    """There is no Blender here; the message says how to install it."""


def interpreter() -> str:
    """The Python that has ``bpy``.

    Raises:
        BlenderMissing: none is named, and ours has it not.
    """
    named = os.environ.get(PYTHON_VARIABLE)
    if named:
        return named
    found = find_spec("bpy")
    if found is not None and found.origin is not None:
        return sys.executable
    raise BlenderMissing(f"there is no Blender here. Install it: {MENDING}")


@cache
def version() -> str:
    """Which Blender there is, and what it computes on: ``5.0.1, on CPU``; it is asked once.

    Raises:
        BlenderMissing: there is none that runs.
    """
    try:
        with Blender() as blender:
            said: str = blender.ask(_START_SECONDS, do="version")
    except BlenderMissing:
        raise
    except BlenderError as error:
        raise BlenderMissing(f"Blender does not run here ({error}). Install it: {MENDING}") from error
    return said


class Blender:
    """A Blender that does what it is asked, one thing after the other; a context manager.

    It ends with its owner, however that one ends: it lives as long as its standard input does.
    """

    def __init__(self) -> None:
        script = str(files("glossi_sync.studio") / "blender_script.py")
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the operator's own interpreter, and a script of ours
                [interpreter(), "-I", script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            raise BlenderMissing(f"{interpreter()} does not start: {error.strerror}. Install it: {MENDING}") from error
        self._answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._said: deque[str] = deque(maxlen=_LAST_LINES)
        threading.Thread(target=self._listen, daemon=True).start()
        threading.Thread(target=self._overhear, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def ask(self, seconds: float, **what: Any) -> Any:
        """Have something done, and wait for it.

        Raises:
            BlenderError: it failed, took longer than ``seconds``, or Blender ended over it.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(what) + "\n")
            self._process.stdin.flush()
            line = self._answers.get(timeout=seconds)
        except OSError:
            line = None
        except queue.Empty:
            raise BlenderError(f"Blender took longer than {seconds:g} seconds") from None
        if line is None:
            code = self._process.wait()
            last = next((text for text in reversed(self._said) if text.strip()), "it said nothing")
            raise BlenderError(f"Blender ended with code {code}: {last.strip()[:300]}")
        answer = json.loads(line)
        if "failed" in answer:
            raise BlenderError(str(answer["failed"]))
        return answer["done"]

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put(None)

    def _overhear(self) -> None:
        assert self._process.stderr is not None
        self._said.extend(self._process.stderr)
