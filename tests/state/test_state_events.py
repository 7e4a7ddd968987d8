"""Events beside the state: each delivery is kept once, in order, and whoever reads on from a number misses none."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from bucket_in_memory import Cupboard, MemoryObjects
from hypothesis import given
from hypothesis import strategies as st

from glossi_sync.state import Holder, MemoryState, Received, State, StateError, open_state
from glossi_sync.state.bucket import bucket_state as bucket

SERVICE = "https://studio.test"


def received(body: str, at: float = 1.0) -> Received:
    return Received(hashlib.sha256(body.encode()).hexdigest(), "render.complete", body, at)


@pytest.fixture(params=["file", "memory", "postgresql", "bucket"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[State]:
    state: State = MemoryState(service=SERVICE)
    if request.param == "file":
        state = open_state(tmp_path / "state.db", service=SERVICE)
    elif request.param == "postgresql":
        state = open_state(request.getfixturevalue("state_url"), service=SERVICE)
    elif request.param == "bucket":
        objects = MemoryObjects(Cupboard())
        bucket.create(objects, service=SERVICE)
        state = bucket.BucketState(objects, service=SERVICE, stamps=state, beat=lambda *_: lambda: None)
    with closing(state):
        yield state


@given(st.lists(st.sampled_from("abcdé"), max_size=12), st.data())
def test_a_reader_that_goes_on_from_its_last_number_sees_each_delivery_once(
    bodies: list[str], data: st.DataObject
) -> None:
    state = MemoryState(service=SERVICE)
    seen: list[str] = []
    last = 0
    kept: list[str] = []
    for body in bodies:
        fresh = state.put_event(received(body))
        assert fresh == (body not in kept)
        kept += [body] * fresh
        if data.draw(st.booleans()):
            news = state.events(after=last)
            last = news[-1].number if news else last
            seen += [event.body for event in news]
    assert seen + [event.body for event in state.events(after=last)] == kept
    assert state.heard() == (state.events(after=0)[-1].number if kept else 0)


def test_what_is_kept_comes_back_as_it_came(state: State) -> None:
    first, second = received('{"event":"é\\u0000🪑"}', 12.5), received("{}", 13.0)
    assert state.heard() == 0
    assert state.events(after=0) == []
    assert state.put_event(first)
    assert state.put_event(second)
    assert not state.put_event(received(first.body, 99.0)), "a replay"
    events = state.events(after=0)
    assert [(one.digest, one.event, one.body, one.at) for one in events] == [
        (one.digest, one.event, one.body, one.at) for one in (first, second)
    ]
    assert 0 < events[0].number < events[1].number == state.heard()
    assert state.events(after=events[0].number) == events[1:]
    assert state.serial == 0, "events are no part of what plans are made of"


def test_a_receiver_writes_beside_a_run_and_beside_other_receivers(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with closing(open_state(path, service=SERVICE)) as running:
        with running.lock(Holder(1, "glossi-sync apply", "me", "here", 1, 0.0)):

            def receive(number: int) -> int:
                with closing(open_state(path, service=SERVICE)) as mine:
                    return sum(mine.put_event(received(f"{one}")) for one in range(number, number + 20))

            with ThreadPoolExecutor(4) as pool:
                assert sum(pool.map(receive, [0, 0, 10, 20])) == 40
        assert sorted(int(one.body) for one in running.events(after=0)) == list(range(40))


def test_a_state_that_is_only_looked_at_keeps_nothing(tmp_path: Path) -> None:
    absent = open_state(tmp_path / "none.db", service=SERVICE, create=False)
    assert absent.heard() == 0
    with pytest.raises(StateError, match="does not exist yet"):
        absent.put_event(received("{}"))
