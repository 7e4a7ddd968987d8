"""The receiver under everything that strangers send: what is not signed is never kept, what is signed is kept once."""

from __future__ import annotations

import hashlib
import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from glossi_sync.receiving import Bounds, Intake, Receiver, Secret, Told, receiving
from glossi_sync.service.signature import sign, signed_form, stringify
from glossi_sync.state import MemoryState, Received, State, StateError, open_state
from glossi_sync.webhooks import SIGNATURE_HEADER

SECRET = "whsec_für-uns-allein"
PATH = "/hooks/glossi"
SERVICE = "https://studio.test"


@dataclass
class Running:
    port: int
    state: State
    told: list[Told] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{PATH}"

    def kept(self) -> list[Received]:
        return list(self.state.events(after=0))

    def raw(self, *parts: bytes, pause: float = 0.0) -> bytes:
        """Bytes, as they are; and all that is answered until the connection ends."""
        with closing(socket.create_connection(("127.0.0.1", self.port), timeout=10)) as connection:
            answer = b""
            try:
                for part in parts:
                    connection.sendall(part)
                    time.sleep(pause)
                while piece := connection.recv(65536):
                    answer += piece
            except ConnectionError:
                pass
            return answer


@contextmanager
def running(state: State, *, secret: Any = lambda: SECRET, **bounds: Any) -> Iterator[Running]:
    told: list[Told] = []
    intake = Intake(Secret(secret, time.monotonic), state.put_event, time.time)
    receiver = Receiver(intake, PATH, told.append, Bounds(**bounds))
    with receiving(receiver, "127.0.0.1", 0) as port:
        yield Running(port, state, told)


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Running]:
    with (
        closing(open_state(tmp_path / "state.db", service=SERVICE)) as state,
        running(state, body=20_000, seconds=2.0, lingering=0.2) as one,
    ):
        yield one


def delivery(number: int, **data: Any) -> bytes:
    about = {"jobId": f"job-{number}", "status": "COMPLETED", "projectId": f"project-{number}", "renderIds": []} | data
    return stringify({"event": "render.complete", "timestamp": "2025-01-15T10:30:00.000Z", "data": about}).encode()


def post(
    one: Running, body: bytes, signature: str | bytes | None = None, *, client: Any = None, in_chunks: bool = False
) -> int:
    headers = {SIGNATURE_HEADER: sign(body, SECRET) if signature is None else signature}
    content = (body[start : start + 4096] for start in range(0, len(body), 4096)) if in_chunks else body
    with nullcontext(client) if client is not None else httpx.Client(trust_env=False) as sender:
        status: int = sender.post(one.url, content=content, headers=headers).status_code
    return status


def test_of_500_forged_replayed_oversized_and_malformed_deliveries_none_is_accepted_and_every_good_one_is_kept(
    receiver: Running,
) -> None:
    """Mixed, from several connections at a time. A replay is answered 200, as the service's retry must be."""
    rng = random.Random(5)
    good = [delivery(number, note="é" * rng.randrange(50)) for number in range(120)]
    spaced = [json.dumps(json.loads(body), indent=rng.randrange(4)).encode() for body in good]
    other = [delivery(number) for number in range(1000, 1100)]
    huge = b'{"event": "render.complete", "data": {"x": "' + b"x" * 40_000 + b'"}}'

    sent: list[tuple[int, Any]] = []
    # Replayed, as it was and with spaces: the signature is of the same bytes still. Whichever comes first is kept.
    for number, body in enumerate(good):
        sent.append((200, lambda c, body=body: post(receiver, body, client=c)))
        sent.append((200, lambda c, body=body: post(receiver, body, client=c)))
        signature = sign(body, SECRET)
        sent.append((200, lambda c, b=spaced[number], s=signature: post(receiver, b, s, client=c)))
    forged = [
        lambda body: (body, sign(body, "another secret")),
        lambda body: (body, ""),
        lambda body: (body, "0" * 64),
        lambda body: (body, sign(body, SECRET)[:-1]),
        lambda body: (body, "sha256=" + sign(body, SECRET)),
        lambda body: (body.replace(b"project-", b"project_"), sign(body, SECRET)),
        lambda body: (body, sign(good[0], SECRET)),
        lambda body: (body, "٣" * 64),
    ]
    for number in range(160):
        body, signature = forged[number % len(forged)](other[number % len(other)])
        sent.append((401, lambda c, b=body, s=signature: post(receiver, b, s.encode(), client=c)))
    malformed = [b"", b"{", b"[]", b"null", b'"render.complete"', b'{"data": {}}', b'{"event": 7}', b'{"event": ""}',
                 b'{"event": "a b"}', b'{"event": "\\ud800"}', "é".encode("latin-1"), b"\xff" * 30,
                 '{"event": "render.complete"}'.encode("utf-16"), b"[" * 15_000]  # fmt: skip
    for body in [malformed[number % len(malformed)] for number in range(100)]:
        sent.append((400, lambda c, body=body: post(receiver, body, client=c)))
    for _ in range(30):
        sent.append((413, lambda c: post(receiver, huge, client=c)))
        sent.append((413, lambda c: post(receiver, huge, client=c, in_chunks=True)))
    rng.shuffle(sent)
    assert len(sent) - 120 >= 500

    def work(mine: list[tuple[int, Any]]) -> list[tuple[int, int]]:
        with httpx.Client(trust_env=False, timeout=20) as client:
            return [(expected, ask(client)) for expected, ask in mine]

    with ThreadPoolExecutor(6) as pool:
        answers = [pair for part in pool.map(work, [sent[start::6] for start in range(6)]) for pair in part]
    assert [pair for pair in answers if pair[0] != pair[1]] == []

    kept = receiver.kept()
    assert sorted(event.body.encode() for event in kept) == sorted(good)
    assert {event.digest for event in kept} == {hashlib.sha256(body).hexdigest() for body in good}
    numbers = [event.number for event in kept]
    assert numbers == sorted(set(numbers))
    assert {event.event for event in kept} == {"render.complete"}
    assert len(receiver.told) == len(sent), "one line for each"
    words = [told.verdict.words for told in receiver.told]
    assert words.count("kept") == 120
    assert words.count("known already") == 240


def request(body: bytes, *headers: str, line: str = f"POST {PATH} HTTP/1.1") -> bytes:
    lines = [line, "Host: here", f"{SIGNATURE_HEADER}: {sign(body, SECRET)}", *headers, "", ""]
    return "\r\n".join(lines).encode()


def test_an_oversized_body_is_refused_before_it_has_arrived(receiver: Running) -> None:
    answer = receiver.raw(request(b"", "Content-Length: 999999999"))
    assert answer.startswith(b"HTTP/1.1 413 ")
    chunk = b"1000\r\n" + b"x" * 4096 + b"\r\n"
    answer = receiver.raw(request(b"", "Transfer-Encoding: chunked"), chunk * 5)  # and no end
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert receiver.kept() == []


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: here\r\n\r\n", 404),
        (b"GET " + PATH.encode() + b" HTTP/1.1\r\nHost: here\r\n\r\n", 405),
        (request(b"{}", "Content-Length: 2", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n", 400),
        (request(b"{}", "Content-Length: 2", "Content-Length: 3") + b"{}", 400),
        (request(b"{}", "Content-Length: -2") + b"{}", 400),
        (request(b"{}", "Content-Length: 2", f"{SIGNATURE_HEADER}: {'0' * 64}") + b"{}", 401),
        (request(b"{}", "X: " + "x" * 100_000), 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ],
    ids=["path", "method", "both-lengths", "two-lengths", "negative", "two-signatures", "head", "tls"],
)
def test_what_is_no_delivery_is_refused(receiver: Running, sent: bytes, status: int) -> None:
    answer = receiver.raw(sent.replace(b"Host: here\r\n", b"Host: here\r\nConnection: close\r\n"))
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    assert receiver.kept() == []


def test_a_delivery_that_comes_in_pieces_and_in_chunks_is_kept(receiver: Running) -> None:
    body = delivery(1)
    chunked = b"".join(b"%x\r\n%c\r\n" % (1, one) for one in body) + b"0\r\n\r\n"
    head = request(body, "Transfer-Encoding: chunked", "Connection: close", "Expect: 100-continue")
    answer = receiver.raw(head[:40], head[40:], chunked[:77], chunked[77:], pause=0.02)
    assert answer.startswith(b"HTTP/1.1 100 ")
    assert b"HTTP/1.1 200 " in answer
    [event] = receiver.kept()
    assert event.body.encode() == body


def until_closed(connection: socket.socket) -> bytes:
    """What is answered until the other side closes; it must do so by itself."""
    connection.settimeout(10)
    answer = b""
    try:
        while piece := connection.recv(65536):
            answer += piece
    except ConnectionError:
        pass
    return answer


def test_where_all_places_are_taken_who_keeps_it_waiting_the_longest_gives_way() -> None:
    """They never finish their requests; a good delivery gets a place at once."""
    with running(MemoryState(service=SERVICE), seconds=60, connections=8, lingering=0.1) as one, ExitStack() as opened:
        slow = []
        for _ in range(20):
            slow.append(opened.enter_context(socket.create_connection(("127.0.0.1", one.port))))
            slow[-1].sendall(b"POST " + PATH.encode() + b" HTTP/1.1\r\n")
        assert [until_closed(connection) for connection in slow[:12]] == [b""] * 12
        assert [post(one, delivery(number)) for number in range(5)] == [200] * 5
        assert len(one.kept()) == 5


def test_who_is_too_slow_is_shown_out() -> None:
    with running(MemoryState(service=SERVICE), seconds=0.3, lingering=0.1) as one, ExitStack() as opened:
        idle, head, body = (opened.enter_context(socket.create_connection(("127.0.0.1", one.port))) for _ in range(3))
        head.sendall(b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost:")
        body.sendall(request(delivery(1), "Content-Length: 999") + b"{")
        assert until_closed(idle) == b""
        assert until_closed(head).startswith(b"HTTP/1.1 408 ")
        assert until_closed(body).startswith(b"HTTP/1.1 408 ")
        assert one.kept() == []


def test_a_connection_serves_many_deliveries(receiver: Running) -> None:
    first, second = delivery(1), delivery(2)
    piped = [request(body, f"Content-Length: {len(body)}", *more) + body
             for body, more in ((first, ()), (second, ("Connection: close",)))]  # fmt: skip
    answer = receiver.raw(b"".join(piped))
    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert [event.body.encode() for event in receiver.kept()] == [first, second]


def test_nothing_is_answered_200_that_is_not_durable() -> None:
    """Where the state cannot be written the service is to try again; what is wrong is for the log alone."""

    class Full(MemoryState):
        def put_event(self, event: Received) -> bool:
            raise StateError("the state /home/me/state.db cannot be written: the disk is full")

    with running(Full(service=SERVICE)) as one:
        body = delivery(1)
        answer = httpx.post(one.url, content=body, headers={SIGNATURE_HEADER: sign(body, SECRET)}, trust_env=False)
        assert answer.status_code == 503
        assert "/home/me" not in answer.text
        assert "the disk is full" in one.told[0].verdict.words


def test_a_secret_that_is_made_or_changed_while_it_listens_is_found() -> None:
    kept: list[str | None] = [None]
    now = [0.0]
    secret = Secret(lambda: kept[0], lambda: now[0])
    state = MemoryState(service=SERVICE)
    intake = Intake(secret, state.put_event, lambda: 0.0)
    body = delivery(1)
    assert intake.take(body, sign(body, "one")).status == 503
    kept[0] = "one"
    now[0] = 2
    assert intake.take(body, sign(body, "one")).status == 200
    kept[0] = "two"
    assert intake.take(body, sign(body, "two")).status == 401, "read again only after a while"
    now[0] = 4
    assert intake.take(body, sign(body, "two")).words == "known already"
    assert intake.take(body, sign(body, "one")).status == 401


def test_health_tells_that_it_lives_and_nothing_else(receiver: Running) -> None:
    answer = httpx.get(receiver.url.replace(PATH, "/healthz"), trust_env=False)
    assert answer.status_code == 200
    assert receiver.told == []


def test_what_is_forged_does_not_stand_in_the_way_of_what_is_good(
    receiver: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To refuse it a body is spelled anew, which takes a while; here as long as the good ones take to be answered."""
    assert post(receiver, delivery(0)) == 200
    answered = threading.Event()

    def slowly(body: bytes, signature: str, secret: str | bytes) -> bytes | None:
        if b"forged" in body:
            answered.wait(20)
        return signed_form(body, signature, secret)

    monkeypatch.setattr("glossi_sync.receiving.intake.signed_form", slowly)
    with ThreadPoolExecutor(4) as pool:
        forged = [pool.submit(post, receiver, delivery(1, by="forged"), "0" * 64) for _ in range(4)]
        assert [post(receiver, delivery(number)) for number in range(2, 6)] == [200] * 4
        assert not any(one.done() for one in forged)
        answered.set()
        assert [one.result() for one in forged] == [401] * 4
