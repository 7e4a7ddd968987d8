"""A state that is pulled and pushed, or copied from one backend to another, is the state that it was."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from bucket_in_memory import bucket_state
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_state_model import remote_stamps, words, writes

from glossi_sync.resources import Kind, Phase
from glossi_sync.state import (
    Bind,
    Intend,
    Intent,
    MemoryState,
    Object,
    PutObject,
    PutRun,
    Realised,
    Received,
    RemoteStamp,
    Run,
    Settle,
    State,
    StateError,
    Subject,
    Unbind,
    Write,
    document,
    open_state,
)
from glossi_sync.state.rebinding import forget, move
from glossi_sync.state.transfer import migrate, pull, push

LAMP = Object(1, Kind.MODEL, "d" * 64, Phase.READY, "Desk Lamp", "m-1")
RECORDED = Object(2, Kind.MODEL, "e" * 64, Phase.RECORDED, "Chair", "m-2", since=1.0, expires=3601.0)
URL = "https://bucket.example/chair.glb?X-Signature=abc"
CALL = Intent(5, 1, "record", "POST /models", (Subject("model.lamp", "d" * 64),), 1.0)
WRITES: list[Write] = [
    PutObject(LAMP, inputs={"file": "lamp.glb"}),
    Bind("model.lamp", 1),
    PutObject(RECORDED, upload_url=URL),
    Bind("model.chair", 2),
    Intend(CALL),
    Settle(5, "done", 2.0),
    PutRun(Run(1, "apply", 1.0, 2.0, "converged", {"record": 2}, {"POST /models": 1})),
]
EVENT = Received("f" * 64, "render.complete", '{"jobId":"j-1"}', 3.0)

Histories = st.lists(st.lists(writes, max_size=5), max_size=5)


def live(state: State, history: list[list[Write]], cache: dict[str, RemoteStamp]) -> None:
    """What a few runs may have written; what is refused is not there."""
    for number, many in enumerate(history):
        try:
            state.write(many)
        except StateError:
            continue
        state.put_event(replace(EVENT, digest=f"{number:064}"))
    state.put_remote_stamps(cache)


@contextmanager
def empty(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[State]:
    if kind in ("memory", "bucket"):
        yield MemoryState(service="local") if kind == "memory" else bucket_state()
        return
    name = Path(tmp_path / f"{len(list(tmp_path.iterdir()))}.db")
    where = (
        str(name)
        if kind == "file"
        else f"{request.getfixturevalue('state_database')}&schema=moved_{secrets.token_hex(6)}"
    )
    with closing(open_state(where, service="local")) as state:
        yield state


def known(state: State) -> tuple[object, ...]:
    return (state.realised(), state.runs(), state.downloads(), state.events(0), state.serial, state.lineage)


@settings(max_examples=20, deadline=None)
@given(Histories, st.dictionaries(words, remote_stamps, max_size=2))
def test_a_document_survives_json(history: list[list[Write]], cache: dict[str, RemoteStamp]) -> None:
    state = MemoryState(service="local")
    live(state, history, cache)
    dumped = state.dump()
    assert document.read(json.loads(json.dumps(document.write(dumped, clear=True)))) == replace(
        dumped,
        strays=tuple(sorted(dumped.strays, key=lambda one: (one.at, one.kind, one.remote_id or "", one.reason))),
        journal=tuple(sorted(dumped.journal, key=lambda one: one.intent.call_id)),
        runs=tuple(sorted(dumped.runs, key=lambda one: one.run.run_id)),
        past_bindings=tuple(sorted(dumped.past_bindings, key=lambda one: (one.serial, one.address))),
    )


@pytest.mark.parametrize(
    "kinds",
    [
        *(("file", "memory"), ("memory", "file"), ("file", "postgresql"), ("postgresql", "file")),
        *(("file", "bucket"), ("bucket", "file")),
    ],
)
def test_a_copied_state_is_the_state_that_it_was(
    kinds: tuple[str, str], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    examples = 4 if "postgresql" in kinds else 8

    @settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(Histories, st.dictionaries(words, remote_stamps, max_size=2))
    def holds(history: list[list[Write]], cache: dict[str, RemoteStamp]) -> None:
        with empty(kinds[0], request, tmp_path) as source, empty(kinds[1], request, tmp_path) as target:
            live(source, history, cache)
            source.write(WRITES[:2])
            migrate(source, target)
            assert known(target) == known(source)
            assert target.remote_stamps() == source.remote_stamps() == cache
            written = document.write(source.dump(), clear=True)
            assert document.write(target.dump(), clear=True) == written
            assert all(target.bindings_after(run) == source.bindings_after(run) for run in range(5))
            # And both go on alike.
            for state in (source, target):
                state.write([Bind("model.lamp", 1), PutRun(Run(4, "apply", 5.0))])
                state.put_event(replace(EVENT, digest="a" * 64))
            assert document.write(target.dump(), clear=True) == document.write(source.dump(), clear=True)

    holds()


@pytest.mark.parametrize("kind", ["file", "memory", "postgresql", "bucket"])
def test_a_push_of_a_pulled_state_changes_nothing(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    @settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(Histories)
    def holds(history: list[list[Write]]) -> None:
        with empty(kind, request, tmp_path) as state:
            live(state, history, {})
            before, pulled = document.write(state.dump(), clear=True), pull(state)
            assert push(state, json.loads(json.dumps(pulled))) is False
            assert document.write(state.dump(), clear=True) == before

    holds()


def lived(service: str = "local") -> MemoryState:
    state = MemoryState(service=service)
    state.write(WRITES)
    state.put_event(EVENT)
    return state


def test_a_pulled_state_has_no_secret_in_clear() -> None:
    text = json.dumps(pull(lived()))
    assert "X-Signature" not in text
    assert "bucket.example" not in text


def test_where_the_upload_url_is_lost_the_upload_is_begun_anew() -> None:
    state = MemoryState(service="local")
    push(state, pull(lived()))
    assert state.upload_urls([2]) == {}
    assert state.realised().objects[2].expires is None


def test_a_recorded_model_whose_url_was_lost_before_is_pushed_back_as_it_was() -> None:
    state = MemoryState(service="local")
    state.write([PutObject(RECORDED)])
    before = state.dump()
    push(state, pull(state))
    assert state.dump() == before


def test_a_url_whose_model_has_moved_on_is_not_kept() -> None:
    state = lived()
    pulled = pull(state)
    state.write([PutObject(replace(RECORDED, remote_id="m-3"), upload_url="https://bucket.example/3")])
    push(state, pulled, force=True)
    assert state.upload_urls([2]) == {}


@pytest.mark.parametrize(
    ("since", "said"),
    [
        (
            [Bind("model.b", 1)],
            r"it is older \(serial 1\) than the state memory \(serial 2\); pull again, or push with",
        ),
        ([Intend(replace(CALL, call_id=6))], "has 1 calls, 0 runs and 0 events that it lacks"),
        ([PutRun(Run(2, "apply", 1.0))], "has 0 calls, 1 runs and 0 events that it lacks"),
    ],
)
def test_a_push_that_loses_what_is_there_is_refused_unless_forced(since: list[Write], said: str) -> None:
    state = lived()
    pulled = pull(state)
    state.write(since)
    before = state.dump()
    with pytest.raises(StateError, match=said):
        push(state, pulled)
    assert state.dump() == before
    push(state, pulled, force=True)
    assert state.realised() == lived().realised()
    # No plan that was made of either is taken for one that was made of this.
    assert state.serial == (before.serial if before.serial == 1 else before.serial + 1)


def test_an_answer_that_came_since_is_not_pushed_away() -> None:
    state = MemoryState(service="local")
    state.write([Intend(CALL)])
    pulled = pull(state)
    state.write([Settle(5, "done", 2.0)])
    with pytest.raises(StateError, match="has 1 calls"):
        push(state, pulled)


def test_an_event_that_came_since_is_not_pushed_away() -> None:
    state = lived()
    pulled = pull(state)
    state.put_event(replace(EVENT, digest="a" * 64))
    with pytest.raises(StateError, match="and 1 events"):
        push(state, pulled)


def test_another_state_is_refused_unless_forced() -> None:
    state, other = lived(), lived()
    with pytest.raises(StateError, match="it is another state"):
        push(state, pull(other))
    push(state, pull(other), force=True)
    assert state.lineage == other.lineage


def test_another_services_state_is_refused_even_when_forced() -> None:
    with pytest.raises(
        StateError, match="it belongs to the service https://api.glossi.app, and the state memory to local"
    ):
        push(lived(), pull(lived("https://api.glossi.app")), force=True)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda value: value.pop("journal"), "it lacks 'journal'"),
        (lambda value: value.update(format=2), "it is no state of format 1"),
        (lambda value: value["objects"][0].update(phase="molten"), "a part of it is not what it should be"),
        (lambda value: value.update(bindings=[]), "a part of it is not what it should be"),
    ],
)
def test_what_is_no_pulled_state_is_refused(harm: Callable[[dict[str, object]], object], said: str) -> None:
    state = lived()
    value = pull(state)
    harm(value)
    before = state.dump()
    with pytest.raises(StateError, match=said):
        push(state, value, force=True)
    assert state.dump() == before


def test_a_state_is_copied_only_to_an_empty_place() -> None:
    with pytest.raises(StateError, match="a state lies there already"):
        migrate(lived(), lived())
    with pytest.raises(StateError, match="there is no state at nowhere"):
        migrate(MemoryState(service="local", location="nowhere", absent=True), lived())
    with pytest.raises(StateError, match="there is no state at nowhere"):
        pull(MemoryState(service="local", location="nowhere", absent=True))


@pytest.mark.parametrize("kind", ["file", "postgresql"])
def test_a_copy_that_fails_leaves_the_place_empty(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    source = lived()
    source.write([PutObject(replace(LAMP, oid=9, label="\ud800"))])
    with empty(kind, request, tmp_path) as target:
        with pytest.raises(StateError, match="not valid Unicode"):
            migrate(source, target)
        assert target.dump().is_empty
        assert target.realised() == Realised()


# Bindings


REALISED = Realised(
    {1: LAMP, 2: RECORDED},
    {"model.lamp": 1, "model.chair": 2},
    (replace(CALL, subjects=(Subject("model.chair", "e" * 64),)),),
)


def test_a_binding_moves_to_another_address() -> None:
    assert move(REALISED, "model.lamp", "model.light") == [Unbind("model.lamp"), Bind("model.light", 1)]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("model.sofa", "model.bed", "model.sofa is not bound; `glossi-sync state list` shows what is"),
        ("model.lamp", "model.chair", "that is bound already; `glossi-sync state rm model.chair` first"),
        ("model.lamp", "project.lamp", "is no address of a model"),
        ("model.lamp", "nonsense", "is no address of a model"),
        ("model.chair", "model.seat", "while it is not known how a call for it has ended"),
    ],
)
def test_a_move_that_cannot_be_is_refused(old: str, new: str, said: str) -> None:
    with pytest.raises(StateError) as caught:
        move(REALISED, old, new)
    assert said in str(caught.value)


def test_all_are_forgotten_or_none() -> None:
    assert forget(REALISED, ["model.lamp", "model.chair", "model.lamp"]) == [
        Unbind("model.lamp"),
        Unbind("model.chair"),
    ]
    with pytest.raises(StateError, match=r"model\.sofa is not bound"):
        forget(REALISED, ["model.lamp", "model.sofa"])
