"""Sorting: from what became of a request to the error that says whether the call was done (see ``errors``).

Everything that an error tells passes through here, so the rule that no error shows the API key or a signed URL's query
is kept in one place.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from glossi_sync.service import wire
from glossi_sync.service.asking import Asking
from glossi_sync.service.errors import (
    SAFE_TO_REPEAT,
    InDoubt,
    NotFound,
    NotSent,
    ReadFailed,
    Refused,
    ServiceError,
    Unauthorized,
    UploadExpired,
)
from glossi_sync.service.retrying import seconds_of_retry_after

NEVER_LEFT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)
"""What httpx raises where no byte of the request has been sent."""

_LONGEST_ERROR_BODY: Final = 65_536
_LONGEST_MESSAGE: Final = 500
_REQUEST_ID_HEADERS: Final = ("x-request-id", "x-amz-request-id", "x-amzn-requestid", "x-correlation-id", "cf-ray")
_QUERY: Final = re.compile(r"(https?://[^\s?\"'<>]+)\?[^\s\"'<>]*")


@dataclass(frozen=True, slots=True)
class Sorter:
    """Sorts failures. ``secret`` is what no error may show; ``wall_clock`` is for a Retry-After that is a date."""

    secret: str | None = field(repr=False)
    wall_clock: Callable[[], float]

    def held(self, asking: Asking, seconds: float) -> NotSent:
        """The origin wants to be left alone for longer than anybody would wait."""
        return asking.failed(
            NotSent,
            f"was not asked: the service wants to be left alone for another {seconds:.0f} s",
            advice="Nothing was sent; run the command again after that.",
            retry_after=seconds,
            permanent=True,
        )

    def not_sent(self, asking: Asking, error: Exception) -> NotSent:
        """One of NEVER_LEFT, in words."""
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
        return asking.failed(NotSent, happened, advice=advice, permanent=permanent)

    def unsure(
        self, asking: Asking, happened: str, *, status: int | None, partial: tuple[Any, ...] = (), **known: Any
    ) -> InDoubt | ReadFailed:
        """The request left, and no usable answer came."""
        if not asking.call.mutates:
            return asking.failed(ReadFailed, happened, status=status, **known)
        advice = SAFE_TO_REPEAT if asking.call.repeatable else None
        return asking.failed(InDoubt, happened, status=status, partial=partial, advice=advice, **known)

    async def answered(self, asking: Asking, response: httpx.Response) -> ServiceError:
        """An answer with a status that is no success; its body is read here, as far as it is of use."""
        status = response.status_code
        text = await _error_text(response)
        message = self._cleaned(_message(text)) if text else None
        request_id = next((response.headers[name] for name in _REQUEST_ID_HEADERS if name in response.headers), None)
        happened = f"answered {status} {_phrase(status)}".rstrip() + (f": “{message}”" if message else "")
        known: dict[str, Any] = {
            "status": status,
            "message": message,
            "request_id": self._cleaned(request_id) if request_id else None,
            "retry_after": seconds_of_retry_after(response.headers.get("retry-after"), self.wall_clock()),
        }
        if status >= 500 and not (status == 503 and known["retry_after"] is not None):
            return self.unsure(asking, happened, **known)
        kind, advice = self._refusal(asking, response, text)
        return asking.failed(kind, happened, advice=advice, **known)

    def _refusal(self, asking: Asking, response: httpx.Response, text: str) -> tuple[type[Refused], str | None]:
        status = response.status_code
        if status in (429, 503):
            return Refused, "The service is busy and did nothing; run the command again later."
        if response.has_redirect_location:
            target = self._cleaned(response.headers["location"])
            return Refused, f"The service did nothing; it points to {target}: is the endpoint right?"
        if not asking.keyed and status in (400, 401, 403) and _is_expiry(text):
            return UploadExpired, None
        if asking.keyed and status in (401, 403):
            missing = "No API key was sent: set GLOSSI_API_KEY, or service.apiKey in the spec."
            return Unauthorized, None if self.secret else missing
        return (NotFound, None) if status == 404 else (Refused, None)

    def _cleaned(self, text: str) -> str:
        """One line for a person: without the key, signed queries, control characters, and not too long."""
        if self.secret:
            text = text.replace(self.secret, "[the API key]")
        text = _QUERY.sub(r"\1", text)
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 1] + "…"


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


def _causes(error: BaseException | None) -> Iterator[BaseException]:
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
