"""The connections to the service: each carries one request at a time, and the idle ones lie on a stack.

httpcore's own pool looks through all of its connections before and after each request, and asks the system about each:
with a hundred of them that took most of an apply's processor time. Here it is the connection on top that is looked at.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import httpcore
import httpx


class Connections(httpx.AsyncBaseTransport):
    """A transport of HTTP/1.1 connections, kept for ``keepalive_expiry`` seconds after their last answer.

    How many are open is for the callers to say: whoever asks gets one. Proxies are not known here.

    Raises:
        httpx.HTTPError: as httpx's own transport raises them.
    """

    def __init__(self, *, keepalive_expiry: float) -> None:
        self._keepalive_expiry = keepalive_expiry
        self._ssl_context = httpx.create_ssl_context()
        self._backend = httpcore.AnyIOBackend()
        self._idle: dict[tuple[bytes, bytes, int], deque[_Idle]] = defaultdict(deque)
        self._open: set[httpcore.AsyncHTTPConnection] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        if url.scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol(f"nothing can be asked of an address with '{url.scheme}://'")
        asked = httpcore.Request(
            method=request.method,
            url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=cast(AsyncIterable[bytes], request.stream),
            extensions=request.extensions,
        )
        origin = asked.url.origin
        with _in_httpx_words():
            while True:
                connection = await self._take(origin)
                try:
                    answer = await connection.handle_async_request(asked)
                except httpcore.ConnectionNotAvailable:  # closed by the other side since it was looked at
                    await self._drop(connection)
                except BaseException:
                    await self._drop(connection)
                    raise
                else:
                    break
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(self, origin, connection, answer),
            extensions=answer.extensions,
        )

    async def aclose(self) -> None:
        """Close all connections, those with a request under way as well."""
        self._idle.clear()
        while self._open:
            await self._open.pop().aclose()

    async def give_back(self, origin: httpcore.Origin, connection: httpcore.AsyncHTTPConnection) -> None:
        """An answer's body has been read or given up: keep its connection if it can carry another request."""
        if connection.is_idle():
            self._idle[_key(origin)].append(_Idle(connection, asyncio.get_running_loop().time()))
        else:
            await self._drop(connection)

    async def _take(self, origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection:
        idle = self._idle[_key(origin)]
        expired = asyncio.get_running_loop().time() - self._keepalive_expiry
        while idle and idle[0].since < expired:
            await self._drop(idle.popleft().connection)
        while idle:
            connection = idle.pop().connection
            if connection.is_available() and not connection.has_expired():  # the other side has not closed it
                return connection
            await self._drop(connection)
        connection = httpcore.AsyncHTTPConnection(origin, ssl_context=self._ssl_context, network_backend=self._backend)
        self._open.add(connection)
        return connection

    async def _drop(self, connection: httpcore.AsyncHTTPConnection) -> None:
        self._open.discard(connection)
        await connection.aclose()


@dataclass(frozen=True, slots=True)
class _Idle:
    """A connection without a request, since that time of the event loop."""

    connection: httpcore.AsyncHTTPConnection
    since: float


def _key(origin: httpcore.Origin) -> tuple[bytes, bytes, int]:
    return origin.scheme, origin.host, origin.port


class _Body(httpx.AsyncByteStream):
    """An answer's body; its connection goes back when it is closed."""

    def __init__(
        self,
        connections: Connections,
        origin: httpcore.Origin,
        connection: httpcore.AsyncHTTPConnection,
        answer: httpcore.Response,
    ) -> None:
        self._connections = connections
        self._origin = origin
        self._connection = connection
        self._answer = answer
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _in_httpx_words():
            async for part in cast(AsyncIterable[bytes], self._answer.stream):
                yield part

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            await self._answer.aclose()
            await self._connections.give_back(self._origin, self._connection)


@contextmanager
def _in_httpx_words() -> Iterator[None]:
    """httpx spells httpcore's errors by the same names."""
    try:
        yield
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise getattr(httpx, type(error).__name__)(str(error)) from error
