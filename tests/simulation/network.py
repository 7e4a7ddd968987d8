"""The network between the reconciler and the service, and the weather in it.

A request that has left goes its way whatever becomes of its sender: it may arrive late, or never; its answer may get
lost. Every mutating request is checked against the journal when it is sent, and against the truth when it arrives.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx
from simulation.invariants import Broken, Sent, Starts, journal_discipline, no_render_twice
from simulation.process import Process
from simulation.service import Service

from glossi_sync.service.calls import (
    CALLS,
    CREATE_MODELS,
    CREATE_PROJECTS,
    DOWNLOAD,
    PUT_WEBHOOK,
    START_RENDERS,
    UPLOAD,
    Call,
)

READ_TIMEOUT = 60.0
MOST_REQUESTS = 1000
"""Requests after which a process is taken never to end."""

FAULTS = (
    "unreachable",
    "reset before",
    "reset after",
    "timeout before",
    "timeout after",
    "late",
    "429",
    "429 retry-after",
    "503 retry-after",
    "503 before",
    "500 before",
    "500 after",
    "502 after",
    "garbled",
    "partial",
    "key refused",
)
"""What may happen to a request. "before" and "after" tell whether the service has done the work."""


@dataclass(slots=True)
class Weather:
    """How likely each fault is for a request, the longest latency of one way (seconds), the most entries of a call.

    ``deaf``: how likely it is that nobody hears the answer to a POST /renders (the one call that must not be repeated),
    or to a PUT /webhooks.
    """

    chances: Mapping[str, float] = field(default_factory=dict)
    deaf: float = 0.0
    latency: float = 0.0
    most_entries: int | None = None
    shuffles: bool = False

    def draw(self, rng: Random, call: Call) -> str | None:
        """The fault of the next request, if any."""
        if self.deaf and call in (START_RENDERS, PUT_WEBHOOK) and rng.random() < self.deaf:
            return "reset after"
        if not self.chances:
            return None
        point = rng.random()
        for fault, chance in self.chances.items():
            point -= chance
            if point < 0:
                return fault
        return None


def storm(rng: Random) -> Weather:
    """A weather in which a few sorts of faults happen, rarely or often."""
    kinds = rng.sample(FAULTS, rng.choice((0, 1, 2, 3, 4, 6)))
    total = rng.choice((0.05, 0.1, 0.2, 0.35))
    return Weather(
        chances={kind: total / len(kinds) for kind in kinds},
        deaf=rng.choice((0.0, 0.0, 0.5)),
        latency=rng.choice((0.0, 0.0, 0.1, 2.0)),
        most_entries=rng.choice((None, None, None, 1, 2)),
        shuffles=rng.random() < 0.3,
    )


class Network:
    """Carries requests to the service. ``arrived`` counts the mutating requests that a process has sent, by call."""

    def __init__(
        self,
        service: Service,
        *,
        rng: Random,
        starts: Starts,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.service = service
        self.weather = Weather()
        self.starts = starts
        self._recent: deque[Process] = deque(maxlen=4)
        self._rng = rng
        self._say = say
        self._context: Context = copy_context()
        self._under_way: set[asyncio.Task[Any]] = set()

    def transport(self, process: Process) -> Transport:
        """The connections of one process."""
        self._recent.append(process)
        return Transport(self, process)

    async def drain(self) -> None:
        """Wait until nothing is under way any more."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    def carry(self, sent: Sent, request: httpx.Request, fault: str | None, process: Process) -> asyncio.Task[Any]:
        """Let a request go its way; the task gives the answer, or None where none comes back."""
        task = asyncio.get_running_loop().create_task(
            self._carry(sent, request, fault, process), context=self._context.copy()
        )
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def _carry(
        self, sent: Sent, request: httpx.Request, fault: str | None, process: Process
    ) -> httpx.Response | None:
        if self.weather.latency:
            await asyncio.sleep(self._rng.random() * self.weather.latency)
        if fault == "late":
            await asyncio.sleep(READ_TIMEOUT * (1 + 2 * self._rng.random()))
        if fault in ("reset before", "timeout before"):
            return None
        if (refusal := self._refusal(sent, fault)) is not None:
            return refusal
        response = await self.service.asgi.handle_async_request(request)
        await response.aread()
        if self._say is not None:
            # The webhook's secret is the studio's own, and random.
            text = "" if sent.call is PUT_WEBHOOK else response.text[:300]
            self._say(f"the service answers {response.status_code} to {sent} {text}")
        try:
            self._learn(sent, response, process)
        except Broken as broken:
            process.blame(broken)
            self.starts.broken = broken
        if self.weather.latency:
            await asyncio.sleep(self._rng.random() * self.weather.latency)
        return self._damaged(sent, response, fault)

    def _refusal(self, sent: Sent, fault: str | None) -> httpx.Response | None:
        """An answer of somebody who has not done the work."""
        match fault:
            case "429":
                return _problem(429)
            case "429 retry-after":
                return _problem(429, {"retry-after": str(self._rng.choice((1, 5, 60, 300)))})
            case "503 retry-after":
                return _problem(503, {"retry-after": str(self._rng.choice((1, 20)))})
            case "503 before":
                return _problem(503)
            case "500 before":
                return _problem(500)
            case "key refused" if sent.call is not UPLOAD:
                return _problem(401)
        most = self.weather.most_entries
        if most is not None and sent.call in (CREATE_MODELS, CREATE_PROJECTS, START_RENDERS) and sent.entries > most:
            return _problem(413)
        return None

    def _damaged(self, sent: Sent, response: httpx.Response, fault: str | None) -> httpx.Response | None:
        """What is left of an answer on its way back."""
        match fault:
            case "reset after" | "timeout after" | "late":
                return None
            case "500 after":
                return _problem(500)
            case "502 after":
                return httpx.Response(502, content=b"<html>bad gateway</html>")
            case "garbled":
                return httpx.Response(response.status_code, content=b'{"cut sho')
        name = {"POST /projects": "projects", "POST /renders": "jobs"}.get(sent.call.name)
        if response.status_code != 200 or name is None:
            return response
        answer = response.json()
        if self.weather.shuffles:
            self._rng.shuffle(answer[name])
        if fault == "partial":
            del answer[name][self._rng.randrange(len(answer[name]))]
        return httpx.Response(200, json=answer)

    def _learn(self, sent: Sent, response: httpx.Response, process: Process) -> None:
        if sent.call.name == "POST /renders" and response.status_code == 200:
            for job in response.json()["jobs"]:
                address, digest = sent.renders.get(job["projectId"], ("?", "?"))
                self.starts.add(job["jobId"], address, digest)
                specs = [process.desired, *(one.desired for one in self._recent)]
                no_render_twice(address, digest, specs, self.starts, self.service.truth())
        if sent.call is PUT_WEBHOOK:
            self.starts.foreign_webhook = process is not self._recent[-1]


class Transport(httpx.AsyncBaseTransport):
    """The connections of one process, in place of sockets."""

    def __init__(self, network: Network, process: Process) -> None:
        self.sent: Counter[str] = Counter()
        self.troubles: list[str] = []
        """What the process met with that an undisturbed one would not: faults, and refusals of mutating calls."""
        self.in_doubt = 0
        self._network = network
        self._process = process
        self._requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        process = self._process
        process.reach("send")
        await process.awake()
        if process.over:
            await asyncio.Future()
        self._requests += 1
        if self._requests > MOST_REQUESTS:
            process.blame(Broken(f"{process.name} sends requests without end"))
            await asyncio.Future()
        call = call_of(request)
        sent = Sent(call, request.url.path, _decoded(body) if call is not UPLOAD else None)
        fault = self._network.weather.draw(self._network._rng, call)
        if process.tracing:
            process.say(f"sends {sent}" + (f" [{fault}]" if fault else ""))
        if fault == "unreachable":
            self.troubles.append(fault)
            raise httpx.ConnectError("nobody there", request=request)
        if call.mutates:
            self.sent[call.name] += 1
            try:
                journal_discipline(sent, process)
            except Broken as broken:
                process.blame(broken)
                await asyncio.Future()
        return await self._answer(sent, request, fault)

    async def _answer(self, sent: Sent, request: httpx.Request, fault: str | None) -> httpx.Response:
        process = self._process
        if fault is not None:
            self.troubles.append(fault)
        under_way = self._network.carry(sent, request, fault, process)
        times_out = fault in ("timeout before", "timeout after", "late")
        if times_out:
            await asyncio.sleep(READ_TIMEOUT)
            response = None
        else:
            response = await asyncio.shield(under_way)
        process.reach("answer")
        await process.awake()
        if process.over:
            await asyncio.Future()
        if response is None:
            if sent.call.mutates:
                self.in_doubt += 1
            if times_out:
                raise httpx.ReadTimeout("no answer", request=request)
            raise httpx.ReadError("the connection broke", request=request)
        if sent.call.mutates and (response.status_code != 200 and response.status_code != 204):
            self.troubles.append(f"{sent.call.name}: {response.status_code}")
        return response


def call_of(request: httpx.Request) -> Call:
    """Which of the service's calls a request is."""
    path = request.url.path
    if path.startswith("/uploads/"):
        return UPLOAD
    parts = path.removeprefix("/api/v1/").split("/")
    for call in CALLS:
        pattern = call.path.strip("/").split("/")
        if (
            call not in (UPLOAD, DOWNLOAD)
            and call.method == request.method
            and len(pattern) == len(parts)
            and all(want.startswith("{") or want == part for want, part in zip(pattern, parts, strict=True))
        ):
            return call
    raise AssertionError(f"{request.method} {path} is no call of the guide")


def _decoded(body: bytes) -> Any:
    return json.loads(body) if body else None


def _problem(status: int, headers: Mapping[str, str] | None = None) -> httpx.Response:
    return httpx.Response(status, json={"error": {"code": "weather", "message": "not now"}}, headers=headers)
