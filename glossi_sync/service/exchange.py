"""One request and what came of it: paced, counted, observed, and its failure sorted.

Everything that leaves for the service or for a signed URL goes through here, so the rules that must hold for every
request are written once: what a builder made is sent as it is (no cookies, no headers of the client's own), no redirect
is followed, no log carries a signed URL's query, and no error has the request in its traceback.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final, TypeVar
from urllib.request import getproxies

import httpx

from glossi_sync.service.answers import Malformed
from glossi_sync.service.asking import Asking, Lane
from glossi_sync.service.connections import Connections
from glossi_sync.service.endpoint import origin_of
from glossi_sync.service.errors import Refused, ServiceError
from glossi_sync.service.pacing import Governor, HeldTooLong, Hold, Pace
from glossi_sync.service.retrying import Patience, ask_again
from glossi_sync.service.sorting import NEVER_LEFT, Sorter

T = TypeVar("T")
Observe = Callable[[str, int | None, float], None]
"""Told of each request that was sent: the call's name, the status (None without an answer), seconds."""

Assure = Callable[[], Awaitable[None]]
"""Awaited before a call that must not be made twice is sent late; it raises where it must not be sent any more."""

LATE: Final = 1.0
"""Seconds after which a call that was decided on is late: somebody else may have taken over what it belongs to."""

_QUERY: Final = re.compile(r"\?[^\s\"'<>]*")
_PROXIED: Final = frozenset({"http", "https", "all"})
_LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds without any progress: connecting, waiting for the answer's next bytes, getting rid of the request's."""

    connect: float = 10.0
    read: float = 60.0
    write: float = 120.0


@dataclass(slots=True)
class _Origin:
    """What is known of one origin: its governors, and whether it has ever answered."""

    lanes: dict[Lane, Governor]
    reached: bool = False


@dataclass(slots=True)
class _Outcome:
    """What is known of one request as it goes along."""

    status: int | None = None
    failure: ServiceError | None = None
    overloaded: bool = False
    sent: bool = True

    @property
    def in_good_order(self) -> bool:
        """Whether the origin answered as one does that could take more."""
        return self.failure is None or (isinstance(self.failure, Refused) and not self.overloaded)


class Exchange:
    """The shared HTTP client, and the origins it has dealt with.

    Attributes:
        calls: how many requests were sent, by the call's name.
    """

    def __init__(
        self,
        *,
        secret: str | None,
        transport: httpx.AsyncBaseTransport | None,
        direct: tuple[str, ...],
        patience: Patience,
        pace: Pace,
        transfers: Pace,
        timeouts: Timeouts,
        rng: Random,
        wall_clock: Callable[[], float],
        observe: Observe | None,
        assure: Assure | None,
    ) -> None:
        self.calls: Counter[str] = Counter()
        self._patience = patience
        self._rng = rng
        self._sorter = Sorter(secret, wall_clock)
        self._paces: dict[Lane, Pace] = {"calls": pace, "transfers": transfers}
        self._observe = observe
        self._assure = assure
        self._origins: dict[str, _Origin] = {}
        for name in ("httpx", "httpcore.http11"):
            logging.getLogger(name).addFilter(_without_queries)
        # Shorter than any server's own: a request that meets a connection being closed is in doubt.
        keepalive_expiry = 3.0
        if transport is None and not getproxies().keys() & _PROXIED:
            transport = Connections(keepalive_expiry=keepalive_expiry)
        self._http = httpx.AsyncClient(
            transport=transport,
            # A proxy of the environment is for the world outside, never for this machine.
            mounts=None if transport is not None else dict.fromkeys(f"all://{host}" for host in (*_LOOPBACK, *direct)),
            trust_env=transport is None,
            follow_redirects=False,
            timeout=httpx.Timeout(None, connect=timeouts.connect, read=timeouts.read, write=timeouts.write),
            limits=httpx.Limits(
                max_connections=None,
                max_keepalive_connections=pace.ceiling + transfers.ceiling,
                keepalive_expiry=keepalive_expiry,
            ),
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def ask(self, asking: Asking, read: Callable[[Any], T]) -> T:
        """Ask as often as is safe and worthwhile; ``read`` takes the decoded JSON of a good answer.

        Raises:
            ServiceError: sorted as its module says.
        """

        async def consume(response: httpx.Response) -> T:
            body = await response.aread()
            try:
                decoded = json.loads(body) if body else None
            except (ValueError, RecursionError):
                raise _Unreadable from None
            return read(decoded)

        return await self.persist(asking, consume)

    async def persist(self, asking: Asking, consume: Callable[[httpx.Response], Awaitable[T]]) -> T:
        """As ``ask``, with the response itself, its body not yet read."""
        decided = asyncio.get_running_loop().time()
        return await ask_again(
            lambda: self._once(asking, consume, decided),
            call=asking.call,
            patience=self._patience,
            reached=lambda: self._origin(asking.url).reached,
            rng=self._rng,
        )

    async def _once(self, asking: Asking, consume: Callable[[httpx.Response], Awaitable[T]], decided: float) -> T:
        """Send one request, when the origin's governor lets it go; it was ``decided`` on at that time of the loop."""
        origin = self._origin(asking.url)
        governor = origin.lanes[asking.lane]
        try:
            permit = await governor.enter(longest_hold=self._patience.total)
        except HeldTooLong as held:
            raise self._sorter.held(asking, held.seconds) from None

        loop = asyncio.get_running_loop()
        outcome = _Outcome()
        result: list[T] = []
        started = loop.time()
        try:
            once_only = asking.call.mutates and not asking.call.repeatable
            if self._assure is not None and once_only and started - decided > LATE:
                outcome.sent = False
                await self._assure()
                outcome.sent = True
            await self._send(asking, consume, outcome, result)
            if outcome.in_good_order:
                governor.grow()
            elif outcome.overloaded:
                governor.shrink(permit, outcome.failure.retry_after if outcome.failure else None)
        finally:
            origin.reached |= outcome.status is not None
            governor.leave()
            if outcome.sent:
                self.calls[asking.call.name] += 1
                if self._observe is not None:
                    self._observe(asking.call.name, outcome.status, loop.time() - started)
        # Raised out here, the error has no context: the request, and the key in its headers, are not in its traceback.
        if outcome.failure is not None:
            raise outcome.failure
        return result[0]

    async def _send(
        self,
        asking: Asking,
        consume: Callable[[httpx.Response], Awaitable[T]],
        outcome: _Outcome,
        result: list[T],
    ) -> None:
        """Fill in the outcome, and the result where there is one. Raises what ``consume`` raises of its own."""
        try:
            response = await self._http.send(asking.build(), stream=True, follow_redirects=False, auth=None)
            outcome.status = response.status_code
            try:
                if response.is_success or response.status_code in asking.follows:
                    result.append(await consume(response))
                else:
                    outcome.failure = await self._sorter.answered(asking, response)
                    outcome.overloaded = response.status_code in (429, 503)
            finally:
                await response.aclose()
        except ServiceError as sorted_already:
            outcome.failure = sorted_already
        except NEVER_LEFT as error:
            outcome.sent = False
            outcome.failure = self._sorter.not_sent(asking, error)
        except Malformed as malformed:
            happened = f"gave an answer that cannot be understood: {malformed}"
            outcome.failure = self._sorter.unsure(
                asking, happened, status=outcome.status, partial=malformed.partial, permanent=True
            )
        except _Unreadable:
            outcome.failure = self._sorter.unsure(asking, "gave an answer that is not JSON", status=outcome.status)
        except httpx.TimeoutException:
            outcome.overloaded = True
            outcome.failure = self._sorter.unsure(asking, "did not answer in time", status=outcome.status)
        except (httpx.HTTPError, ssl.SSLError, ConnectionError):
            happened = "broke off in the middle of its answer" if outcome.status else "broke off without an answer"
            outcome.failure = self._sorter.unsure(asking, happened, status=outcome.status)

    def _origin(self, url: str) -> _Origin:
        origin = origin_of(url)
        if origin not in self._origins:
            hold = Hold()
            self._origins[origin] = _Origin({lane: Governor(pace, hold) for lane, pace in self._paces.items()})
        return self._origins[origin]


class _Unreadable(Exception):
    """An answer's body is not JSON."""


def _without_queries(record: logging.LogRecord) -> bool:
    """httpx logs each request's whole URL, httpcore each answer's headers; a signed query is as good as a password."""
    record.msg = _QUERY.sub("", str(record.msg))
    if isinstance(record.args, tuple):
        record.args = tuple(_QUERY.sub("", str(arg)) if isinstance(arg, httpx.URL) else arg for arg in record.args)
    return True
