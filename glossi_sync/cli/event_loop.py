"""The event loop of a command: a coroutine, run to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """``asyncio.run``, whose task does not carry the result.

    When asyncio gives Ctrl-C back, ``signal`` asks its enum about a handler that this does not know, and the enum's
    message, which nobody reads, spells the task with its result: five seconds and 700 MB for 300,000 addresses.
    """
    results: list[T] = []

    async def keep() -> None:
        results.append(await work)

    asyncio.run(keep())
    (result,) = results
    return result
