"""The receiver beside something else: in a thread of its own, for the length of a block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from glossi_sync.receiving.receiver import Receiver


@contextmanager
def receiving(receiver: Receiver, host: str, port: int) -> Iterator[int]:
    """Listen while the block runs; answers the port.

    Raises:
        OSError: the address cannot be listened on.
    """
    opened: Future[int] = Future()
    loop = asyncio.new_event_loop()
    closing = asyncio.Event()

    async def serve() -> None:
        try:
            opened.set_result(await receiver.open(host, port))
        except BaseException as error:
            opened.set_exception(error)
            return
        await closing.wait()
        await receiver.close()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run, name="receiver")
    thread.start()
    try:
        yield opened.result()
    finally:
        if opened.exception() is None:
            loop.call_soon_threadsafe(closing.set)
        thread.join()
