"""What is asked again, what never is, and how long anybody waits: over real HTTP, and on a virtual clock."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import httpx
import pytest
from failures import CALLS, QUICK, REPLIES, client, closed_port, run
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_server import Answer, DropAfter, Reply, answer_json, in_turn, serving
from virtual_time import run_in_virtual_time

from glossi_sync.resources import LIFECYCLES, RenderSettings
from glossi_sync.resources.webhook import DELETE, PUT
from glossi_sync.service import (
    MUTATING,
    Glossi,
    InDoubt,
    NewModel,
    NotSent,
    Pace,
    Patience,
    ReadFailed,
    Refused,
    ServiceError,
)
from glossi_sync.service.calls import CALLS as ALL_CALLS
from glossi_sync.service.retrying import seconds_of_retry_after

STARTED = {"jobs": [{"jobId": "j1", "status": "QUEUED", "projectId": "p1"}], "totalProjects": 1}
TEMPLATES = {"templates": [{"templateId": "t1", "name": "Studio Light", "description": ""}]}

BUSY = Answer(429, headers={"retry-after": "0"})
DOWN = Answer(503, headers={"retry-after": "0"})


def test_the_calls_are_named_as_the_resources_name_their_steps() -> None:
    steps = [step for life in LIFECYCLES.values() for step in (*life.steps, *([life.retry] if life.retry else []))]
    assert {step.call for step in [*steps, PUT, DELETE]} == MUTATING
    assert len({call.name for call in ALL_CALLS}) == len(ALL_CALLS)


@pytest.mark.parametrize("trouble", ["429", "dropped after reading", "500", "502", "503", "truncated", "not JSON"])
def test_a_read_is_asked_again(trouble: str) -> None:
    reply = BUSY if trouble == "429" else REPLIES[trouble]

    async def main() -> None:
        script = in_turn(reply, reply, answer_json(TEMPLATES))
        async with serving(script) as server, client(server.endpoint, QUICK) as glossi:
            assert [template.template_id for template in await glossi.templates()] == ["t1"]
            assert glossi.calls == {"GET /templates": 3}

    run(main)


def test_an_answer_of_the_wrong_form_is_not_asked_for_again() -> None:
    async def main() -> None:
        async with serving(in_turn(answer_json({}))) as server, client(server.endpoint, QUICK) as glossi:
            with pytest.raises(ReadFailed, match="templates is missing"):
                await glossi.templates()
            assert glossi.calls == {"GET /templates": 1}

    run(main)


@pytest.mark.parametrize("trouble", [BUSY, DOWN])
def test_a_mutating_call_that_was_turned_away_is_asked_again(trouble: Reply) -> None:
    async def main() -> None:
        script = in_turn(trouble, trouble, answer_json(STARTED))
        async with serving(script) as server, client(server.endpoint, QUICK) as glossi:
            (job,) = await glossi.start_renders(["p1"], RenderSettings())
            assert job.job_id == "j1"
            assert glossi.calls == {"POST /renders": 3}

    run(main)


@pytest.mark.parametrize(
    "call", ["POST /models", "POST /models/{id}/confirm", "POST /projects", "POST /renders/{id}/retry"]
)
@pytest.mark.parametrize("trouble", ["dropped before reading", "dropped after reading", "500", "503", "truncated"])
def test_a_mutating_call_in_doubt_is_never_asked_again(call: str, trouble: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(in_turn(REPLIES[trouble])) as server, client(server.endpoint, QUICK) as glossi:
            with pytest.raises(InDoubt):
                await CALLS[call](glossi, server.origin, tmp_path)
            assert glossi.calls == {call: 1}
            assert len(server.received) == 1

    run(main)


reply_kinds = {
    "good": answer_json(STARTED),
    "busy": BUSY,
    "busy, no hint": Answer(429),
    "down for a while": DOWN,
    "down": Answer(503),
    "broken": Answer(500),
    "gone": Answer(404),
    "lost": DropAfter(),
    "garbled": Answer(200, b"{"),
}
MAY_HAVE_STARTED = {"good", "down", "broken", "lost", "garbled"}


@given(st.lists(st.sampled_from(sorted(reply_kinds)), min_size=1, max_size=6))
@settings(deadline=None, max_examples=60)
def test_a_render_is_asked_for_at_most_once_that_may_have_started(kinds: list[str]) -> None:
    """Whatever the service does, all requests but the last were certainly not done."""

    async def main() -> None:
        script = in_turn(*(reply_kinds[kind] for kind in kinds), reply_kinds["good"])
        transport = ScriptedTransport(script)
        async with client("http://studio/api/v1", QUICK, transport=transport) as glossi:
            try:
                await glossi.start_renders(["p1"], RenderSettings())
                outcome = "good"
            except ServiceError as error:
                outcome = "in doubt" if isinstance(error, InDoubt) else "refused"
        asked = [*kinds, "good"][: transport.asked]
        assert not MAY_HAVE_STARTED & set(asked[:-1])
        assert outcome == {"good": "good", "gone": "refused"}.get(asked[-1], "in doubt")

    run_in_virtual_time(main())


def test_an_upload_in_doubt_is_sent_again_whole(tmp_path: Path) -> None:
    path = tmp_path / "lamp.glb"
    path.write_bytes(b"glTF")

    async def main() -> None:
        script = in_turn(DropAfter(), Answer(500), Answer(200))
        async with serving(script) as server, client(server.endpoint, QUICK) as glossi:
            await CALLS["PUT upload"](glossi, server.origin, path)
            assert [received.body for received in server.received] == [b"glTF"] * 3

    run(main)


def test_a_service_that_was_never_reached_is_given_up_sooner_than_one_that_has_answered() -> None:
    async def waited(script: Callable[[httpx.Request], httpx.Response], first: bool) -> float:
        transport = httpx.MockTransport(script)
        patience = Patience(total=100, first_contact=10, first_pause=1, longest_pause=5)
        async with Glossi("http://studio", "k", transport=transport, patience=patience, rng=Random(7)) as glossi:
            if not first:
                await glossi.templates()
            before = asyncio.get_running_loop().time()
            with pytest.raises(NotSent):
                await glossi.start_renders(["p1"], RenderSettings())
            return asyncio.get_running_loop().time() - before

    def unreachable(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json=TEMPLATES)
        raise httpx.ConnectError("no route to host")

    assert 5 <= run_in_virtual_time(waited(unreachable, first=True)) <= 10
    assert 90 <= run_in_virtual_time(waited(unreachable, first=False)) <= 100


def test_a_connection_that_comes_back_is_used() -> None:
    async def main() -> None:
        port = closed_port()
        patience = Patience(total=60, first_contact=60, first_pause=0.01, longest_pause=0.01)
        tries = Counter[str]()

        def observed(call: str, status: int | None, seconds: float) -> None:
            tries[f"{call} {status}"] += 1

        async with client(f"http://127.0.0.1:{port}/api/v1", patience, observe=observed) as glossi:
            asking = asyncio.ensure_future(glossi.start_renders(["p1"], RenderSettings()))
            await asyncio.sleep(0.02)
            assert not asking.done() and not tries
            listener = await asyncio.start_server(_answer_started, "127.0.0.1", port)
            async with listener:
                (job,) = await asking
            assert job.job_id == "j1"
            assert tries == {"POST /renders 200": 1} == {f"{name} 200": n for name, n in glossi.calls.items()}

    run(main)


async def _answer_started(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    body = b'{"jobs": [{"jobId": "j1", "status": "QUEUED", "projectId": "p1"}], "totalProjects": 1}'
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    await writer.drain()
    writer.close()


def test_retry_after_is_waited_for_by_all_callers_of_the_origin() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        asked_at: list[float] = []

        def reply(request: httpx.Request) -> httpx.Response:
            asked_at.append(loop.time())
            if len(asked_at) == 1:
                return httpx.Response(429, headers={"retry-after": "40"})
            return httpx.Response(200, json=TEMPLATES)

        transport = httpx.MockTransport(reply)
        async with Glossi("http://studio", "k", transport=transport, pace=Pace(1, 4), rng=Random(1)) as glossi:
            await asyncio.gather(*(glossi.templates() for _ in range(6)))
        assert asked_at[0] == 0
        assert all(at >= 40 for at in asked_at[1:])
        assert len(asked_at) == 7

    run_in_virtual_time(main())


def test_a_retry_after_beyond_the_patience_is_not_waited_for_by_anybody() -> None:
    async def main() -> None:
        def reply(request: httpx.Request) -> httpx.Response:
            return httpx.Response(429, headers={"retry-after": "7200"})

        transport = httpx.MockTransport(reply)
        async with Glossi("http://studio", "k", transport=transport, pace=Pace(1, 1)) as glossi:
            outcomes = await asyncio.gather(*(glossi.templates() for _ in range(4)), return_exceptions=True)
            assert glossi.calls == {"GET /templates": 1}
        assert isinstance(outcomes[0], Refused) and outcomes[0].retry_after == 7200
        for outcome in outcomes[1:]:
            assert isinstance(outcome, NotSent) and "left alone for another 7200 s" in str(outcome)
        assert asyncio.get_running_loop().time() == 0

    run_in_virtual_time(main())


@given(st.floats(0.1, 120), st.floats(0.01, 5), st.floats(2, 60), st.sampled_from([429, 500, 503]), st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_patience_ends(total: float, first_pause: float, longest_pause: float, status: int, seed: int) -> None:
    async def main() -> None:
        transport = httpx.MockTransport(lambda _: httpx.Response(status))
        patience = Patience(total, first_contact=1, first_pause=first_pause, longest_pause=longest_pause)
        async with Glossi("http://s", "k", transport=transport, patience=patience, rng=Random(seed)) as glossi:
            with pytest.raises(ServiceError):
                await glossi.templates()
        assert asyncio.get_running_loop().time() <= total

    run_in_virtual_time(main())


def test_the_jitter_is_the_given_generators() -> None:
    async def times(seed: int) -> list[float]:
        loop, asked_at = asyncio.get_running_loop(), []

        def reply(_: httpx.Request) -> httpx.Response:
            asked_at.append(loop.time())
            return httpx.Response(500)

        transport = httpx.MockTransport(reply)
        async with Glossi("http://s", "k", transport=transport, rng=Random(seed)) as glossi:
            with pytest.raises(ReadFailed):
                await glossi.templates()
        return asked_at

    assert run_in_virtual_time(times(1)) == run_in_virtual_time(times(1)) != run_in_virtual_time(times(2))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("120", 120.0),
        (" 1.5 ", 1.5),
        ("-3", None),
        ("soon", None),
        ("", None),
        ("²", None),
        ("Thu, 01 Jan 1970 00:17:40 GMT", 60.0),
        ("Thu, 01 Jan 1970 00:16:40 GMT", 0.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Thu, 01 Jan 1970 00:17:40", 60.0),
        ("Thu, 01 Jan 99999999999999999999 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(value: str | None, seconds: float | None) -> None:
    assert seconds_of_retry_after(value, now=1000.0) == seconds


@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from(["Thu", ",", " ", "01", "Jan", "1970", "99999", "00:16:40", "25:61", "GMT", "+9999", "-", "9" * 400])).map("".join),
    st.floats(0, 4e9),
)  # fmt: skip
@settings(max_examples=300)
def test_no_retry_after_makes_it_stumble(value: str, now: float) -> None:
    seconds = seconds_of_retry_after(value, now)
    assert seconds is None or seconds >= 0


def test_a_cancelled_call_leaves_its_place_to_others() -> None:
    async def main() -> None:
        blocked = asyncio.Event()

        async def reply(request: httpx.Request) -> httpx.Response:
            if not blocked.is_set():
                blocked.set()
                await asyncio.sleep(3600)
            return httpx.Response(200, json=TEMPLATES)

        async with Glossi("http://s", "k", transport=httpx.MockTransport(reply), pace=Pace(1, 1)) as glossi:
            first = asyncio.ensure_future(glossi.templates())
            second = asyncio.ensure_future(glossi.templates())
            await blocked.wait()
            first.cancel()
            assert await second
            with pytest.raises(asyncio.CancelledError):
                await first
            assert glossi.calls == {"GET /templates": 2}
        assert asyncio.get_running_loop().time() == 0

    run_in_virtual_time(main())


def test_records_are_given_back_in_the_order_in_which_they_were_asked_for() -> None:
    def record(name: str) -> dict[str, str]:
        return {"modelId": f"id-{name}", "name": name, "uploadUrl": "https://s3/u", "uploadKey": "k"}

    async def main(answered: str, asked: str) -> list[str]:
        transport = httpx.MockTransport(
            lambda _: httpx.Response(200, json={"models": [record(name) for name in answered]})
        )
        async with Glossi("http://s", "k", transport=transport) as glossi:
            created = await glossi.create_models([NewModel(name, "f.glb", "glb") for name in asked])
        return [model.model_id for model in created]

    assert asyncio.run(main("abc", "abc")) == ["id-a", "id-b", "id-c"]
    assert asyncio.run(main("cab", "abc")) == ["id-a", "id-b", "id-c"]
    assert asyncio.run(main("xyz", "abc")) == ["id-x", "id-y", "id-z"]


class ScriptedTransport(httpx.AsyncBaseTransport):
    """The scripted server's replies, without a network."""

    def __init__(self, script: Callable[[object], Reply]) -> None:
        self._script = script
        self.asked = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        match self._script(request):
            case Answer(status, body, headers):
                return httpx.Response(status, content=body, headers=dict(headers))
            case _:
                raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
