"""When a server is killed: seeded, and of every sort: by the clock, by its load, and at what it has just done.

What a moment by a *point* waits for is passed by the server itself, or by one of its workers, which then kills it (see
``studio``). A life of a server has one moment.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from random import Random

COMMIT, ANALYSIS, RENDER, DELIVERY, FILE, PICTURE = "commit", "analysis", "render", "delivery", "file", "picture"

REQUESTS: Mapping[str, int] = {
    "POST /models": 2,
    "PUT upload": 3,
    "POST /models/{id}/confirm": 3,
    "POST /models/status": 1,
    "POST /projects": 2,
    "POST /renders": 3,
    "GET /renders/{id}": 1,
    "POST /renders/{id}/retry": 2,
    "POST /jobs": 2,
    "POST /jobs/{id}/confirm": 2,
    "PUT /webhooks": 1,
}
"""How often a kill waits for each call."""

_WORDS: Mapping[tuple[str, str], str] = {
    (COMMIT, "before"): "before a transaction is committed",
    (COMMIT, "after"): "after a transaction, of which nobody has heard",
    (ANALYSIS, "before"): "while a worker looks at a model",
    (ANALYSIS, "after"): "after a worker has looked at a model, before that is recorded",
    (RENDER, "before"): "while a worker renders",
    (RENDER, "after"): "after a worker has rendered, before that is recorded",
    (DELIVERY, "before"): "before a delivery is sent",
    (DELIVERY, "after"): "after a delivery was answered, before that is recorded",
    (FILE, "after"): "after a worker has put a file into the storage",
    (PICTURE, "after"): "between two pictures of a job",
}


@dataclass(frozen=True)
class AtTime:
    """So many seconds after its start, or after it began to answer."""

    seconds: float
    answering: bool

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s after it {'began to answer' if self.answering else 'was started'}"


@dataclass(frozen=True)
class UnderWay:
    """As soon as so many requests are under way at once."""

    requests: int

    def __str__(self) -> str:
        return f"with {self.requests} requests under way"


@dataclass(frozen=True)
class AtPoint:
    """When it comes to a point for the nth time. A request's are ``before`` anything sees it, ``after`` it is done and
    before a byte of the answer is sent, ``half`` of the answer sent."""

    point: str
    when: str
    nth: int

    def __str__(self) -> str:
        words = _WORDS.get((self.point, self.when))
        if words is None:
            held = {"before": "before it is done", "after": "done and not answered", "half": "and half of its answer"}
            words = f"at {self.point}, {held[self.when]}"
        return f"{words}, number {self.nth}"


Moment = AtTime | UnderWay | AtPoint


def moment(rng: Random) -> Moment:
    """One of the four sorts; what happens often in a server's life is waited for longer."""
    match rng.randrange(10):
        case 0:
            return AtTime(rng.uniform(0.0, 1.5), answering=False)
        case 1 | 2:
            return AtTime(rng.uniform(0.0, 2.0), answering=True)
        case 3:
            return UnderWay(rng.randint(2, 10))
        case 4 | 5:
            return AtPoint(COMMIT, _side(rng), 1 + int(rng.expovariate(1 / 40)))
        case 6 | 7:
            [call] = rng.choices([*REQUESTS], [*REQUESTS.values()])
            return AtPoint(call, rng.choice(("before", "after", "after", "half")), rng.choice((1, 1, 2, 4)))
        case _:
            point = rng.choice((ANALYSIS, RENDER, DELIVERY, FILE, PICTURE))
            when = "after" if point in (FILE, PICTURE) else _side(rng)
            return AtPoint(point, when, 1 + int(rng.expovariate(1 / 8)))


def spelled(given: Moment) -> str:
    """For an environment variable."""
    return json.dumps([type(given).__name__, asdict(given)])


def read(text: str) -> Moment:
    """What ``spelled`` has spelled."""
    name, fields = json.loads(text)
    sort: type[Moment] = {"AtTime": AtTime, "UnderWay": UnderWay, "AtPoint": AtPoint}[name]
    return sort(**fields)


def _side(rng: Random) -> str:
    return rng.choice(("before", "after"))
