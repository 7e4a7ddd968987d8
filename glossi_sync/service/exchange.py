"""One request and what came of it: paced, counted, observed, and its failure sorted.

Everything that leaves for the service or for a signed URL goes through here, so the rules that must hold for every
request are written once: nothing is added to a request that its builder did not put there (no cookies, no default
headers, no redirect followed), and no error or log carries the API key or a signed URL's query.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from random import Random
from typing import Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

import httpx

from glossi_sync.service import wire
from glossi_sync.service.answers import Malformed
from glossi_sync.service.calls import Call
from glossi_sync.service.endpoint import origin_of
from glossi_sync.service.errors import (
    InDoubt,
    NotFound,
    NotSent,
    ReadFailed,
    Refused,
    ServiceError,
    Unauthorized,
    UploadExpired,
)
from glossi_sync.service.pacing import Governor, HeldTooLong, Hold, Pace
from glossi_sync.service.retrying import Patience, ask_again, seconds_of_retry_after

T = TypeVar("T")
Lane = Literal["calls", "transfers"]
Observe = Callable[[str, int | None, float], None]
"""Told of each request that was sent: the call's name, the status (None without an answer), seconds."""

_NEVER_LEFT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)
_LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
_LONGEST_ERROR_BODY: Final = 65_536
_LONGEST_MESSAGE: Final = 500
_REQUEST_ID_HEADERS: Final = ("x-request-id", "x-amz-request-id", "x-amzn-requestid", "x-correlation-id", "cf-ray")
_QUERY: Final = re.compile(r"(https?://[^\s?\"'<>]+)\?[^\s\"'<>]*")


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


@dataclass(frozen=True, slots=True)
class Asking:
    """One thing to ask: the call, what it is for (for the error), and how to build its request anew each time."""

    call: Call
    doing: str
    url: str
    build: Callable[[], httpx.Request]
    keyed: bool = True
    lane: Lane = "calls"
    follows: tuple[int, ...] = ()
    """Redirect statuses that ``consume`` deals with; any other is refused."""
    advice: dict[int, str] = field(default_factory=dict)
    """What to do about a status, where the call knows better than the error's class."""

    @property
    def where(self) -> str:
        """Method and URL, without query, user or fragment."""
        return f"{self.call.method} {shown(self.url)}"


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
    ) -> None:
        self.calls: Counter[str] = Counter()
        self._patience = patience
        self._rng = rng
        self._secret = secret
        self._paces: dict[Lane, Pace] = {"calls": pace, "transfers": transfers}
        self._wall_clock = wall_clock
        self._observe = observe
        self._origins: dict[str, _Origin] = {}
        logging.getLogger("httpx").addFilter(_without_query)
        self._http = httpx.AsyncClient(
            transport=transport,
            # A proxy of the environment is for the world outside, never for this machine.
            mounts=None if transport is not None else dict.fromkeys(f"all://{host}" for host in (*_LOOPBACK, *direct)),
            trust_env=transport is None,
            follow_redirects=False,
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            timeout=httpx.Timeout(None, connect=timeouts.connect, read=timeouts.read, write=timeouts.write),
            limits=httpx.Limits(
                max_connections=None,
                max_keepalive_connections=pace.ceiling + transfers.ceiling,
                # Shorter than any server's own: a request that meets a connection being closed is in doubt.
                keepalive_expiry=3.0,
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
            except ValueError:
                raise _Unreadable from None
            return read(decoded)

        return await self.persist(asking, consume)

    async def persist(self, asking: Asking, consume: Callable[[httpx.Response], Awaitable[T]]) -> T:
        """As ``ask``, with the response itself, its body not yet read."""
        return await ask_again(
            lambda: self.once(asking, consume),
            call=asking.call,
            patience=self._patience,
            reached=lambda: self._origin(asking.url).reached,
            rng=self._rng,
        )

    async def once(self, asking: Asking, consume: Callable[[httpx.Response], Awaitable[T]]) -> T:
        """Send one request, when the origin's governor lets it go; ``consume`` gets the response of a 2xx answer."""
        origin = self._origin(asking.url)
        governor = origin.lanes[asking.lane]
        try:
            permit = await governor.enter(longest_hold=self._patience.total)
        except HeldTooLong as held:
            seconds = held.seconds
        else:
            seconds = 0.0
        if seconds:
            raise self._held(asking, seconds)

        loop = asyncio.get_running_loop()
        outcome = _Outcome()
        result: list[T] = []
        started = loop.time()
        try:
            await self._send(asking, consume, outcome, result)
            origin.reached = origin.reached or outcome.status is not None
            if outcome.overloaded:
                governor.shrink(permit, outcome.failure.retry_after if outcome.failure else None)
            elif outcome.sent:
                governor.grow()
        finally:
            governor.leave()
            if outcome.sent:
                self.calls[asking.call.name] += 1
                if self._observe is not None:
                    self._observe(asking.call.name, outcome.status, loop.time() - started)
        # Raised out here, the error has no context: the request, and the key in its headers, are not in its traceback.
        if outcome.failure is not None:
            raise outcome.failure.with_traceback(None)
        return result[0]

    async def _send(
        self,
        asking: Asking,
        consume: Callable[[httpx.Response], Awaitable[T]],
        outcome: _Outcome,
        result: list[T],
    ) -> None:
        try:
            response = await self._http.send(asking.build(), stream=True, follow_redirects=False, auth=None)
            outcome.status = response.status_code
            try:
                if response.is_success or response.status_code in asking.follows:
                    result.append(await consume(response))
                else:
                    outcome.failure = await self._sorted_answer(asking, response)
                    outcome.overloaded = response.status_code in (429, 503)
            finally:
                await response.aclose()
        except ServiceError as sorted_already:
            outcome.failure = sorted_already
        except Malformed as malformed:
            outcome.failure = self._unsure(
                asking, f"gave an answer that cannot be understood: {malformed}", malformed.partial, outcome, True
            )
        except _Unreadable:
            outcome.failure = self._unsure(asking, "gave an answer that is not JSON", (), outcome)
        except _NEVER_LEFT as error:
            outcome.sent = False
            outcome.failure = self._not_sent(asking, error)
        except httpx.TimeoutException:
            outcome.overloaded = True
            outcome.failure = self._unsure(asking, "did not answer in time", (), outcome)
        except (httpx.HTTPError, ssl.SSLError, ConnectionError):
            happened = "broke off in the middle of its answer" if outcome.status else "broke off without an answer"
            outcome.failure = self._unsure(asking, happened, (), outcome)

    def _origin(self, url: str) -> _Origin:
        origin = origin_of(url)
        if origin not in self._origins:
            hold = Hold()
            self._origins[origin] = _Origin({lane: Governor(pace, hold) for lane, pace in self._paces.items()})
        return self._origins[origin]

    def _held(self, asking: Asking, seconds: float) -> NotSent:
        return NotSent(
            call=asking.call.name,
            doing=asking.doing,
            where=asking.where,
            happened=f"was not asked: the service wants to be left alone for another {seconds:.0f} s",
            advice="Nothing was sent; run the command again after that.",
            retry_after=seconds,
            permanent=True,
        )

    def _not_sent(self, asking: Asking, error: Exception) -> NotSent:
        causes = list(_causes(error))
        host, port = _address(asking.url)
        advice: str | None = None
        permanent = isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL)
        if isinstance(error, httpx.TimeoutException):
            happened = f"was not reached: {host} port {port} took too long to connect"
        elif certificate := next((e for e in causes if isinstance(e, ssl.SSLCertVerificationError)), None):
            happened = f"was not reached: the certificate of {host} cannot be trusted ({certificate.verify_message})"
            advice = (
                "Nothing was sent; if the address is right and its certificate is your own authority's, "
                "name that authority's file in SSL_CERT_FILE."
            )
            permanent = True
        elif any(isinstance(e, ssl.SSLError) and not isinstance(e, ssl.SSLWantReadError) for e in causes):
            happened = f"was not reached: {host} does not speak TLS there"
            advice = "Nothing was sent; check whether the endpoint should begin with http:// or have another port."
            permanent = True
        elif any(isinstance(e, socket.gaierror) for e in causes):
            happened = f"was not reached: the name {host} is not known"
            advice = "Nothing was sent; check the endpoint's spelling and this machine's network."
        elif any(isinstance(e, ConnectionRefusedError) for e in causes):
            happened = f"was not reached: nothing listens at {host} port {port}"
            advice = "Nothing was sent; check the endpoint, and that the service is running."
        elif isinstance(error, httpx.ProxyError):
            happened = "was not reached: the proxy of the environment would not connect"
            advice = "Nothing was sent; check HTTPS_PROXY, HTTP_PROXY and NO_PROXY."
        elif permanent:
            happened = "is no address that can be asked"
        else:
            happened = f"was not reached: {self._cleaned(str(error)) or 'the connection failed'}"
        return NotSent(
            call=asking.call.name,
            doing=asking.doing,
            where=asking.where,
            happened=happened,
            advice=advice,
            permanent=permanent,
        )

    def _unsure(
        self,
        asking: Asking,
        happened: str,
        partial: tuple[Any, ...],
        outcome: _Outcome,
        permanent: bool = False,
        **answered: Any,
    ) -> ServiceError:
        known: dict[str, Any] = {
            "call": asking.call.name,
            "doing": asking.doing,
            "where": asking.where,
            "happened": happened,
            "status": outcome.status,
            "permanent": permanent,
            **answered,
        }
        if not asking.call.mutates:
            return ReadFailed(**known)
        advice = "Asking again can do no harm: run the command again." if asking.call.repeatable else None
        return InDoubt(partial=partial, advice=advice, **known)

    async def _sorted_answer(self, asking: Asking, response: httpx.Response) -> ServiceError:
        status = response.status_code
        text = await _error_text(response)
        message = self._cleaned(_message(text)) if text else None
        retry_after = seconds_of_retry_after(response.headers.get("retry-after"), self._wall_clock())
        request_id = next((response.headers[name] for name in _REQUEST_ID_HEADERS if name in response.headers), None)
        happened = f"answered {status} {_phrase(status)}".rstrip() + (f": “{message}”" if message else "")
        answered: dict[str, Any] = {
            "happened": happened,
            "message": message,
            "request_id": self._cleaned(request_id) if request_id else None,
            "retry_after": retry_after,
        }
        if status >= 500 and not (status == 503 and retry_after is not None):
            return self._unsure(asking, partial=(), outcome=_Outcome(status=status), **answered)
        kind, advice = self._refusal(asking, response, text)
        return kind(
            call=asking.call.name,
            doing=asking.doing,
            where=asking.where,
            status=status,
            advice=asking.advice.get(status, advice),
            **answered,
        )

    def _refusal(self, asking: Asking, response: httpx.Response, text: str) -> tuple[type[Refused], str | None]:
        status = response.status_code
        if status in (429, 503):
            return Refused, "The service is busy and did nothing; run the command again later."
        if response.has_redirect_location:
            target = _QUERY.sub(r"\1", self._cleaned(response.headers["location"]))
            return Refused, f"The service did nothing; it points to {target}: is the endpoint right?"
        if not asking.keyed and status in (400, 401, 403) and _is_expiry(text):
            return UploadExpired, None
        if asking.keyed and status in (401, 403):
            missing = "No API key was sent: set GLOSSI_API_KEY, or service.apiKey in the spec."
            return Unauthorized, None if self._secret else missing
        return (NotFound, None) if status == 404 else (Refused, None)

    def _cleaned(self, text: str) -> str:
        """One line for a person: without the key, signed queries, control characters, and not too long."""
        if self._secret:
            text = text.replace(self._secret, "[the API key]")
        text = _QUERY.sub(r"\1", text)
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 1] + "…"


class _Unreadable(Exception):
    """An answer's body is not JSON."""


def _without_query(record: logging.LogRecord) -> bool:
    """httpx logs each request with its whole URL; a signed URL's query is as good as a password."""
    if isinstance(record.args, tuple):
        record.args = tuple(arg.copy_with(query=None) if isinstance(arg, httpx.URL) else arg for arg in record.args)
    return True


def shown(url: str) -> str:
    """A URL as it may be shown: without query, fragment and user, which may be as good as a password."""
    scheme, separator, rest = url.partition("#")[0].partition("?")[0].partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"


def _address(url: str) -> tuple[str, int | None]:
    try:
        parts = urlsplit(url)
        return parts.hostname or "it", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return "it", None


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _causes(error: BaseException | None) -> Any:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                yield from _causes(inner)
        error = error.__cause__ or error.__context__


async def _error_text(response: httpx.Response) -> str:
    """The beginning of an error's body; what cannot be read of it is not missed."""
    body = b""
    try:
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > _LONGEST_ERROR_BODY:
                break
    except httpx.HTTPError:
        pass
    return body[:_LONGEST_ERROR_BODY].decode(errors="replace")


def _message(text: str) -> str:
    """The service's own words in an error's body: JSON as it is usually spelled, S3's XML, or a short plain text."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        found = re.search(r"<Message>(.*?)</Message>", text, re.DOTALL)
        if found:
            return found[1]
        return "" if text.lstrip().startswith("<") else text
    for _ in range(3):
        if isinstance(said, dict):
            said = next(
                (said[name] for name in ("message", "error", "detail", "errors", "title") if said.get(name)), ""
            )
        elif isinstance(said, list):
            said = said[0] if said else ""
    return said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)


def _is_expiry(text: str) -> bool:
    return wire.UPLOAD_EXPIRED in text or re.search(r"\bexpired|specified time frame", text, re.IGNORECASE) is not None
