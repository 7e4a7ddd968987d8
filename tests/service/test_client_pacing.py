"""Pacing as an origin feels it: how many requests come at once, on a virtual clock."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

import httpx
import pytest
from virtual_time import run_in_virtual_time

from glossi_sync.service import Glossi, NotSent, Pace, Patience, ReadFailed

TEMPLATES = {"templates": []}
ENDPOINT = "https://api.glossi.app/api/v1"
ELSEWHERE = "https://bucket.example/lamp.glb?X-Amz-Signature=s"
SHA256_OF_GLTF = "c74f919439792582aa4f0b188ec2a928675cdb3ba72797781ceb6dfaa86b313f"


class Origin:
    """Takes a second for each request, and says how many it had at once; above its capacity it refuses at once."""

    def __init__(self, capacity: int = 1000, refuse: Callable[[], httpx.Response] | None = None) -> None:
        self.capacity = capacity
        self.most = 0
        self.answered = Counter[int]()
        self._refuse = refuse or (lambda: httpx.Response(429))
        self._inside = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self._inside += 1
        self.most = max(self.most, self._inside)
        try:
            if self._inside > self.capacity:
                response = self._refuse()
            else:
                await asyncio.sleep(1)
                response = httpx.Response(200, json=TEMPLATES)
        finally:
            self._inside -= 1
        self.answered[response.status_code] += 1
        return response


def glossi(answer: Callable[[httpx.Request], Awaitable[httpx.Response]], **options: object) -> Glossi:
    async def in_place(function: Callable[..., object], *args: object) -> object:
        return function(*args)

    given = {"patience": Patience(total=3600), "rng": Random(3), "run_blocking": in_place, **options}
    return Glossi(ENDPOINT, "k", transport=httpx.MockTransport(answer), **given)  # type: ignore[arg-type]


def test_an_origin_that_can_take_more_is_given_more_and_never_more_than_the_ceiling() -> None:
    async def main() -> None:
        origin = Origin()
        async with glossi(origin, pace=Pace(4, 9)) as client:
            await asyncio.gather(*(client.templates() for _ in range(4)))
            assert origin.most == 4
            await asyncio.gather(*(client.templates() for _ in range(300)))
        assert origin.most == 9

    run_in_virtual_time(main())


@pytest.mark.parametrize(
    "refuse", [lambda: httpx.Response(429), lambda: httpx.Response(503, headers={"retry-after": "0"})]
)
def test_an_origin_that_is_overloaded_is_given_about_what_it_can_take(refuse: Callable[[], httpx.Response]) -> None:
    async def main() -> None:
        origin = Origin(capacity=8, refuse=refuse)
        async with glossi(origin, pace=Pace(64, 64)) as client:
            await asyncio.gather(*(client.templates() for _ in range(400)))
            assert client.calls["GET /templates"] == sum(origin.answered.values())
        refused = sum(count for status, count in origin.answered.items() if status != 200)
        assert origin.answered[200] == 400, "everything was done in the end"
        assert 0 < refused < 40, "one refusal in ten is the price of finding out"
        assert asyncio.get_running_loop().time() < 2.5 * 400 / 8, "at not much less than its best"

    run_in_virtual_time(main())


def test_an_origin_in_trouble_is_not_given_more() -> None:
    async def main() -> None:
        origin = Origin(capacity=0, refuse=lambda: httpx.Response(500))
        inside = 0
        most = 0

        async def slowly(request: httpx.Request) -> httpx.Response:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(1)
            inside -= 1
            return await origin(request)

        async with glossi(slowly, pace=Pace(4, 64), patience=Patience(total=0, first_contact=0)) as client:
            outcomes = await asyncio.gather(*(client.templates() for _ in range(100)), return_exceptions=True)
        assert all(isinstance(outcome, ReadFailed) for outcome in outcomes)
        assert most == 4

    run_in_virtual_time(main())


def test_each_origin_has_a_governor_of_its_own(tmp_path: Path) -> None:
    """The service wants to be left alone; the bucket that takes the uploads did not say so."""
    path = tmp_path / "lamp.glb"
    path.write_bytes(b"glTF")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        asked_at: list[tuple[str, float]] = []

        async def reply(request: httpx.Request) -> httpx.Response:
            asked_at.append((request.url.host, loop.time()))
            first = len(asked_at) == 1
            return httpx.Response(429, headers={"retry-after": "30"}) if first else httpx.Response(200, json=TEMPLATES)

        async with glossi(reply) as client:
            waiting = asyncio.ensure_future(client.templates())
            await asyncio.sleep(1)
            await client.upload(ELSEWHERE, path, file_type="glb", size=4, sha256=SHA256_OF_GLTF)
            assert not waiting.done()
            await waiting
        assert asked_at == [("api.glossi.app", 0), ("bucket.example", 1), ("api.glossi.app", pytest.approx(30, abs=1))]

    run_in_virtual_time(main())


def test_long_uploads_do_not_keep_a_status_call_waiting(tmp_path: Path) -> None:
    path = tmp_path / "lamp.glb"
    path.write_bytes(b"glTF")

    async def main() -> None:
        async def reply(request: httpx.Request) -> httpx.Response:
            if request.method == "PUT":
                await asyncio.sleep(600)
            return httpx.Response(200, json=TEMPLATES)

        async with glossi(reply, pace=Pace(1, 1), transfers=Pace(1, 1)) as client:
            url = f"{ENDPOINT}/uploads/x"
            uploads = [
                asyncio.ensure_future(client.upload(url, path, file_type="glb", size=4, sha256=SHA256_OF_GLTF))
                for _ in range(3)
            ]
            await asyncio.sleep(1)
            await client.templates()
            assert asyncio.get_running_loop().time() == 1
            await asyncio.gather(*uploads)
            assert asyncio.get_running_loop().time() == 1800

    run_in_virtual_time(main())


def test_a_retry_after_that_is_a_date_is_waited_for_by_the_wall_clock() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def reply(request: httpx.Request) -> httpx.Response:
            if loop.time() < 1:
                return httpx.Response(503, headers={"retry-after": "Thu, 01 Jan 1970 00:17:40 GMT"})
            return httpx.Response(200, json=TEMPLATES)

        async with glossi(reply, wall_clock=lambda: 1000.0 + loop.time()) as client:
            await client.templates()
        assert loop.time() == pytest.approx(60, abs=1)

    run_in_virtual_time(main())


def test_who_is_held_for_longer_than_the_patience_has_sent_nothing() -> None:
    async def main() -> None:
        async def reply(request: httpx.Request) -> httpx.Response:
            return httpx.Response(503, headers={"retry-after": "100"})

        async with glossi(reply, patience=Patience(total=60)) as client:
            with pytest.raises(Exception, match="answered 503"):
                await client.templates()
            with pytest.raises(NotSent, match="left alone for another 100 s"):
                await client.templates()
            assert client.calls == {"GET /templates": 1}

    run_in_virtual_time(main())
