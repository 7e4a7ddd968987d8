"""The connections' promises, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from scripted_server import Answer, DropAfter, Early, Reply, ScriptedServer, Silence, in_turn, serving

from glossi_sync.service.connections import Connections


async def ask(client: httpx.AsyncClient, server: ScriptedServer) -> int:
    return (await client.get(f"{server.origin}/")).status_code


def with_connections(keepalive_expiry: float = 3.0) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=Connections(keepalive_expiry=keepalive_expiry), timeout=0.5)


def test_one_after_the_other_share_a_connection_and_many_at_once_have_their_own() -> None:
    async def main() -> None:
        async with serving(in_turn(Answer())) as server, with_connections() as client:
            for _ in range(5):
                assert await ask(client, server) == 200
            assert len(server.conversations) == 1
            await asyncio.gather(*(ask(client, server) for _ in range(7)))
            assert len(server.conversations) == 7
            await asyncio.gather(*(ask(client, server) for _ in range(7)))
            assert len(server.conversations) == 7

    asyncio.run(main())


def test_a_connection_that_the_server_closed_meanwhile_is_not_used_again() -> None:
    async def main() -> None:
        # Of claimed length, the answer ends its connection: as a server does that has been idle for long.
        async with serving(in_turn(Answer(claims=0), Answer())) as server, with_connections() as client:
            assert await ask(client, server) == 200
            await server.left_alone()
            assert await ask(client, server) == 200
            assert len(server.received) == 2

    asyncio.run(main())


def test_idle_connections_are_closed_when_their_time_is_over() -> None:
    async def main() -> None:
        async with serving(in_turn(Answer())) as server, with_connections(keepalive_expiry=0.05) as client:
            await asyncio.gather(*(ask(client, server) for _ in range(4)))
            await asyncio.sleep(0.1)
            await ask(client, server)
            await asyncio.sleep(0.05)
            assert len(server.conversations) == 1

    asyncio.run(main())


def test_an_answer_that_is_not_read_costs_its_connection_alone() -> None:
    async def main() -> None:
        async with serving(in_turn(Answer(body=b"x" * 10_000_000))) as server, with_connections() as client:
            async with client.stream("GET", f"{server.origin}/"):
                pass
            assert await ask(client, server) == 200
            assert len(server.received) == 2

    asyncio.run(main())


def test_closing_the_client_closes_every_connection() -> None:
    async def main() -> None:
        async with serving(in_turn(Answer())) as server:
            async with with_connections() as client:
                await asyncio.gather(*(ask(client, server) for _ in range(3)))
            await asyncio.wait_for(server.left_alone(), 2)

    asyncio.run(main())


def test_a_request_that_is_cancelled_leaves_no_connection_behind() -> None:
    async def main() -> None:
        async with serving(in_turn(Silence())) as server, with_connections() as client:
            asking = asyncio.ensure_future(ask(client, server))
            await asyncio.sleep(0.1)
            assert server.received
            asking.cancel()
            await asyncio.wait((asking,))
            assert client._transport._open == set()  # type: ignore[attr-defined]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (DropAfter(), httpx.RemoteProtocolError),
        (Early(None, reset=True), httpx.ReadError),
        (Silence(), httpx.ReadTimeout),
        (Answer(body=b"half", claims=10), httpx.RemoteProtocolError),
    ],
)
def test_failures_are_told_in_the_words_of_httpx(reply: Reply, error: type[Exception]) -> None:
    async def main() -> None:
        async with serving(in_turn(reply)) as server, with_connections() as client:
            with pytest.raises(error):
                await ask(client, server)

    asyncio.run(main())


def test_a_refused_connection_and_an_unknown_scheme_have_not_sent_anything() -> None:
    async def main() -> None:
        async with serving(in_turn(Answer())) as server:
            pass
        async with with_connections() as client:
            with pytest.raises(httpx.ConnectError):
                await ask(client, server)
            with pytest.raises(httpx.UnsupportedProtocol):
                await client.get("ftp://example.com/")

    asyncio.run(main())


def test_an_error_of_the_body_that_is_being_sent_comes_through_as_it_is() -> None:
    class OwnError(Exception):
        pass

    async def body() -> AsyncIterator[bytes]:
        yield b"some"
        raise OwnError

    async def main() -> None:
        async with serving(in_turn(Answer())) as server, with_connections() as client:
            with pytest.raises(OwnError):
                await client.put(f"{server.origin}/", content=body(), headers={"Content-Length": "10"})
            assert await ask(client, server) == 200

    asyncio.run(main())
