"""A real HTTP server on loopback that answers, or fails to, exactly as a test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Received:
    """A request as it arrived, byte for byte; ``whole`` is False where its body broke off."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    whole: bool = True

    def json(self) -> object:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    claims: int | None = None
    """A Content-Length that is not the body's: the connection is closed after the body."""


def answer_json(value: object, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, json.dumps(value).encode(), {"content-type": "application/json", **named})


class DropBefore:
    """Close the connection without reading the request's body."""


class DropAfter:
    """Read the whole request, then close the connection without an answer."""


class Silence:
    """Read the whole request, then say nothing."""


Reply = Answer | DropBefore | DropAfter | Silence
Script = Callable[[Received], Reply]


@dataclass
class ScriptedServer:
    origin: str
    received: list[Received] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        return f"{self.origin}/api/v1"


def in_turn(*replies: Reply) -> Script:
    """One reply a request; the last one for all that follow."""
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[ScriptedServer]:
    """Serve on a free port until the block is left."""
    connections: set[asyncio.Task[None]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
            method, target, _ = first.split(" ")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            length = int(headers.get("content-length", "0"))
            early = Received(method, target, headers, b"", whole=length == 0)
            reply = script(early) if length > 1_000_000 else None
            if not isinstance(reply, DropBefore):
                try:
                    body, whole = await reader.readexactly(length), True
                except asyncio.IncompleteReadError as broken:
                    body, whole = broken.partial, False
                early = Received(method, target, headers, body, whole)
                if whole and reply is None:
                    reply = script(early)
            server.received.append(early)
            match reply:
                case Answer():
                    given = {"content-length": str(len(reply.body) if reply.claims is None else reply.claims)}
                    lines = [f"{name}: {value}" for name, value in {**given, **reply.headers}.items()]
                    start = f"HTTP/1.1 {reply.status} Whatever"
                    writer.write("\r\n".join([start, *lines, "", ""]).encode() + reply.body)
                    await writer.drain()
                    if reply.claims is not None:
                        return
                case Silence():
                    await asyncio.Event().wait()
                case _:
                    return

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def serve() -> None:
            try:
                await converse(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        task = asyncio.ensure_future(serve())
        connections.add(task)
        task.add_done_callback(connections.discard)

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    server = ScriptedServer(f"http://127.0.0.1:{port}")
    try:
        yield server
    finally:
        listener.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
