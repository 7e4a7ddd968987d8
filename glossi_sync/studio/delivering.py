"""Delivering: sends what ``events`` has put down to the workspaces' webhooks (guide, Step 6; service-facts, Webhooks).

    WAITING ── attempt ──> DELIVERED, at a 2xx
       ^          │
       └──────────┴──────> FAILED, after the third attempt, or where another would be in vain

Each workspace has a lane of its own, a few attempts wide, which is there while something waits: an endpoint that is
slow or dead holds up nobody else, and no rendering. What waits, and until when, stands in the records alone, so a
restart goes on where it was; an attempt under which the studio was killed is made again. A delivery goes to the webhook
as it is at the moment of the attempt: a corrected URL gets what waits, too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import httpx
from sqlalchemy import Connection

from glossi_sync import __version__
from glossi_sync.service import wire
from glossi_sync.service.signature import sign
from glossi_sync.studio import records as rows
from glossi_sync.studio.addresses import AddressRefused

log = logging.getLogger(__name__)

RETRIES_AFTER_SECONDS: Final = (2.0, 20.0)
"""An attempt that fails is made again after so long: three attempts in all."""

ATTEMPT_SECONDS = 10.0
"""How long an attempt may take, from looking up the name to the answer's status."""

AT_ONCE: Final = 4
"""Attempts of one workspace."""

KEPT_SECONDS: Final = 30 * 86_400.0
KEPT_DELIVERIES: Final = 10_000
"""How long finished deliveries are remembered, and how many of a workspace at most."""

_PRUNED_EVERY_SECONDS: Final = 3600.0
_ANSWER_BYTES: Final = 64 * 1024
_ANSWER_SECONDS: Final = 1.0
_AGAIN_AFTER_SECONDS: Final = 10.0


class Sleep(Protocol):
    def __call__(self, seconds: float, /) -> Awaitable[None]: ...


@dataclass(slots=True)
class _Lane:
    """A workspace's attempts under way, by their delivery's number."""

    flying: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class Deliveries:
    """The studio's postman.

    Args:
        clock: seconds since the epoch.
        sleep: waits for so many seconds of that clock.
        transport: carries the requests; ``addresses.AllowedTransport`` for a server.
    """

    def __init__(
        self,
        *,
        records: rows.Records,
        clock: Callable[[], float],
        sleep: Sleep,
        transport: httpx.AsyncBaseTransport,
    ) -> None:
        self._records = records
        self._clock = clock
        self._sleep = sleep
        # No proxy and no credentials of the environment, no redirects.
        self._http = httpx.AsyncClient(transport=transport, trust_env=False, timeout=None)  # noqa: S113 - see _attempt
        self._lanes: dict[str, _Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = False
        self._prune_at = float("-inf")

    async def start(self) -> None:
        """Take up what waits, then deliver until ``stop``."""
        self._running = True
        for workspace_id in await self._records.read(rows.workspaces_with_deliveries):
            self.wake(workspace_id)

    async def stop(self) -> None:
        """Stop at once: what waits is taken up by the next start."""
        self._running = False
        tasks = [*self._tasks, *(task for lane in self._lanes.values() for task in lane.flying.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._http.aclose()

    def wake(self, workspace_id: str) -> None:
        """Something may wait in that workspace: to be called after the transaction that told an event."""
        if not self._running:
            return
        lane = self._lanes.get(workspace_id)
        if lane is not None:
            lane.woken.set()
            return
        lane = self._lanes[workspace_id] = _Lane()
        task = asyncio.get_running_loop().create_task(self._work_off(workspace_id, lane))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work_off(self, workspace_id: str, lane: _Lane) -> None:
        while True:
            lane.woken.clear()
            try:
                due_in = await self._launch(workspace_id, lane)
                await self._prune()
            except Exception:
                # The studio's own records: a full disk, a database that is away.
                log.exception("cannot read what to deliver, trying again in %g s", _AGAIN_AFTER_SECONDS)
                due_in = _AGAIN_AFTER_SECONDS
            if due_in is None and not lane.flying and not lane.woken.is_set():
                del self._lanes[workspace_id]
                return
            await self._until_there_is_more(lane, due_in)

    async def _launch(self, workspace_id: str, lane: _Lane) -> float | None:
        """Begin what is due; in how many seconds the next one is. None: none waits, or there is no room for more."""
        flying = tuple(lane.flying)
        room = AT_ONCE - len(flying)
        if room == 0:
            return None
        waiting = await self._records.read(
            lambda connection: rows.waiting_deliveries(connection, workspace_id, besides=flying, limit=room + 1)
        )
        now = self._clock()
        for place, delivery in enumerate(waiting):
            if delivery.due_at > now:
                return delivery.due_at - now
            if place == room:
                return None
            lane.flying[delivery.number] = asyncio.get_running_loop().create_task(self._deliver(delivery))
        return None

    async def _until_there_is_more(self, lane: _Lane, seconds: float | None) -> None:
        loop = asyncio.get_running_loop()
        signals: list[asyncio.Future[Any]] = [loop.create_task(lane.woken.wait())]
        if seconds is not None:
            signals.append(asyncio.ensure_future(self._sleep(seconds)))
        try:
            await asyncio.wait([*signals, *lane.flying.values()], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in signals:
                each.cancel()
        lane.flying = {number: task for number, task in lane.flying.items() if not task.done()}

    async def _deliver(self, delivery: rows.Delivery) -> None:
        try:
            hook = await self._records.read(lambda connection: rows.webhook(connection, delivery.workspace_id))
            attempt, is_last = await self._attempt(delivery, hook)
            status, due_at = self._verdict(delivery, attempt, is_last)
            await self._records.write(
                lambda connection: rows.record_attempt(connection, delivery, attempt, status, due_at)
            )
        except Exception:
            log.exception("cannot record a delivery, trying again in %g s", _AGAIN_AFTER_SECONDS)
            await self._sleep(_AGAIN_AFTER_SECONDS)

    def _verdict(
        self, delivery: rows.Delivery, attempt: rows.Attempt, is_last: bool
    ) -> tuple[wire.DeliveryStatus, float]:
        now = self._clock()
        if attempt.error is None:
            return wire.DELIVERY_DELIVERED, now
        made = len(delivery.attempts)
        if not is_last and made < len(RETRIES_AFTER_SECONDS):
            return wire.DELIVERY_WAITING, now + RETRIES_AFTER_SECONDS[made]
        log.info("the event %s could not be delivered to %s: %s", delivery.event, attempt.url, attempt.error)
        return wire.DELIVERY_FAILED, now

    async def _attempt(self, delivery: rows.Delivery, hook: rows.Webhook | None) -> tuple[rows.Attempt, bool]:
        """One attempt, and whether another would be in vain."""
        at = self._clock()
        if hook is None or hook.webhook_id != delivery.webhook_id:
            return rows.Attempt(at, None, None, "the webhook was removed before this was delivered", 0.0), True
        if not hook.enabled:
            return rows.Attempt(at, hook.url, None, "the webhook was disabled before this was delivered", 0.0), True
        loop = asyncio.get_running_loop()
        started = loop.time()
        status: int | None = None
        is_last = False
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                response = await self._http.send(_request(hook, delivery.body), stream=True, follow_redirects=False)
            status = response.status_code
            await _discard(response)
            error = _complaint(status)
        except TimeoutError:
            error = f"no answer within {ATTEMPT_SECONDS:g} seconds"
        except AddressRefused as refused:
            error, is_last = str(refused), True
        except httpx.InvalidURL as invalid:
            error, is_last = f"the webhook's URL cannot be used: {invalid}", True
        except httpx.HTTPError as failure:
            error = str(failure) or type(failure).__name__
        except Exception as failure:
            # A defect of a library, at an answer that nobody has thought of, must not cost the other deliveries.
            log.error("delivering to %s", hook.url, exc_info=failure)
            error = f"{type(failure).__name__}: {failure}"
        return rows.Attempt(at, hook.url, status, error, round(loop.time() - started, 3)), is_last

    async def _prune(self) -> None:
        now = self._clock()
        if now < self._prune_at:
            return
        self._prune_at = now + _PRUNED_EVERY_SECONDS

        def prune(connection: Connection) -> int:
            return rows.prune_deliveries(connection, before=now - KEPT_SECONDS, keep=KEPT_DELIVERIES)

        await self._records.write(prune)


def _request(hook: rows.Webhook, body: str) -> httpx.Request:
    content = body.encode()
    return httpx.Request(
        "POST",
        hook.url,
        headers={
            "Content-Type": "application/json",
            "User-Agent": f"glossi-studio/{__version__}",
            wire.SIGNATURE_HEADER: sign(content, hook.secret),
        },
        content=content,
    )


async def _discard(answer: httpx.Response) -> None:
    """Read what is said beside the status, where it is short and comes soon: the connection can then be used again."""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            left = _ANSWER_BYTES
            async for chunk in answer.aiter_raw():
                left -= len(chunk)
                if left < 0:
                    break
    except (httpx.HTTPError, httpx.StreamError, TimeoutError):
        pass
    finally:
        await answer.aclose()


def _complaint(status: int) -> str | None:
    """What is wrong with an answer of that status; None for a 2xx."""
    if httpx.codes.is_success(status):
        return None
    return f"answered {status}" + (", and redirects are not followed" if httpx.codes.is_redirect(status) else "")
