"""The reconciler under everything that can go wrong: nothing is lost, nothing is asked twice, and all of it converges.

GLOSSI_SIMULATION_SEEDS says how many seeds (2000), GLOSSI_SIMULATION_START which is the first. For more of them, and
to see what happened in one: ``simulation/__main__.py``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from simulation.many import portion, told
from simulation.mutations import ignore_the_lock
from simulation.story import simulate

START = int(os.environ.get("GLOSSI_SIMULATION_START", "0"))
SEEDS = int(os.environ.get("GLOSSI_SIMULATION_SEEDS", "2000"))
CHUNK = 50
"""Seeds of one test: enough to be worth handing to a worker, few enough to be shared evenly."""

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("first", range(START, START + SEEDS, CHUNK))
def test_nothing_is_broken_whatever_happens(first: int) -> None:
    failures = []
    for seed in range(first, min(first + CHUNK, START + SEEDS)):
        try:
            simulate(seed)
        except Exception as error:
            failures.append(told(seed, error))
    if failures:
        pytest.fail("\n".join(failures), pytrace=False)


def test_nothing_is_broken_where_the_state_lies_in_postgresql(state_database: str) -> None:
    _, failures = portion(range(START, START + SEEDS // 200), "postgresql", state_database)
    if failures:
        pytest.fail("\n".join(failures), pytrace=False)


def test_a_seed_is_one_story_and_no_other() -> None:
    """Neither the process, nor what it did before, nor the order of Python's sets has a part in it."""
    some, more = traces(20, 4, hash_seed="1"), traces(18, 6, hash_seed="2")
    assert len(some.splitlines()) > 400
    assert more.endswith(some)


def traces(start: int, seeds: int, *, hash_seed: str) -> str:
    command = [sys.executable, "-m", "simulation", "--start", str(start), "--seeds", str(seeds), "--trace"]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": "tests"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_a_broken_seed_is_told_with_the_line_that_replays_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ignore_the_lock(monkeypatch)
    with pytest.raises(Exception, match="hold the lock at the same time") as broken:
        for seed in range(300):
            simulate(seed)
    assert told(seed, broken.value).endswith(f"\n  PYTHONPATH=tests python -m simulation --seed {seed} --trace")
    heard: list[str] = []
    with pytest.raises(type(broken.value), match="hold the lock"):
        simulate(seed, heard.append)
    assert len(heard) > 10
