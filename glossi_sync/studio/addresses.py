"""Addresses: where webhooks may lead to, and a transport that leads nowhere else.

Whoever holds a workspace's key chooses the webhook's URL, and the studio then sends requests from where it stands: into
the operator's network, which may trust it. So only the addresses that the operator allows are connected to, and this
machine's own (loopback). What counts is the address that the connection goes to: a name is resolved once, what it
resolves to is checked, and the connection is made to exactly that. A name that resolves differently at the next
question (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from socket import SOCK_STREAM, gaierror, getaddrinfo
from typing import Self, cast

import anyio
import anyio.to_thread
import httpcore
import httpx

EVERYWHERE = "*"

_LOOPBACK: tuple[IPv4Network | IPv6Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
_KEPT_OPEN_SECONDS = 5.0


class AddressRefused(Exception):
    """A webhook leads to where the operator allows none; the message names the address and the option."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the operator allows beside loopback.

    Attributes:
        everywhere: every address.
        hosts: names, in small letters, that may lead wherever they lead.
        networks: addresses.
    """

    everywhere: bool = False
    hosts: frozenset[str] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = _LOOPBACK

    @classmethod
    def of(cls, entries: Iterable[str]) -> Self:
        """From ``HOST``, ``ADDRESS``, ``ADDRESS/BITS`` or ``*``, each.

        Raises:
            ValueError: an entry is none of these; the message says which.
        """
        everywhere = False
        hosts: set[str] = set()
        networks: list[IPv4Network | IPv6Network] = []
        for entry in entries:
            if entry == EVERYWHERE:
                everywhere = True
                continue
            try:
                networks.append(ip_network(entry.removeprefix("[").removesuffix("]"), strict=False))
            except ValueError:
                name = _plain(entry)
                if not name or set(name) & set("/:*@?# "):
                    raise ValueError(
                        f"{entry!r} is neither a host's name, nor an address, nor a network as 10.0.0.0/8, nor *"
                    ) from None
                hosts.add(name)
        return cls(everywhere, frozenset(hosts), (*_LOOPBACK, *networks))

    def permits(self, host: str, address: str) -> bool:
        """Whether a connection to that address, which ``host`` resolved to, may be made."""
        if self.everywhere or _plain(host) in self.hosts:
            return True
        given = ip_address(address)
        if isinstance(given, IPv6Address) and given.ipv4_mapped is not None:
            given = given.ipv4_mapped
        return any(_within(given, network) for network in self.networks)


def _plain(host: str) -> str:
    return host.lower().removesuffix(".")


def _within(address: IPv4Address | IPv6Address, network: IPv4Network | IPv6Network) -> bool:
    return address.version == network.version and address in network


class AllowedTransport(httpx.AsyncBaseTransport):
    """Requests to allowed addresses. Proxies are not known here, and no redirect is followed.

    Raises:
        AddressRefused: nothing was sent.
        httpx.HTTPError: as httpx's own transport raises them.
    """

    def __init__(self, allowed: Allowed) -> None:
        self._allowed = allowed

    @cached_property
    def _pool(self) -> httpcore.AsyncConnectionPool:
        # Made at the first request: many a studio never sends one, and certificates take a while to read.
        return httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=None,
            keepalive_expiry=_KEPT_OPEN_SECONDS,
            network_backend=_AllowedBackend(self._allowed),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        with _in_httpx_words():
            answer = await self._pool.handle_async_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                    headers=request.headers.raw,
                    content=cast(AsyncIterable[bytes], request.stream),
                    extensions=request.extensions,
                )
            )
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer), extensions=answer.extensions)

    async def aclose(self) -> None:
        if "_pool" in self.__dict__:
            await self._pool.aclose()


class _AllowedBackend(httpcore.AsyncNetworkBackend):
    """Makes connections to allowed addresses alone. A certificate is still checked against the name."""

    def __init__(self, allowed: Allowed) -> None:
        self._allowed = allowed
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await _resolved(host, port)
        allowed = [address for address in addresses if self._allowed.permits(host, address)]
        if not allowed:
            leads = host if addresses == [host] else f"{host} ({', '.join(addresses)})"
            raise AddressRefused(
                f"this studio delivers to no such address: {leads}; its operator can allow it:"
                f" studio serve --webhook-allow {host}"
            )
        failure: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in allowed:
            try:
                return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        assert failure is not None
        raise failure

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def _resolved(host: str, port: int) -> list[str]:
    try:
        return [str(ip_address(host))]
    except ValueError:
        pass
    ask = partial(getaddrinfo, host, port, type=SOCK_STREAM)
    try:
        # As many threads as it takes: a name server that does not answer must not hold up the others' names.
        found = await anyio.to_thread.run_sync(ask, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1))
    except (gaierror, UnicodeError) as error:
        reason = error.strerror if isinstance(error, gaierror) else error
        raise httpcore.ConnectError(f"the name {host} cannot be resolved: {reason}") from error
    return list(dict.fromkeys(str(socket_address[0]) for *_, socket_address in found))


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _in_httpx_words():
            async for part in cast(AsyncIterable[bytes], self._answer.stream):
                yield part

    async def aclose(self) -> None:
        await self._answer.aclose()


@contextmanager
def _in_httpx_words() -> Iterator[None]:
    """httpx spells httpcore's errors by the same names."""
    try:
        yield
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise getattr(httpx, type(error).__name__)(str(error)) from error
