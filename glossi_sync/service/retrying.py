"""Asking again: which failures are worth it, how long to wait in between, and when to give up.

================  =========================================================================
call              is asked again after
================  =========================================================================
any               NotSent; Refused with 429, or with 503 and Retry-After (certainly not done)
reads             the same, and ReadFailed: a timeout, a reset, any 5xx
repeatable        the same, and InDoubt: a second asking does no harm (the upload, PUT /webhooks)
================  =========================================================================

So a POST /renders in doubt is never asked again here. Pauses grow exponentially with full jitter; a Retry-After is
waited for in the origin's governor, by all callers alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import Random
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState

from glossi_sync.service.calls import Call
from glossi_sync.service.errors import InDoubt, NotSent, ReadFailed, Refused, ServiceError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one call waits on trouble, in seconds.

    Attributes:
        total: from a call's first failure to its last asking; a Retry-After beyond it is not waited for.
        first_contact: the same where the origin has not answered once, ever: an address that is wrong, rather than a
            service that hiccups.
        first_pause: the first pause is between 0 and this, and each further one between 0 and twice the last bound.
        longest_pause: the largest such bound.
    """

    total: float = 120.0
    first_contact: float = 4.0
    first_pause: float = 0.5
    longest_pause: float = 20.0


def is_worth_repeating(call: Call, error: BaseException | None) -> bool:
    """Whether a call that failed so can be asked again, safely and with some hope. The table above."""
    if not isinstance(error, ServiceError) or error.permanent:
        return False
    if isinstance(error, Refused):
        return error.status == 429 or (error.status == 503 and error.retry_after is not None)
    return isinstance(error, NotSent | ReadFailed) or (isinstance(error, InDoubt) and call.repeatable)


async def ask_again(
    attempt: Callable[[], Awaitable[T]],
    *,
    call: Call,
    patience: Patience,
    reached: Callable[[], bool],
    rng: Random,
) -> T:
    """Await ``attempt`` until it succeeds, or fails for good; then the last failure is raised.

    Where the last one is a refusal and an earlier one was in doubt, the doubt is raised: that nothing was done now does
    not say that nothing was done then. ``reached`` tells whether the origin has ever answered. Time is the event
    loop's.
    """
    first_failure: float | None = None
    doubt: InDoubt | None = None

    def pause(state: RetryCallState) -> float:
        bound = min(patience.longest_pause, patience.first_pause * 2.0 ** min(state.attempt_number - 1, 30))
        return rng.uniform(0, bound)

    def is_over(state: RetryCallState) -> bool:
        nonlocal first_failure
        now = asyncio.get_running_loop().time()
        first_failure = now if first_failure is None else first_failure
        error = state.outcome.exception() if state.outcome is not None else None
        asked_for = (error.retry_after or 0.0) if isinstance(error, ServiceError) else 0.0
        limit = patience.total if reached() else patience.first_contact
        return now - first_failure + max(state.upcoming_sleep, asked_for) > limit

    async def asking() -> T:  # tenacity awaits what is a coroutine function, and nothing else
        nonlocal doubt
        try:
            return await attempt()
        except InDoubt as error:
            doubt = error
            raise

    failure: ServiceError
    try:
        return await AsyncRetrying(
            sleep=asyncio.sleep,
            wait=pause,
            stop=is_over,
            retry=lambda state: state.outcome is not None and is_worth_repeating(call, state.outcome.exception()),
            reraise=True,
        )(asking)
    except (NotSent, Refused) as error:
        failure = error if doubt is None else doubt
    raise failure


def seconds_of_retry_after(value: str | None, now: float) -> float | None:
    """A Retry-After header in seconds from ``now`` (Unix time): a number, or an HTTP date. None for what is neither."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.replace(".", "", 1).isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.fromtimestamp(now, UTC)).total_seconds())
