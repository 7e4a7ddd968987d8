"""The webhook's endpoint, which nobody kills: it keeps every body that it was sent, and now and then refuses one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random


@dataclass
class Receiver:
    """``bodies`` were answered with 200, or would have been had the studio lived; with each one's signature."""

    rng: Random
    url: str = ""
    bodies: list[tuple[bytes, str]] = field(default_factory=list)
    refused: set[bytes] = field(default_factory=set)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {
                    name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])
                }
                body = await reader.readexactly(int(headers["content-length"]))
                await asyncio.sleep(self.rng.expovariate(1 / 0.003))
                if body not in self.refused and self.rng.random() < 0.01:
                    self.refused.add(body)
                    writer.write(b"HTTP/1.1 503 Not now\r\nContent-Length: 0\r\n\r\n")
                else:
                    self.bodies.append((body, headers["x-glossi-signature"]))
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the studio is no more, or has had enough
        finally:
            writer.close()


@asynccontextmanager
async def receiving(rng: Random) -> AsyncIterator[Receiver]:
    receiver = Receiver(rng)
    server = await asyncio.start_server(receiver.take, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    try:
        yield receiver
    finally:
        server.close()
