"""A real HTTP server on loopback that answers, or fails to, exactly as a test says."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
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


@dataclass(frozen=True)
class Early:
    """Give the answer, or none, when so many bytes of the body have been read; then read on, or reset."""

    answer: Answer | None
    after: int = 0
    reset: bool = False


class DropBefore:
    """Close the connection without reading the request's body."""


class DropAfter:
    """Read the whole request, then close the connection without an answer."""


class Silence:
    """Read the whole request, then say nothing."""


Reply = Answer | Early | DropBefore | DropAfter | Silence
Script = Callable[[Received], Reply]
"""Told of a request when its head is there, without its body."""


@dataclass
class ScriptedServer:
    origin: str
    received: list[Received] = field(default_factory=list)
    conversations: set[asyncio.Task[None]] = field(default_factory=set)

    async def left_alone(self) -> None:
        """Wait until the clients have closed all their connections."""
        await asyncio.gather(*self.conversations)

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

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
            method, target, _ = first.split(" ")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            length = int(headers.get("content-length", "0"))
            reply = script(Received(method, target, headers, b"", whole=length == 0))
            body = b""
            if isinstance(reply, Early):
                body = await reader.readexactly(reply.after)
                if reply.answer is not None:
                    await say(reply.answer, writer)
                if reply.reset:
                    server.received.append(Received(method, target, headers, body, whole=False))
                    reset(writer)
                    return
            if not isinstance(reply, DropBefore):
                try:
                    body += await reader.readexactly(length - len(body))
                except asyncio.IncompleteReadError as broken:
                    body += broken.partial
            server.received.append(Received(method, target, headers, body, whole=len(body) == length))
            match reply:
                case Answer():
                    await say(reply, writer)
                    if reply.claims is not None:
                        return
                case Silence():
                    await asyncio.Event().wait()
                case _:
                    return

    async def say(answer: Answer, writer: asyncio.StreamWriter) -> None:
        given = {"content-length": str(len(answer.body) if answer.claims is None else answer.claims)}
        lines = [f"{name}: {value}" for name, value in {**given, **answer.headers}.items()]
        writer.write("\r\n".join([f"HTTP/1.1 {answer.status} Whatever", *lines, "", ""]).encode() + answer.body)
        await writer.drain()

    def reset(writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def serve() -> None:
            try:
                await converse(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        task = asyncio.ensure_future(serve())
        server.conversations.add(task)
        task.add_done_callback(server.conversations.discard)

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    server = ScriptedServer(f"http://127.0.0.1:{port}")
    try:
        yield server
    finally:
        listener.close()
        for task in list(server.conversations):
            task.cancel()
        await asyncio.gather(*server.conversations, return_exceptions=True)
