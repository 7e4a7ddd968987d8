"""Studios in processes of their own, which a test may signal, kill and start again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from studio_client import Api, client_of, eventually

SCRIPT = Path(sys.executable).with_name("glossi-sync.exe" if os.name == "nt" else "glossi-sync")


class Process:
    """A studio's server process, at the head of a process group; ``url`` is where it says that it answers."""

    def __init__(self, command: list[str], environment: Mapping[str, str] | None) -> None:
        self.popen = subprocess.Popen(
            command,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Unbuffered: what follows the first line is left for ``communicate``.
            bufsize=0,
            start_new_session=True,
        )
        assert self.popen.stdout is not None
        self.first_line = self.popen.stdout.readline().decode()

    @property
    def url(self) -> str:
        line = self.first_line
        assert line, self.ended()
        return str(json.loads(line)["url"]) if line.startswith("{") else line.split()[-1]

    @property
    def port(self) -> int:
        return int(self.url.split(":")[2].partition("/")[0])

    def end(self, number: int = signal.SIGTERM, *, group: bool = False) -> tuple[int, str, str]:
        """Signal it (or its whole group, as a terminal's Ctrl-C does); its exit status, and what else it said."""
        (os.killpg if group else os.kill)(self.popen.pid, number)
        return self.ended()

    def ended(self) -> tuple[int, str, str]:
        """Its exit status, and what it said beside its first line."""
        out, err = self.popen.communicate(timeout=60)
        return self.popen.returncode, out.decode(), err.decode()


@contextmanager
def process(command: list[str], environment: Mapping[str, str] | None = None) -> Iterator[Process]:
    started = Process(command, environment)
    try:
        yield started
    finally:
        if started.popen.poll() is None:
            started.end(signal.SIGKILL)


@contextmanager
def served(data: Path, *options: str, **environment: str) -> Iterator[Process]:
    """``glossi-sync studio serve``, on a free port unless the options say otherwise."""
    with process(
        [str(SCRIPT), "studio", "serve", "--port", "0", "--data", str(data), *options], environment
    ) as started:
        yield started


@contextmanager
def drawing(data: Path, *options: str, engine: str = "DrawingEngine", **environment: str) -> Iterator[Process]:
    """The same server with one of the small engines, and one worker."""
    command = [sys.executable, "-m", "glossi_sync.studio", "--data", str(data), "--workers", "1"]
    with process([*command, "--engine", f"small_engines:{engine}", *options], environment) as started:
        yield started


@contextmanager
def client_at(process: Process, data: Path) -> Iterator[Api]:
    """A client with the key that lies in the data folder."""
    with client_of(process.url, (data / "api-key").read_text(encoding="utf-8").strip()) as api:
        yield api


def gone(pid: int) -> bool:
    """Wait until a process that is not our child is no more."""

    def ask() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        # A zombie that nobody has asked after is gone, too.
        stat = Path(f"/proc/{pid}/stat")
        return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"

    return eventually(ask)
