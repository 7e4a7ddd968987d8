"""Two applies on one state never run together; plans need no lock; a killed holder holds nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from glossi_sync.resources import Kind, Phase
from glossi_sync.state import (
    FileStamp,
    Holder,
    MemoryState,
    Object,
    PutObject,
    State,
    StateError,
    StateLocked,
    open_state,
)

HOLDER = Holder(7, "glossi-sync apply", "ana", "build-7", 4711, time.time())
OTHER = Holder(8, "glossi-sync apply --yes", "bo", "laptop", 99, time.time())

HOLD = """
import sys, os, time
from glossi_sync.state import Holder, Object, PutObject, open_state
from glossi_sync.resources import Kind, Phase
state = open_state(sys.argv[1], service="local")
with state.lock(Holder(7, "glossi-sync apply", "ana", "build-7", os.getpid(), time.time())):
    print("held", flush=True)
    for number, _ in enumerate(sys.stdin):
        state.write([PutObject(Object(number, Kind.MODEL, "d", Phase.READY))])
        print("wrote", flush=True)
print("released", flush=True)
"""

HOLD_AND_FORK = """
import os, sys
from glossi_sync.state import Holder, open_state
state = open_state(sys.argv[1], service="local")
with state.lock(Holder(7, "glossi-sync apply", "ana", "build-7", os.getpid(), 0.0)):
    if os.fork() == 0:
        print("forked", flush=True)
        sys.stdin.read()
        print("worker ends", flush=True)
        os._exit(0)
    os.wait()
"""


@contextmanager
def held_elsewhere(path: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the state and writes one object for each line it is sent."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(params=["file", "memory", "postgresql"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[State]:
    state: State = MemoryState(service="local")
    if request.param == "file":
        state = open_state(tmp_path / "a.db", service="local")
    elif request.param == "postgresql":
        state = open_state(request.getfixturevalue("state_url"), service="local")
    yield state
    state.close()


@pytest.fixture(params=["file", "postgresql"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a state may lie."""
    where: str = str(tmp_path / "a.db") if request.param == "file" else request.getfixturevalue("state_url")
    return where


@contextmanager
def lock_in_a_moment(state: State) -> Iterator[None]:
    """The lock, as soon as it is free: a server needs a moment to notice that its client was killed."""
    for _ in range(500):
        if not state.holders():
            break
        time.sleep(0.02)
    with state.lock(OTHER):
        yield


def test_who_comes_second_is_told_who_holds_it(state: State) -> None:
    with state.lock(HOLDER):
        with pytest.raises(StateLocked) as caught, state.lock(OTHER):
            pass
        assert caught.value.holder == HOLDER
        since = time.strftime("%H:%M:%S", time.localtime(HOLDER.since))
        assert str(caught.value) == (
            f"the state {state.location} is held by `glossi-sync apply` of ana on build-7 (pid 4711) since {since}; "
            "wait for it, or stop that process"
        )
    with state.lock(OTHER), pytest.raises(StateLocked, match="of bo on laptop"), state.lock(HOLDER):
        pass


def test_an_older_holder_is_told_with_its_day(state: State) -> None:
    long_ago = Holder(7, "glossi-sync apply", "ana", "build-7", 4711, time.mktime((2024, 5, 6, 7, 8, 9, 0, 0, -1)))
    with state.lock(long_ago), pytest.raises(StateLocked, match="since 2024-05-06 07:08:09"), state.lock(OTHER):
        pass


def test_a_run_that_fails_lets_go_and_its_error_is_its_own(state: State) -> None:
    with pytest.raises(OSError, match="the run's own"), state.lock(HOLDER):
        raise OSError("the run's own")
    with state.lock(OTHER):
        pass


def test_a_run_that_closed_its_state_lets_go(path: str) -> None:
    state = open_state(path, service="local")
    with state.lock(HOLDER):
        state.close()
    other = open_state(path, service="local")
    with other.lock(OTHER):
        pass
    other.close()


def test_it_may_be_released_in_another_thread(state: State) -> None:
    lock = state.lock(HOLDER)
    lock.__enter__()
    thread = threading.Thread(target=lock.__exit__, args=(None, None, None))
    thread.start()
    thread.join()
    with state.lock(OTHER):
        pass


def test_two_opened_states_of_one_file_exclude_each_other_under_any_name(tmp_path: Path) -> None:
    one = open_state(tmp_path / "a.db", service="local")
    (tmp_path / "link.db").symlink_to(tmp_path / "a.db")
    other = open_state(tmp_path / "link.db", service="local")
    with one.lock(HOLDER), pytest.raises(StateLocked, match="ana"), other.lock(OTHER):
        pass
    one.close()
    other.close()


def test_a_lock_that_cannot_be_written_down_is_not_kept(path: str) -> None:
    state = open_state(path, service="local")
    unwritable = Holder(7, "glossi-sync apply", "ana\ud800", "build-7", 4711, 0.0)
    with pytest.raises(StateError, match="not valid Unicode"), state.lock(unwritable):
        pass
    with state.lock(OTHER):
        pass
    state.close()


def test_while_an_apply_writes_others_read_and_put_their_stamps(path: str) -> None:
    stamp = FileStamp(1, 2, 3, "s", 4)
    with held_elsewhere(path) as apply:
        assert apply.stdin is not None
        assert apply.stdout is not None
        plan = open_state(path, service="local", create=False)
        for count in range(1, 20):
            apply.stdin.write("\n")
            apply.stdin.flush()
            plan.put_stamps({f"/{count}.glb": stamp})
            assert len(plan.realised().objects) in (count - 1, count)
            assert apply.stdout.readline() == "wrote\n"
            assert len(plan.realised().objects) == count
        assert len(plan.stamps()) == 19
        with pytest.raises(StateLocked) as caught, plan.lock(OTHER):
            pass
        assert caught.value.holder is not None
        assert caught.value.holder.pid == apply.pid
        plan.close()


def test_the_lock_dies_with_its_process(path: str) -> None:
    state = open_state(path, service="local")
    with held_elsewhere(path) as apply:
        with pytest.raises(StateLocked), state.lock(OTHER):
            pass
        apply.kill()
        apply.wait()
        with lock_in_a_moment(state):
            state.write([PutObject(Object(1, Kind.MODEL, "d", Phase.READY))])
    state.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_worker_that_outlives_a_killed_run_holds_nothing(path: str) -> None:
    state = open_state(path, service="local")
    run = subprocess.Popen(
        [sys.executable, "-c", HOLD_AND_FORK, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    assert run.stdin is not None
    with run.stdin:
        assert run.stdout.readline() == "forked\n"
        run.kill()
        run.wait()
        with lock_in_a_moment(state):
            pass
    # The worker was there all the time: it ends, and says so, only when its input does.
    assert run.stdout.read() == "worker ends\n"
    run.stdout.close()
    state.close()
