"""An asking: one thing to be asked of the service, what it is for, and how to build its request anew each time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import httpx

from glossi_sync.service.calls import Call
from glossi_sync.service.errors import ServiceError

E = TypeVar("E", bound=ServiceError)

Lane = Literal["calls", "transfers"]
"""Transfers have a governor of their own, so that a long one does not keep a status call waiting."""


@dataclass(frozen=True, slots=True)
class Asking:
    """One thing to ask.

    Attributes:
        call: the call that it is.
        doing: what it is for, for the error: ``starting 3 renders``.
        url: where it goes; a signed URL is as good as a password.
        build: makes the request, each time anew.
        keyed: whether the API key is on it.
        lane: whose governor lets it go.
        follows: redirect statuses that its consumer deals with; any other is refused.
    """

    call: Call
    doing: str
    url: str = field(repr=False)
    build: Callable[[], httpx.Request]
    keyed: bool = True
    lane: Lane = "calls"
    follows: tuple[int, ...] = ()

    def failed(self, kind: type[E], happened: str, **known: Any) -> E:
        """The error that says what became of it; ``known`` are further arguments of its class."""
        return kind(call=self.call.name, doing=self.doing, where=self.where, happened=happened, **known)

    @property
    def where(self) -> str:
        """Method and URL as they may be shown: without query, fragment and user."""
        scheme, separator, rest = self.url.partition("#")[0].partition("?")[0].partition("://")
        host, slash, path = rest.partition("/")
        return f"{self.call.method} {scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"
