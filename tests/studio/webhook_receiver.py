"""A webhook's endpoint on this machine: it keeps what it was sent, and answers as a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from studio_client import Api, eventually, ok

from glossi_sync.service import wire

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def payload(self) -> Any:
        return json.loads(self.body)

    @property
    def signature(self) -> str:
        return self.headers[wire.SIGNATURE_HEADER]


@dataclass
class Receiver:
    """``answers`` are given one after the other, and the last one for good. An answer finds what it answers in the
    request's ``content``."""

    url: str
    answers: list[Answer]
    received: list[Received] = field(default_factory=list)
    underway: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def payloads(self, event: str | None = None) -> list[Any]:
        return [each.payload for each in self.received if event in (None, each.payload["event"])]

    def wait_for(self, count: int) -> list[Received]:
        eventually(lambda: len(self.received) >= count)
        return self.received

    def take(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", "0")))
        with self.lock:
            self.received.append(Received(request.path, dict(request.headers), body))
            self.underway += 1
            self.most_at_once = max(self.most_at_once, self.underway)
            request.content = body  # type: ignore[attr-defined]
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        try:
            answer(request)
        finally:
            with self.lock:
                self.underway -= 1


def status(number: int, *headers: tuple[str, str], content: bytes = b"") -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(number)
        for name, value in (*headers, ("Content-Length", str(len(content)))):
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(content)

    return answer


def after(event: threading.Event, answer: Answer) -> Answer:
    """That answer, once the event has come."""

    def wait(request: BaseHTTPRequestHandler) -> None:
        event.wait(60)
        answer(request)

    return wait


@contextmanager
def receiving(*answers: Answer, port: int = 0) -> Iterator[Receiver]:
    """A receiver that answers 200 unless told otherwise."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            try:
                receiver.take(self)
            except OSError:
                self.close_connection = True  # the other side has had enough

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}/hook", list(answers) or [status(200)])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def put_webhook(api: Api, url: str, *events: str, enabled: bool = True) -> str:
    """The webhook's secret. Without a word on events it is told all of them."""
    body = {"url": url, "events": list(events or wire.EVENTS), "enabled": enabled}
    secret: str = ok(api.http.put(api.url + "/webhooks", json=body))["secret"]
    return secret


def deliveries(api: Api, **query: Any) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = ok(api.get(wire.DELIVERIES_PATH, params=query))["deliveries"]
    return listed


def settled(api: Api) -> list[dict[str, Any]]:
    """The workspace's deliveries once none waits, newest first."""

    def look() -> list[dict[str, Any]] | None:
        found = deliveries(api)
        return found if found and all(each["status"] != "WAITING" for each in found) else None

    return eventually(look)
