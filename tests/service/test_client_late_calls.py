"""A call that is sent late: whoever must know first is asked, before what must not be done twice is done."""

from __future__ import annotations

import httpx
import pytest
from virtual_time import run_in_virtual_time

from glossi_sync.service import Glossi, Patience

ENDPOINT = "https://api.glossi.app/api/v1"


class Taken(Exception):
    """Somebody else has taken over."""


class Origin:
    """Puts off the first so many requests by so many seconds, then answers."""

    def __init__(self, refusals: int, seconds: float) -> None:
        self.arrived: list[str] = []
        self._refusals = refusals
        self._seconds = seconds

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.arrived.append(request.url.path.removeprefix("/api/v1"))
        if len(self.arrived) <= self._refusals:
            return httpx.Response(429, headers={"retry-after": str(self._seconds)})
        if request.url.path.endswith("/retry"):
            return httpx.Response(200, json={"jobId": "j", "status": "QUEUED", "projectId": "p", "batchId": "b"})
        return httpx.Response(200, json={"templates": []})


def client(origin: Origin, asked: list[int], *, taken: bool) -> Glossi:
    async def assure() -> None:
        asked.append(len(origin.arrived))
        if taken:
            raise Taken

    transport = httpx.MockTransport(origin)
    return Glossi(ENDPOINT, "k", transport=transport, patience=Patience(total=3600), assure=assure)


def test_what_is_sent_at_once_asks_nobody() -> None:
    async def main() -> None:
        asked: list[int] = []
        async with client(Origin(0, 0), asked, taken=True) as glossi:
            await glossi.retry_render("j")
        assert asked == []

    run_in_virtual_time(main())


def test_what_is_sent_late_is_sent_where_nobody_has_taken_over() -> None:
    async def main() -> None:
        asked: list[int] = []
        origin = Origin(2, 30)
        async with client(origin, asked, taken=False) as glossi:
            await glossi.retry_render("j")
            assert glossi.calls["POST /renders/{id}/retry"] == 3
        assert asked == [1, 2]

    run_in_virtual_time(main())


def test_what_is_sent_late_is_not_sent_where_somebody_has_taken_over() -> None:
    async def main() -> None:
        asked: list[int] = []
        origin = Origin(1, 30)
        async with client(origin, asked, taken=True) as glossi:
            with pytest.raises(Taken):
                await glossi.retry_render("j")
            assert glossi.calls["POST /renders/{id}/retry"] == len(origin.arrived) == 1
            # Its place is free again, and reading harms nobody.
            await glossi.templates()
        assert asked == [1]

    run_in_virtual_time(main())
