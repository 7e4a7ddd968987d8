"""The errors of a call, sorted by what they say about it, not by status code alone (architecture, "Errors are sorted").

::

    ServiceError
    ├── NotSent        refused connection, DNS, TLS, a held queue: certainly not done
    ├── Refused        4xx, 429, 503 with Retry-After, a redirect: certainly not done
    │   ├── Unauthorized    401/403 for the API key
    │   ├── NotFound        404
    │   └── UploadExpired   the signed URL's time is over: a new record is needed
    ├── InDoubt        a mutating call whose outcome is unknown: timeout or reset after sending, another 5xx,
    │                  an answer that cannot be read
    ├── ReadFailed     the same trouble on a call that changes nothing
    └── FileChanged    the file on disk is not the one that was planned: not uploaded

``str(error)`` is a sentence for a person: what was being done, at which address, what came back, what to do next.
No error ever holds the API key or the query of a signed URL.
"""

from __future__ import annotations

from typing import Any

from glossi_sync.errors import UserError


class ServiceError(UserError):
    """A call that did not succeed.

    Attributes:
        call: the call as plans count it, for example ``POST /renders``.
        doing: what was being done, for example ``starting 3 renders``.
        where: method and URL, without query.
        happened: what came back, for example ``answered 409 Conflict: “no such model”``.
        advice: what to do next.
        status: the HTTP status, where there was an answer.
        message: the service's own message, where it gave one.
        request_id: the service's id of the request, where it gave one.
        retry_after: seconds that the service asked to be left alone, where it did.
        permanent: asking again would meet the same (a certificate, an answer of the wrong form).
    """

    default_advice = "Run the command again."

    def __init__(
        self,
        *,
        call: str,
        doing: str,
        where: str,
        happened: str,
        advice: str | None = None,
        status: int | None = None,
        message: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        permanent: bool = False,
    ) -> None:
        self.call = call
        self.doing = doing
        self.where = where
        self.happened = happened
        self.advice = self.default_advice if advice is None else advice
        self.status = status
        self.message = message
        self.request_id = request_id
        self.retry_after = retry_after
        self.permanent = permanent
        request = f" (request id {request_id})" if request_id else ""
        super().__init__(f"{doing[:1].upper()}{doing[1:]} failed: {where} {happened}{request}. {self.advice}")


class NotSent(ServiceError):
    """The request never left: certainly not done."""

    default_advice = "Nothing was sent; check the address and that this machine can reach it."


class Refused(ServiceError):
    """The service said no: certainly not done."""

    default_advice = "The service did nothing; mend what it names and run the command again."


class Unauthorized(Refused):
    """The API key is missing, unknown, or not allowed to do this."""

    default_advice = (
        "Check GLOSSI_API_KEY (or service.apiKey in the spec): the key must be valid, and belong to this endpoint."
    )


class NotFound(Refused):
    """The service does not know what the address names."""

    default_advice = "The service no longer knows it, or the endpoint is wrong (it usually ends in /api/v1)."


class UploadExpired(Refused):
    """The signed upload URL is too old (guide, Step 2.1: one hour)."""

    default_advice = "The model needs a new record and a new upload URL; running the command again makes them."


class InDoubt(ServiceError):
    """A mutating call whose outcome is not known.

    ``partial`` holds those answers of a batch that could be read: what they name is certainly done.
    """

    default_advice = "Whether the service did it is not known; it was not asked a second time."

    def __init__(self, *, partial: tuple[Any, ...] = (), **known: Any) -> None:
        super().__init__(**known)
        self.partial = partial


SAFE_TO_REPEAT = "Asking again can do no harm: run the command again."
"""The advice on a call in doubt that is repeatable."""


class ReadFailed(ServiceError):
    """A call that changes nothing got no usable answer."""

    default_advice = "Nothing was changed; run the command again."


class FileChanged(ServiceError):
    """The file is not the one that was hashed: the upload was broken off before its last byte, nothing is stored."""

    default_advice = "Nothing was uploaded; leave the file alone for the length of a run, and run the command again."


class InvalidEndpoint(UserError, ValueError):
    """An endpoint that is no usable URL."""


class InvalidKey(UserError, ValueError):
    """An API key that cannot stand in a header. The message never shows it."""
