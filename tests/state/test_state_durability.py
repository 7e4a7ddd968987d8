"""What was committed is never lost: killed processes, full disks, writes that fail, threads that meet."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from bucket_in_memory import bucket_state

from glossi_sync.resources import Kind, Phase
from glossi_sync.state import (
    Bind,
    Download,
    FileStamp,
    Intend,
    Intent,
    MemoryState,
    Object,
    PutDownload,
    PutObject,
    PutRun,
    RenderedFile,
    Run,
    Settle,
    State,
    StateError,
    open_state,
)

WRITER = """
import sys
from glossi_sync.resources import Kind, Phase
from glossi_sync.state import Bind, Object, PutObject, open_state
state = open_state(sys.argv[1], service="local")
number = len(state.realised().objects)
while True:
    state.write([PutObject(Object(number, Kind.MODEL, "d" * 64, Phase.READY)), Bind(f"model.{number}", number)])
    print(number, flush=True)
    number += 1
"""


@pytest.fixture(params=["file", "postgresql"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a state may lie."""
    where: str = str(tmp_path / "a.db") if request.param == "file" else request.getfixturevalue("state_url")
    return where


def thing(number: int) -> Object:
    return Object(number, Kind.MODEL, "d" * 64, Phase.READY)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_writer_leaves_exactly_its_first_transactions(path: str) -> None:
    chance = random.Random(2)
    acknowledged = -1
    for _ in range(6):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        for line in itertools.islice(writer.stdout, chance.randrange(1, 40)):
            acknowledged = int(line)
        writer.kill()
        said = writer.communicate()[0].split()
        # A last line may have been cut short; what precedes it was committed.
        acknowledged = int(said[-2]) if len(said) > 1 else acknowledged
        with closing(open_state(path, service="local", create=False)) as state:
            realised = state.realised()
            count = len(realised.objects)
            assert count > acknowledged
            assert set(realised.objects) == set(range(count))
            assert realised.bindings == {f"model.{number}": number for number in range(count)}
            assert state.serial == count


FILL = """
import errno, os, sys
from pathlib import Path
from glossi_sync.resources import Kind, Phase
from glossi_sync.state import Bind, Object, PutObject, StateError, open_state

folder = Path(sys.argv[1])
path = folder / "state" / "a.db"
ballast = folder / "ballast"

def fill():
    with ballast.open("ab", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError as error:
                assert error.errno == errno.ENOSPC

def refused(act):
    try:
        act()
    except StateError as error:
        print(error)
        assert "the disk is full; make space" in str(error) or "the disk refused" in str(error), error
    else:
        raise AssertionError("not refused")

fill()
refused(lambda: open_state(path, service="local"))
ballast.unlink()
assert not path.parent.exists() or not list(path.parent.iterdir())

written = 0
def write_until_full():
    global written
    while True:
        number = written
        state.write([
            PutObject(Object(number, Kind.MODEL, "d" * 64, Phase.READY), inputs={"file": "x" * 2000}),
            Bind(f"model.{number}", number),
        ])
        written += 1

def check(location):
    state = open_state(location, service="local", create=False)
    assert set(state.realised().objects) == set(range(written)), written
    assert len(state.realised().bindings) == state.serial == written
    state.close()

for number in range(3):
    state = open_state(path, service="local")
    before = written
    refused(write_until_full)
    refused(write_until_full)
    fill()
    # What is there can still be read, by this process and by the next one.
    assert set(state.realised().objects) == set(range(written))
    check(path)
    if number == 1:
        state.close()
        check(path)
        state = open_state(path, service="local")
    ballast.unlink()
    (folder / f"room{number}").unlink()
    # Once there is space, the same opened state goes on.
    refused(write_until_full)
    assert written > before
    state.close()
    check(path)
print("kept", written)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux") or os.getuid() != 0, reason="needs the right to mount")
def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    unshare, mount = shutil.which("unshare"), shutil.which("mount")
    if unshare is None or mount is None:
        pytest.skip("needs unshare and mount")
    # A mount name space of its own: whatever happens, the small disk goes with the process.
    prefix = [unshare, "--mount", "--propagation", "private", "sh", "-c"]
    disk = f"{mount} -t tmpfs -o size=3m tmpfs {tmp_path}"
    if subprocess.run([*prefix, disk], check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting is not permitted here")
    rooms = " && ".join(f"head -c 500000 /dev/zero > {tmp_path}/room{number}" for number in range(3))
    script = f'{disk} && {rooms} && exec "$@"'
    done = subprocess.run(
        [*prefix, script, "sh", sys.executable, "-c", FILL, str(tmp_path)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"the state {tmp_path}/state/a.db cannot be created: the disk is full; make space for" in done.stdout
    assert f"the state {tmp_path}/state/a.db cannot be written: the disk is full; make space for" in done.stdout


LIMITED = """
import resource, sys
from glossi_sync.resources import Kind, Phase
from glossi_sync.state import Object, PutObject, StateError, open_state
state = open_state(sys.argv[1], service="local")
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
number = 0
try:
    while True:
        state.write([PutObject(Object(number, Kind.MODEL, "d" * 64, Phase.READY), inputs={"file": "x" * 2000})])
        number += 1
except StateError as error:
    print(error)
assert len(state.realised().objects) == number
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
state.write([PutObject(Object(number, Kind.MODEL, "d" * 64, Phase.READY))])
state.close()
print(number + 1)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs resource limits")
def test_a_quota_is_told_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    done = subprocess.run([sys.executable, "-c", LIMITED, str(path)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    message, count = done.stdout.splitlines()
    assert message.startswith(f"the state {path} cannot be written: the disk ")
    assert "everything written before is kept" in message
    with closing(open_state(path, service="local")) as state:
        assert set(state.realised().objects) == set(range(int(count)))


@pytest.fixture(params=["file", "memory", "postgresql", "bucket"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    state: State = MemoryState(service="local")
    if request.param == "file":
        state = open_state(tmp_path / "a.db", service="local")
    elif request.param == "postgresql":
        state = open_state(request.getfixturevalue("state_url"), service="local")
    elif request.param == "bucket":
        state = bucket_state()
    yield state
    state.close()


INTENT = Intent(5, 1, "record", "POST /models", (), 1.0)


@pytest.mark.parametrize(
    ("last", "error"),
    [
        (Intend(INTENT), StateError),
        (Settle(6, "done", 2.0), StateError),
        (PutObject(thing(3), inputs={"a": object()}), TypeError),
        (PutObject(thing(3), inputs={"a": float("nan")}), ValueError),
    ],
)
def test_a_transaction_that_cannot_be_written_leaves_no_trace(state: State, last: Any, error: type[Exception]) -> None:
    state.write([PutObject(thing(1)), Intend(INTENT)])
    before, serial = state.realised(), state.serial
    with pytest.raises(error):
        state.write([PutObject(thing(2)), Bind("model.lamp", 2), last])
    assert state.realised() == before
    assert state.serial == serial
    state.write([PutObject(thing(2))])
    assert set(state.realised().objects) == {1, 2}


def test_what_is_put_again_is_replaced_in_every_field(state: State) -> None:
    first = Object(1, Kind.MODEL, "d", Phase.FAILED, "Lamp", "m-1", (2, 3), 1.0, 2.0, 3, "too big")
    second = Object(1, Kind.RENDER, "e", Phase.QUEUED, "Chair", "j-1", (4,), 5.0, 6.0, 7, "lost")
    bare = Object(1, Kind.PROJECT, "f", Phase.CREATED)
    for one in (first, second, bare, first):
        state.write([PutObject(one)])
        assert state.realised().objects == {1: one}
    for run in (Run(1, "apply", 1.0), Run(1, "apply --yes", 2.0, 3.0, "done", {"record": 1}, {"POST /models": 1})):
        state.write([PutRun(run)])
        assert state.runs() == [run]
    for download in (Download("a.png", "j-1", 1), Download("a.png", "j-2", 2)):
        state.write([PutDownload(download)])
        assert state.downloads() == {"a.png": download}
    for stamp in (FileStamp(1, 2, 3, "s", 4), FileStamp(5, 6, 7, "t", 8)):
        state.put_stamps({"/lamp.glb": stamp})
        assert state.stamps() == {"/lamp.glb": stamp}


def test_what_is_none_beside_an_object_is_left_as_it_was(state: State) -> None:
    front = RenderedFile("f-1", "Front View", "front.png", "PNG", False)
    recorded = Object(1, Kind.MODEL, "d", Phase.RECORDED)
    state.write([PutObject(recorded, inputs={"file": "lamp.glb"}, upload_url="https://bucket/1", files=[front])])
    state.write([PutObject(recorded)])
    assert state.inputs([1]) == {1: {"file": "lamp.glb"}}
    assert state.upload_urls([1]) == {1: "https://bucket/1"}
    assert state.files([1]) == {1: (front,)}


def test_what_lies_beside_many_objects_is_found_in_pieces(state: State) -> None:
    state.write([PutObject(thing(number), inputs={"number": number}) for number in range(1201)])
    assert state.inputs(range(-5, 1500)) == {number: {"number": number} for number in range(1201)}


def test_a_file_name_that_is_no_text_costs_the_others_nothing(path: str) -> None:
    stamp = FileStamp(1, 2, 3, "s", 4)
    with closing(open_state(path, service="local")) as state:
        state.put_stamps({"/caf\udce9.glb": stamp, "/lamp.glb": stamp})
        assert state.stamps() == {"/lamp.glb": stamp}


def test_an_outcome_settles_its_doubt(state: State) -> None:
    state.write([Intend(INTENT)])
    assert state.realised().in_doubt == (INTENT,)
    state.write([Settle(5, "done", 2.0)])
    assert state.realised().in_doubt == ()
    assert state.serial == 0


def test_threads_may_write_and_read_at_once(state: State) -> None:
    def work(number: int) -> None:
        state.write([PutObject(thing(number)), Bind(f"model.{number}", number)])
        realised = state.realised()
        assert len(realised.objects) == len(realised.bindings)
        assert number in realised.objects

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(100)))
    assert set(state.realised().objects) == set(range(100))
    assert state.serial == 100


def test_a_closed_state_says_so(path: str) -> None:
    state = open_state(path, service="local")
    state.close()
    state.close()
    with pytest.raises(StateError, match="Cannot operate on a closed database|it is closed already"):
        state.write([PutObject(thing(1))])
    with pytest.raises(StateError, match="Cannot operate on a closed database|it is closed already"):
        state.realised()


def test_a_text_that_is_no_text_is_refused_in_a_sentence(path: str) -> None:
    with closing(open_state(path, service="local")) as state:
        with pytest.raises(StateError, match="not valid Unicode"):
            state.write([PutObject(Object(1, Kind.MODEL, "d", Phase.READY, label="\ud800"))])
        assert not state.realised().objects
