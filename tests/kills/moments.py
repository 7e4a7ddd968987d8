"""When a process is killed: seeded, and spread over the whole of an apply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from glossi_sync.service import calls

ANY = "any"

CALLS: Mapping[str, int] = {
    calls.CREATE_MODELS.name: 2,
    calls.UPLOAD.name: 1,
    calls.CONFIRM_MODEL.name: 1,
    calls.CREATE_PROJECTS.name: 3,
    calls.START_RENDERS.name: 4,
    calls.MODEL_STATUSES.name: 1,
    calls.RENDER.name: 1,
    calls.DOWNLOAD.name: 1,
}
"""How often a kill waits for each call: those that many products share are few, and most is lost with them."""


@dataclass(frozen=True)
class AtTime:
    """So many seconds after its start, whatever it does then."""

    seconds: float

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s after its start"


@dataclass(frozen=True)
class AtRequest:
    """While the nth request of a call is held: ``before`` the studio does it, ``after``, or it is ``lost``."""

    call: str
    nth: int
    when: str

    def __str__(self) -> str:
        held = {"before": "before it is done", "after": "done and not answered", "lost": "which never arrives"}
        return f"at {'request' if self.call == ANY else self.call} number {self.nth}, {held[self.when]}"


@dataclass(frozen=True)
class AtLine:
    """Once the state's journal has grown by so many lines (a call's intention is one, its outcome another)."""

    lines: int

    def __str__(self) -> str:
        return f"after {self.lines} lines of the journal"


Moment = AtTime | AtRequest | AtLine


def moment(rng: Random, products: int) -> Moment:
    """By the clock, by what arrives at the studio, or by what stands in the journal.

    A catalogue takes two requests and four lines a product and more, so an apply is killed after a part of them.
    """
    match rng.randrange(5):
        case 0:
            return AtTime(rng.uniform(0.0, 3.5))
        case 1:
            return AtLine(1 + int(rng.expovariate(3 / products)))
        case 2:
            return AtRequest(ANY, 1 + int(rng.expovariate(6 / products)), _when(rng))
        case _:
            [call] = rng.choices([*CALLS], [*CALLS.values()])
            return AtRequest(call, rng.choice((1, 1, 2, 3)), _when(rng))


def _when(rng: Random) -> str:
    return rng.choice(("before", "after", "lost"))
