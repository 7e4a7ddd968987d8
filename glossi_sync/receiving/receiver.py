"""The receiver: an HTTP/1.1 server for one address, on asyncio and h11.

It faces strangers, so every resource is bounded: a request's head and body in bytes (an oversized body is answered 413
before it has arrived), the time in which a request must have arrived whole, and the connections. Where all places are
taken, the connection that has kept us waiting the longest gives way to the newcomer.

    waiting for a request ──head──> reading its body ──end──> taken in (a thread) ──> answered ──> waiting again
         │ too slow                    │ too slow, too large                             │
         └──> closed                   └──> 408, 413, closed                             └──> closed where asked to
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

import h11

from glossi_sync.receiving.intake import Intake, Verdict
from glossi_sync.service.wire import SIGNATURE_HEADER

HEALTH_PATH = "/healthz"

_READ = 16 * 1024
_WELL = Verdict(200, "well")
_SIGNATURE = SIGNATURE_HEADER.lower().encode()


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the receiver bears. Sizes in bytes; ``seconds`` are for a request to arrive, and for the next one to begin.

    ``lingering`` seconds are for the rest of a refused body, so that its sender lives to read the answer.
    """

    body: int = 1024 * 1024
    head: int = 16 * 1024
    seconds: float = 10.0
    lingering: float = 1.0
    connections: int = 256


@dataclass(frozen=True, slots=True)
class Told:
    """One answer, for the log: to whom, what was asked, and the verdict."""

    peer: str
    method: str
    path: str
    verdict: Verdict


@dataclass(slots=True, eq=False)
class _Peer:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    http: h11.Connection

    @property
    def name(self) -> str:
        address = self.writer.get_extra_info("peername")
        return str(address[0]) if address else "?"


class Receiver:
    """Serves ``path``, and GET /healthz, until it is closed. ``tell`` hears of every answer but those about health.

    ``path`` may be set to another one while it serves.
    """

    def __init__(self, intake: Intake, path: str, tell: Callable[[Told], None], bounds: Bounds | None = None) -> None:
        self.path = path
        self._intake = intake
        self._tell = tell
        self._bounds = bounds or Bounds()
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], _Peer] = {}
        # In the order in which they began to keep us waiting.
        self._waiting: dict[_Peer, None] = {}
        # One thread each: deliveries are committed one after the other anyway. What a forger sends costs more to refuse
        # than a good delivery to keep, and must not stand in its way.
        self._thread = ThreadPoolExecutor(1, "receiver")
        self._doubtful = ThreadPoolExecutor(1, "receiver-doubtful")
        self._closing = False

    async def open(self, host: str, port: int) -> int:
        """Begin to listen; answers the port (another one than was asked for where that was 0).

        Raises:
            OSError: the address cannot be listened on.
        """
        self._server = await asyncio.start_server(self._accept, host, port, limit=_READ, backlog=512)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Take no more connections, answer what is under way, and end."""
        self._closing = True
        if self._server is not None:
            self._server.close()
        for peer in list(self._waiting):
            if peer.http.our_state is h11.IDLE and peer.http.their_state is h11.IDLE:
                peer.writer.transport.abort()
        if self._open:
            _, late = await asyncio.wait(self._open, timeout=self._bounds.seconds)
            for task in late:
                task.cancel()
        self._thread.shutdown(wait=True)
        self._doubtful.shutdown(wait=True, cancel_futures=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = _Peer(reader, writer, h11.Connection(h11.SERVER, max_incomplete_event_size=self._bounds.head))
        task = asyncio.current_task()
        assert task is not None
        if len(self._open) >= self._bounds.connections:
            if not self._waiting:
                writer.transport.abort()
                return
            longest = next(iter(self._waiting))
            del self._waiting[longest]
            longest.writer.transport.abort()
        self._open[task] = peer
        try:
            await self._serve(peer)
        except (OSError, h11.LocalProtocolError):
            pass  # the peer has gone
        finally:
            del self._open[task]
            self._waiting.pop(peer, None)
            writer.close()

    async def _serve(self, peer: _Peer) -> None:
        """Answer one request after the other, for as long as the peer keeps the connection."""
        while True:
            request: h11.Request | None = None
            try:
                async with asyncio.timeout(self._bounds.seconds):
                    request = await self._head(peer)
                    if request is None:
                        return
                    verdict = self._refusal(request)
                    body = b"" if verdict is not None else await self._body(peer, request)
            except TimeoutError:
                if peer.http.their_state is h11.IDLE and not peer.http.trailing_data[0]:
                    return
                await self._answer(peer, request, Verdict(408, "too slow"), close=True)
                return
            except _TooLarge:
                verdict, body = Verdict(413, f"larger than {self._bounds.body} bytes"), b""
            except h11.RemoteProtocolError as error:
                await self._answer(peer, request, Verdict(error.error_status_hint, f"not HTTP: {error}"), close=True)
                return
            if verdict is None:
                assert request is not None
                signatures = [value for name, value in request.headers if name == _SIGNATURE]
                signature = signatures[0].decode("latin-1") if len(signatures) == 1 else None
                thread = self._thread if self._intake.is_quick(body, signature) else self._doubtful
                loop = asyncio.get_running_loop()
                verdict = await loop.run_in_executor(thread, self._intake.take, body, signature)
            unread = peer.http.their_state is not h11.DONE
            await self._answer(peer, request, verdict, close=unread or self._closing)
            if peer.http.our_state is not h11.DONE or peer.http.their_state is not h11.DONE:
                return
            peer.http.start_next_cycle()

    async def _head(self, peer: _Peer) -> h11.Request | None:
        event = await self._next(peer)
        return event if isinstance(event, h11.Request) else None

    def _refusal(self, request: h11.Request) -> Verdict | None:
        """What can be answered without the body; None where it is a delivery."""
        path = request.target.partition(b"?")[0].decode("ascii")
        if path == HEALTH_PATH and request.method in (b"GET", b"HEAD"):
            return _WELL
        if path != self.path:
            return Verdict(404, "nothing is there")
        if request.method != b"POST":
            return Verdict(405, "deliveries are POSTed")
        lengths = [value for name, value in request.headers if name == b"content-length"]
        if lengths and int(lengths[0]) > self._bounds.body:
            return Verdict(413, f"larger than {self._bounds.body} bytes")
        return None

    async def _body(self, peer: _Peer, request: h11.Request) -> bytes:
        if peer.http.they_are_waiting_for_100_continue:
            peer.writer.write(peer.http.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
        body = bytearray()
        while isinstance(event := await self._next(peer), h11.Data):
            body += event.data
            if len(body) > self._bounds.body:
                raise _TooLarge
        return bytes(body)

    async def _next(self, peer: _Peer) -> object:
        """The next part of a request; None where the peer has gone."""
        while (event := peer.http.next_event()) is h11.NEED_DATA:
            self._waiting[peer] = None
            try:
                peer.http.receive_data(await peer.reader.read(_READ))
            finally:
                self._waiting.pop(peer, None)
        return None if isinstance(event, h11.ConnectionClosed) else event

    async def _answer(self, peer: _Peer, request: h11.Request | None, verdict: Verdict, *, close: bool) -> None:
        method, path = ("?", "?") if request is None else (request.method.decode(), request.target.decode("ascii"))
        if verdict is not _WELL:
            self._tell(Told(peer.name, method, path, verdict))
        content = json.dumps({"status": verdict.status, "message": _public(verdict)}).encode() + b"\n"
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(content)))]
        if verdict.status == 405:
            headers.append(("Allow", "POST"))
        if close:
            headers.append(("Connection", "close"))
        if peer.http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            head = (
                peer.http.send(
                    h11.Response(status_code=verdict.status, headers=headers, reason=_reason(verdict.status))
                )
                or b""
            )
            asks_for_head = request is not None and request.method == b"HEAD"
            data = b"" if asks_for_head else peer.http.send(h11.Data(data=content)) or b""
            peer.writer.write(head + data + (peer.http.send(h11.EndOfMessage()) or b""))
            async with asyncio.timeout(self._bounds.seconds):
                await peer.writer.drain()
        if close:
            await self._linger(peer)

    async def _linger(self, peer: _Peer) -> None:
        """Read on for a moment: a connection that is closed with unread bytes takes its answer back."""
        with suppress(TimeoutError, OSError):
            if peer.writer.can_write_eof():
                peer.writer.write_eof()
            async with asyncio.timeout(self._bounds.lingering):
                while await peer.reader.read(_READ):
                    pass


class _TooLarge(Exception):
    pass


def delivery_path(url: str | None) -> str:
    """Where the deliveries to a webhook's URL come to on its server; / where there is no URL."""
    return (urlsplit(url).path if url else "") or "/"


def _reason(status: int) -> bytes:
    return HTTPStatus(status).phrase.encode()


def _public(verdict: Verdict) -> str:
    """What a stranger is told: nothing of the state, whose errors name paths."""
    return "not kept" if verdict.status == 503 else verdict.words
