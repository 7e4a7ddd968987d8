"""The story of a seed: a server that is killed again and again under the hands of its clients.

    start ─> clients go on ─> its moment comes: kill -9 ─┐
      ^                                                  │ at once, on the same folder and port
      └──────────────────────────────────────────────────┘

After the last kill the clients bring to an end what they have begun; then everything is proven (see ``proof``).

The moments are the seed's own; what is under way then is the machine's, so a replay is alike and not the same.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from studio_kills.client import PATIENCE, Broken, Client, Ledger
from studio_kills.moments import AtPoint, AtTime, Moment, moment
from studio_kills.proof import Proven, prove
from studio_kills.receiver import Receiver, receiving
from studio_kills.studio import Studio

LONGEST = 3.0
"""Seconds that a server answers in vain for its moment to come; it is killed then."""

PHOTOGRAPH_EVERY = 10
"""Of so many lives one renders with filament."""

CLIENTS = 10, 4
"""How many go by the guide, and how many by the simple workflow."""

_UNFINISHED = """
    SELECT (SELECT count(*) FROM models WHERE status IN ('PENDING', 'ANALYZING') AND confirmed_at IS NOT NULL)
         + (SELECT count(*) FROM render_jobs WHERE status IN ('QUEUED', 'RENDERING'))
         + (SELECT count(*) FROM jobs WHERE status = 'PROCESSING')
         + (SELECT count(*) FROM deliveries WHERE status = 'WAITING')
"""

Say = Callable[[str], None]


@dataclass
class Figures:
    """What came of a story. ``sorts`` counts the kills by what they waited for."""

    kills: int = 0
    sorts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    requests: int = 0
    unanswered: Counter[str] = field(default_factory=Counter)
    proven: Proven | None = None

    def __str__(self) -> str:
        unanswered = ", ".join(f"{call} {count}" for call, count in sorted(self.unanswered.items())) or "none"
        sorts = ", ".join(f"{sort} {count}" for sort, count in self.sorts.most_common())
        return (
            f"{self.kills} kills in {self.seconds:.0f} s ({sorts}): nothing is lost of {self.proven};"
            f" of {self.requests:,} requests {sum(self.unanswered.values()):,} without an answer: {unanswered}"
        )


@dataclass
class Told:
    """All that there is to prove by, once everything is quiet."""

    studio: Studio
    ledger: Ledger
    receiver: Receiver
    figures: Figures


def kill(folder: Path, *, seed: int, kills: int, say: Say = lambda _: None) -> Figures:
    """Kill a studio so often, and prove that nothing it has promised is lost.

    Raises:
        Broken: something is.
    """

    async def tell() -> Figures:
        async with told(folder, seed=seed, kills=kills, say=say) as end:
            end.figures.proven = await asyncio.to_thread(prove, end.studio, end.ledger, end.receiver)
        return end.figures

    began = time.monotonic()
    figures = asyncio.run(tell())
    figures.seconds = time.monotonic() - began
    return figures


@asynccontextmanager
async def told(folder: Path, *, seed: int, kills: int, say: Say = lambda _: None) -> AsyncIterator[Told]:
    """The story up to its end: within the block the last server is alive, and quiet."""
    ledger, figures, studio = Ledger(), Figures(), Studio(folder)
    async with receiving(Random(f"{seed}/receiver")) as receiver:
        try:
            await studio.start()
            if not await studio.answers():
                raise _died(studio, await studio.kill())
            client = Client(studio.origin, studio.key, ledger, Random(f"{seed}/clients"))
            try:
                await client.begin(receiver.url)
                over = asyncio.Event()
                await _all(
                    _kill(studio, client, over, seed, kills, figures, say),
                    *(_until(over, client.products) for _ in range(CLIENTS[0])),
                    *(_until(over, client.job) for _ in range(CLIENTS[1])),
                    _until(over, client.look_around, 0.2),
                    _until(over, lambda: client.put_webhook(receiver.url), 0.3),
                )
            finally:
                await client.close()
            await _quiet(studio)
            figures.requests, figures.unanswered = ledger.requests, ledger.unanswered
            yield Told(studio, ledger, receiver, figures)
        finally:
            await studio.kill()


async def _kill(
    studio: Studio, client: Client, over: asyncio.Event, seed: int, kills: int, figures: Figures, say: Say
) -> None:
    # The first server has no moment: with it the clients begin, and it ends before the first life that is counted.
    await asyncio.sleep(0.5)
    if kills:
        await studio.kill()
    while figures.kills < kills:
        number = figures.kills + 1
        rng = Random(f"{seed}/life {number}")
        when = moment(rng)
        engine = "Photograph" if number % PHOTOGRAPH_EVERY == 0 else "Sketch"
        before = client.unanswered()
        await studio.start(when, engine=engine)
        in_time = await _die(studio, when)
        if (code := await studio.kill()) != -9:
            raise _died(studio, code)
        figures.kills = number
        figures.sorts[_sort(when) if in_time else "in vain"] += 1
        # What was under way then is noticed as soon as the clients' tasks run.
        await asyncio.sleep(0)
        lost = client.unanswered() - before
        said = ", ".join(f"{call} {count}" for call, count in sorted(lost.items())) or "none"
        say(f"kill {number}: {when}{'' if in_time else ' (in vain)'}; without an answer: {said}")
    if kills:
        await studio.start()
        if not await studio.answers():
            raise _died(studio, await studio.kill())
    client.calm_since = time.monotonic()
    over.set()


async def _die(studio: Studio, when: Moment) -> bool:
    """Wait for the moment; whether it came."""
    if isinstance(when, AtTime) and not when.answering:
        await asyncio.sleep(when.seconds)
        return True
    if not await studio.answers():
        return True  # a moment in its start, or a defect: the way that it ended will tell
    if isinstance(when, AtTime):
        await asyncio.sleep(when.seconds)
        return True
    return await studio.killed_by_itself(LONGEST)


def _sort(when: Moment) -> str:
    if not isinstance(when, AtPoint):
        return "by the clock" if isinstance(when, AtTime) else "by the load"
    return "at a request" if " " in when.point else f"at a {when.point}"


async def _until(over: asyncio.Event, play: Callable[[], Coroutine[Any, Any, None]], pause: float = 0.0) -> None:
    while not over.is_set():
        await play()
        await asyncio.sleep(pause)


async def _all(*parts: Coroutine[Any, Any, None]) -> None:
    """All of them, or the first thing that went wrong."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _quiet(studio: Studio) -> None:
    give_up = time.monotonic() + PATIENCE
    while left := studio.rows(_UNFINISHED)[0][0]:
        if time.monotonic() > give_up:
            raise Broken(f"{left} rows of the records are unfinished {PATIENCE} s after the clients have ended")
        await asyncio.sleep(0.1)


def _died(studio: Studio, code: int) -> Broken:
    said = studio.log.read_text(encoding="utf-8", errors="replace")[-3000:]
    return Broken(f"the server has ended by itself, with {code}: {said}")
