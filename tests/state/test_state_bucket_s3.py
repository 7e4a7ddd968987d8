"""A state in a real bucket (moto's S3, over HTTP): opened by its URL, raced for, killed, refused."""

from __future__ import annotations

import itertools
import os
import random
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest
from remote_places import SECRET, Bucket

from glossi_sync.resources import Kind, Phase
from glossi_sync.state import (
    Bind,
    FileStamp,
    Holder,
    Object,
    PutObject,
    Received,
    StateError,
    StateLocked,
    check,
    open_state,
)
from glossi_sync.state.bucket.bucket_state import BucketState
from glossi_sync.state.bucket.objects import BucketObjects
from glossi_sync.state.memory import MemoryState

ANA = Holder(7, "glossi-sync apply", "ana", "build-7", 4711, 1e9)
BO = Holder(8, "glossi-sync apply --yes", "bo", "laptop", 99, 1e9)

WRITER = """
import os, sys, time
from glossi_sync.resources import Kind, Phase
from glossi_sync.state import Bind, Holder, Object, PutObject, open_state
from glossi_sync.state.bucket import bucket_state as bucket
bucket.FEWEST_ENTRIES = bucket.MOST_ENTRIES = 7
state = open_state(sys.argv[1], service="local")
with state.lock(Holder(7, "glossi-sync apply", "ana", "build-7", os.getpid(), time.time())):
    number = len(state.realised().objects)
    while True:
        state.write([PutObject(Object(number, Kind.MODEL, "d" * 64, Phase.READY)), Bind(f"model.m{number}", number)])
        print(number, flush=True)
        number += 1
"""


@pytest.fixture(autouse=True)
def _caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))


def thing(number: int) -> list[PutObject | Bind]:
    return [
        PutObject(Object(number, Kind.MODEL, "d" * 64, Phase.READY, remote_id=f"m-{number}")),
        Bind(f"model.m{number}", number),
    ]


def test_a_state_is_found_again_by_its_url_and_by_no_other(bucket: Bucket) -> None:
    url = f"{bucket.url}/shop/live @1%"
    with closing(open_state(url, service="local", create=False)) as absent:
        assert (absent.lineage, absent.serial) == ("", 0)
        with pytest.raises(StateError, match="does not exist yet"):
            absent.write(thing(1))
    assert not any(one.method == "PUT" for one in bucket.asked)
    with closing(open_state(url, service="local")) as state:
        assert state.location == url
        lineage = state.lineage
        with state.lock(ANA):
            state.write(thing(1))
            state.write(thing(2))
        state.write(thing(3))
    with closing(open_state(url, service="local", create=False)) as again:
        assert again.lineage == lineage
        assert set(again.realised().objects) == {1, 2, 3}
        assert check(again) == []
    with closing(open_state(f"{bucket.url}/shop/live", service="local", create=False)) as other:
        assert other.lineage == ""
    with pytest.raises(StateError, match="belongs to the service local, and this run speaks to https://api.glossi.app"):
        open_state(url, service="https://api.glossi.app")


def test_a_large_snapshot_is_replaced_under_its_condition_too(bucket: Bucket) -> None:
    objects = BucketObjects(f"{bucket.url}/shop")
    large = bytes(12_000_000)
    first = objects.create("snapshot", large)
    assert first is not None
    assert objects.replace("snapshot", large + b"1", first) is not None
    assert objects.replace("snapshot", large + b"2", first) is None
    assert objects.create("snapshot", large) is None
    assert [one.status for one in bucket.asked] == [200, 200, 412, 412]


def test_a_run_asks_little(bucket: Bucket) -> None:
    url = f"{bucket.url}/shop"
    open_state(url, service="local").close()
    bucket.asked.clear()
    with closing(open_state(url, service="local")) as state, state.lock(ANA):
        for number in range(3):
            state.write(thing(number))
    prefix = f"/{bucket.name}"
    asked = [f"{one.method} {one.path.removeprefix(prefix).partition('0')[0]}" for one in bucket.asked]
    assert asked == [
        *("GET /shop/snapshot", "GET "),
        *("GET /shop/lock", "PUT /shop/lock", "GET /shop/snapshot", "GET "),
        *3 * ("PUT /shop/journal/",),
        *("PUT /shop/snapshot", "GET ", "POST ", "PUT /shop/lock"),
    ]
    conditions = [one.condition for one in bucket.asked if one.method == "PUT"]
    assert all(conditions)


def test_file_stamps_are_this_machines(bucket: Bucket, tmp_path: Path) -> None:
    stamp = FileStamp(1, 2, 3, "s", 4)
    with closing(open_state(f"{bucket.url}/one", service="local")) as state:
        state.put_stamps({"/lamp.glb": stamp})
    with closing(open_state(f"{bucket.url}/two", service="local")) as other:
        assert other.stamps() == {"/lamp.glb": stamp}
    assert (tmp_path / "caches" / "glossi-sync" / "file-stamps.db").exists()


def test_where_no_cache_can_be_written_stamps_are_forgotten(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with closing(open_state(f"{bucket.url}/one", service="local")) as state:
        state.put_stamps({"/lamp.glb": FileStamp(1, 2, 3, "s", 4)})
        assert set(state.stamps()) == {"/lamp.glb"}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_writer_leaves_exactly_its_first_transactions(bucket: Bucket) -> None:
    url = f"{bucket.url}/shop"
    chance = random.Random(3)
    acknowledged = -1
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        for line in itertools.islice(writer.stdout, chance.randrange(1, 40)):
            acknowledged = int(line)
        writer.kill()
        said = writer.communicate()[0].split()
        # A last line may have been cut short; what precedes it was kept.
        acknowledged = int(said[-2]) if len(said) > 1 else acknowledged
        with closing(open_state(url, service="local", create=False)) as state:
            realised = state.realised()
            count = len(realised.objects)
            assert count > acknowledged
            assert set(realised.objects) == set(range(count))
            assert realised.bindings == {f"model.m{number}": number for number in range(count)}
            assert state.serial == count
            [holder] = state.holders()
            assert holder.pid == writer.pid
            with pytest.raises(StateLocked, match=f"pid {writer.pid}.*its lease ends in 6. s"), state.lock(ANA):
                pass
            assert state.break_lock() == (holder,)


def test_of_many_that_come_at_once_one_makes_the_state_and_one_holds_it(bucket: Bucket) -> None:
    together = threading.Barrier(6)
    done = threading.Event()
    held: list[int] = []

    def come(number: int) -> str:
        together.wait()
        with closing(open_state(f"{bucket.url}/shop", service="local")) as state:
            together.wait()
            with suppress(StateLocked), state.lock(ANA):
                held.append(number)
                state.write(thing(number))
                done.wait(20)
            if len(held) == 1:
                done.set()
            return state.lineage

    with ThreadPoolExecutor(6) as pool:
        lineages = set(pool.map(come, range(6)))
    assert len(lineages) == 1
    with closing(open_state(f"{bucket.url}/shop", service="local")) as state:
        assert sorted(state.realised().objects) == sorted(held)
        assert state.serial == len(held)


def test_a_heart_beats_while_a_run_lasts(bucket: Bucket) -> None:
    url = f"{bucket.url}/shop"
    open_state(url, service="local").close()
    state = BucketState(BucketObjects(url), service="local", stamps=MemoryState(service="local"), seconds=0.15)
    with state.lock(ANA):
        renewed = threading.Event()
        bucket.refuse = lambda method, path: renewed.set() if method == "PUT" and path.endswith("/lock") else None
        assert renewed.wait(10)
    assert not any(thread.name == "lease" for thread in threading.enumerate())


def test_deliveries_lie_beside_the_state(bucket: Bucket) -> None:
    one = Received("a" * 64, "render.complete", "{}", 1.0)
    with closing(open_state(f"{bucket.url}/shop", service="local")) as state:
        assert state.put_event(one)
        assert not state.put_event(one)
        assert state.heard() == 1
        assert [event.digest for event in state.events(0)] == [one.digest]


def refused(status: int, code: str) -> Callable[[str, str], tuple[int, bytes]]:
    body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()
    return lambda method, path: (status, body)


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "AccessDenied", "the bucket refuses the environment's credentials .403.; it takes the rights to read, "),
        (404, "NoSuchBucket", "there is no bucket s3://shop-[0-9a-f]*; see to that and run again"),
        (500, "InternalError", "the server answers 500; see to that and run again"),
    ],
)
def test_a_bucket_that_refuses_is_told_in_a_sentence(bucket: Bucket, status: int, code: str, said: str) -> None:
    bucket.refuse = refused(status, code)
    with pytest.raises(StateError) as caught:
        open_state(f"{bucket.url}/shop", service="local")
    assert str(caught.value).startswith(f"the state {bucket.url}/shop cannot be opened: ")
    assert re.search(said, str(caught.value))
    assert SECRET not in str(caught.value)


def test_a_server_without_conditions_is_told_in_a_sentence(bucket: Bucket) -> None:
    refusal = refused(501, "NotImplemented")
    bucket.refuse = lambda method, path: refusal(method, path) if method == "PUT" else None
    with pytest.raises(StateError, match="cannot be created: the bucket's server knows no conditional writes"):
        open_state(f"{bucket.url}/shop", service="local")


def test_a_write_that_the_bucket_refuses_is_told_and_the_next_one_works(bucket: Bucket) -> None:
    with closing(open_state(f"{bucket.url}/shop", service="local")) as state, state.lock(ANA):
        state.write(thing(1))
        bucket.refuse = refused(403, "AccessDenied")
        with pytest.raises(StateError, match="cannot be written: the bucket refuses"):
            state.write(thing(2))
        bucket.refuse = lambda method, path: None
        state.write(thing(3))
        assert set(state.realised().objects) == {1, 3}


def test_without_credentials_it_says_which_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "GOOGLE_", "AZURE_"))]:
        monkeypatch.delenv(name)
    with pytest.raises(StateError, match="az://shop/state cannot be opened: .*AZURE_STORAGE_ACCOUNT_NAME"):
        open_state("az://shop/state", service="local")


@pytest.mark.parametrize("url", ["s3://", "s3:///state", "s3://ana:secret@shop/state"])
def test_a_url_that_names_no_bucket_is_refused(url: str) -> None:
    with pytest.raises(StateError, match="the state s3://… names no bucket") as caught:
        open_state(url, service="local")
    assert "secret" not in str(caught.value)


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(StateError, match=r"without the extra `buckets`: pip install 'glossi-sync\[buckets\]'"):
        open_state("s3://shop/state", service="local")
