"""Webhook deliveries, kept in a bucket beside the state by receivers that hold no lock.

    events/<number>          a delivery; made under a name that must not exist yet, so numbers have no gap
    deliveries/<digest>      says that a delivery is kept; made last, so none is taken for kept that is not
    newest-event             a number near the newest, so that nobody must list them all

A receiver that ends between the first and the second keeps a delivery that the service sends again once more, under
another number. So does one that gets it twice at the same moment. Readers tell them apart by their digest.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import replace

from glossi_sync.state.bucket.objects import Objects
from glossi_sync.state.bucket.wire import Malformed, read_event, write_event
from glossi_sync.state.objects import Received

_EVENTS = "events"
_NEWEST = "newest-event"


def put(objects: Objects, event: Received) -> bool:
    """Keep a delivery under the next number; False where it is kept already.

    Raises:
        Unreachable: the bucket cannot be asked; the delivery may be kept nevertheless.
        Malformed, Newer: what lies there cannot be understood.
    """
    if objects.get(_kept(event.digest)) is not None:
        return False
    token = secrets.token_hex(8)
    number = newest(objects) + 1
    while objects.create(_name(number), write_event(replace(event, number=number), token)) is None:
        there = objects.get(_name(number))
        if there is None:
            continue
        _, whose = read_event(there.body)
        if whose == token:
            break  # made by the request before, whose answer was lost
        number += 1
    if objects.create(_kept(event.digest), token.encode()) is None:
        first = objects.get(_kept(event.digest))
        if first is not None and first.body != token.encode():
            return False
    objects.put(_NEWEST, str(number).encode())
    return True


def newest(objects: Objects) -> int:
    """The number of the newest delivery, 0 where there is none.

    Raises:
        Unreachable: the bucket cannot be asked.
        Malformed: what lies there cannot be understood.
    """
    near = objects.get(_NEWEST)
    try:
        number = 0 if near is None else int(near.body)
        behind = [_number(name) for name in objects.names(_EVENTS, after=_name(number))]
    except ValueError as error:
        raise Malformed(f"its events are not what they should be ({error})") from error
    return max((number, *behind))


def read(objects: Objects, after: int) -> Sequence[Received]:
    """The deliveries with numbers greater than ``after``, each once, in order.

    Raises:
        Unreachable: the bucket cannot be asked.
        Malformed, Newer: what lies there cannot be understood.
    """
    names = objects.names(_EVENTS, after=_name(after))
    found: dict[str, Received] = {}
    for body in objects.fetch(names):
        if body is not None:
            event, _ = read_event(body)
            found.setdefault(event.digest, event)
    return list(found.values())


def replace_all(objects: Objects, events: Iterable[Received]) -> None:
    """Keep these deliveries, under their own numbers, in the place of all that there are.

    Raises:
        Unreachable: it could not be done, or not to its end; it may be done again.
    """
    objects.remove([*objects.names(_EVENTS), *objects.names("deliveries"), _NEWEST])
    number = 0
    for event in events:
        objects.put(_name(event.number), write_event(event, ""))
        objects.put(_kept(event.digest), b"")
        number = max(number, event.number)
    objects.put(_NEWEST, str(number).encode())


def _name(number: int) -> str:
    return f"{_EVENTS}/{number:016}"


def _number(name: str) -> int:
    return int(name.partition("/")[2])


def _kept(digest: str) -> str:
    return f"deliveries/{digest}"
