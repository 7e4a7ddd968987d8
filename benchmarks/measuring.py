"""Run a command and tell what it cost: seconds, CPU seconds, peak memory; on one core where that is asked for.

The command's parent is a small process made for it. A process inherits the peak of the one that started it until it
runs its own program, so one started from a large benchmark would seem as large as that.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ran:
    """What one run of a command cost. ``peak`` is the most memory that it had, in bytes."""

    seconds: float
    cpu_seconds: float
    peak: int
    code: int
    output: str
    errors: str

    def good(self, code: int = 0) -> Ran:
        """Itself, where the command ended as it should."""
        if self.code != code:
            sys.exit(f"the command ended with {self.code}: {self.output[-1000:]}{self.errors[-1000:]}")
        return self


def run(command: Sequence[str], *, env: Mapping[str, str] | None = None, core: int | None = None) -> Ran:
    """Run a command to its end, what it prints taken, pinned to ``core`` where one is given."""
    figures, told = os.pipe()
    launcher = [sys.executable, "-I", "-S", __file__, str(told), "" if core is None else str(core), *command]
    done = subprocess.run(launcher, env=env, capture_output=True, check=False, text=True, pass_fds=(told,))
    os.close(told)
    with os.fdopen(figures, encoding="utf-8") as stream:
        return Ran(**json.load(stream), output=done.stdout, errors=done.stderr)


def load() -> str:
    """How busy the machine is besides: a figure taken beside other work is no figure of this program alone."""
    return f"load {os.getloadavg()[0]:.1f}"


def _launch(told: int, core: str, command: list[str]) -> None:
    os.set_inheritable(told, False)
    if core:
        os.sched_setaffinity(0, {int(core)})
    began = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ)
    _, status, used = os.wait4(child, 0)
    cost = {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak": used.ru_maxrss * 1024,
        "code": os.waitstatus_to_exitcode(status),
    }
    os.write(told, json.dumps(cost).encode())


if __name__ == "__main__":
    _launch(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
