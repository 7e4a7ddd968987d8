"""Hearing: what the webhook's receiver keeps beside the state wakes the waits of a running apply.

The receiver is another process, or a thread of this one; what they share is the state. So the apply looks there for
news: five times a second where a look costs nothing, and less often where it does (a bucket): never more than a
twentieth of the time is spent on looking.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from glossi_sync.applying.waiting import ModelWaits, RenderWaits
from glossi_sync.service import ModelStatus, RunBlocking
from glossi_sync.state import Received, State, StateError
from glossi_sync.webhooks import Malformed, ModelFinished, RenderFinished, parse

SOON = 0.2
"""Seconds between two looks for news, at least."""

SHARE = 20
"""How many times as long as a look takes the pause after it is, at least."""


async def hear_events(
    state: State, model_waits: ModelWaits, render_waits: RenderWaits, run_blocking: RunBlocking
) -> None:
    """Tell the waits of every event that is kept from now on, until this is cancelled.

    Where the state cannot be read any more nothing is heard: the waits go on asking, as they do without events.
    """
    loop = asyncio.get_running_loop()
    try:
        last = await run_blocking(state.heard)
        took = 0.0
        while True:
            await asyncio.sleep(max(SOON, SHARE * took))
            began = loop.time()
            news = await run_blocking(state.events, last)
            took = loop.time() - began
            if news:
                last = news[-1].number
                tell_waits(news, model_waits, render_waits)
    except StateError:
        return


def tell_waits(events: Iterable[Received], model_waits: ModelWaits, render_waits: RenderWaits) -> None:
    """End, or hasten, the waits that these events are about. They were verified before they were kept."""
    for event in events:
        try:
            subject = parse(event.body).subject
        except Malformed:
            continue
        match subject:
            case ModelFinished(model_id=model_id, status=status, error_message=message):
                model_waits.hear(ModelStatus(model_id, subject.name or "", status, subject.ready, message))
            case RenderFinished(job_id=job_id):
                render_waits.hear(job_id)
            case _:
                pass
