"""Faults on demand: what a client of a rendering service has to live with, made to happen as a file says.

    faults.yaml --read_faults--> Faults --+-- FaultyDoor   outermost: drops, delays, answers, expires and loses requests
                                          +-- Mishaps      in ``work``: delays, refuses and loses models and renders

Which requests a rule strikes follows from the file's seed, the rule's place, the call and how many of that call came
before: not from the order in which different calls arrive. Models and renders are counted by name (a render's is its
project's), so that it does not matter which of two workers is the quicker. The file's schema says what each rule does.
"""

from __future__ import annotations

import asyncio
import difflib
import hashlib
import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import responses
from pathlib import Path
from typing import Any, Literal, TypeAlias

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glossi_sync.schema_files import load_schema
from glossi_sync.service import wire
from glossi_sync.studio import yaml_file
from glossi_sync.studio.api.document import path_pattern
from glossi_sync.studio.api.errors import Refusal
from glossi_sync.studio.yaml_file import Mistake

log = logging.getLogger(__name__)

MODEL, RENDER, UPLOAD, FILE, ANY_CALL = "model", "render", "PUT upload", "GET /files/{filePath}", "*"

Drop: TypeAlias = Literal["request", "answer", "half"]

_FINISHED = {MODEL: "model, finished", RENDER: "render, finished"}
"""Where a rule strikes that loses one of them."""
_WORK = {*_FINISHED, *_FINISHED.values()}

ACTIONS = ("drop", "delay", "answer", "refuse", "expire", "lose")

_PLACES = {
    "refuse": (MODEL, RENDER),
    "expire": (UPLOAD,),
    "lose": (UPLOAD, FILE, MODEL, RENDER),
}
"""Where an action has a meaning, where that is not everywhere that there are requests."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a faults file; of its actions exactly one is set.

    ``number`` is its place, from 1; ``at`` a call, ``*``, ``model``, ``render`` or, for one that loses work, that work
    ``_FINISHED``.
    """

    number: int
    at: str
    drop: Drop | None
    delay: tuple[float, float] | None
    """Seconds, at least and at most."""
    answer: int | None
    retry_after: int | None
    after_work: bool
    refuse: str | None
    expire: bool
    lose: bool
    share: float
    after: int
    times: int | None


def read_faults(path: Path) -> Faults:
    """The faults of a file.

    Raises:
        FileMistakes: it cannot be used; every mistake with its line and column.
    """
    document = yaml_file.read(
        path,
        "faults",
        begins_with="a faults file is a mapping with a list of rules, 'faults'",
        sense=_mistakes_of_sense,
        better=_better,
    )
    rules = tuple(_rule(number, entry) for number, entry in enumerate(document["faults"], 1))
    return Faults(rules, seed=document.get("seed", 0))


class Faults:
    """Rules, and the count of what they have seen: one for each run of a studio."""

    def __init__(self, rules: tuple[Rule, ...] = (), *, seed: int = 0) -> None:
        self._rules = rules
        self._seed = seed
        self._seen: Counter[tuple[int, str]] = Counter()
        self._struck: Counter[tuple[int, str]] = Counter()

    def striking(self, at: str, subject: str) -> Iterator[tuple[Rule, float]]:
        """The rules that strike this time, each with a number between 0 and 1 that is as good as drawn by lot.

        Args:
            at: where it happens, as rules say it.
            subject: what is counted there.
        """
        for rule in self._rules:
            if rule.at != at and (rule.at != ANY_CALL or at in _WORK):
                continue
            key = rule.number, subject
            count = self._seen[key]
            self._seen[key] += 1
            if count < rule.after or (rule.times is not None and self._struck[key] >= rule.times):
                continue
            share, lot = self._drawn(rule.number, subject, count)
            if share < rule.share:
                self._struck[key] += 1
                log.info("fault: rule %d strikes %s (%s, the %dth)", rule.number, at, subject, count + 1)
                yield rule, lot

    def _drawn(self, number: int, subject: str, count: int) -> tuple[float, float]:
        drawn = hashlib.sha256(f"{self._seed}\n{number}\n{subject}\n{count}".encode()).digest()
        return int.from_bytes(drawn[:8]) / 2**64, int.from_bytes(drawn[8:16]) / 2**64

    # --- what ``work`` asks ------------------------------------------------------------------------------------------

    async def of_model(self, name: str) -> str | None:
        """Wait as long as the processing of a model of that name is to be delayed; why it is to fail, if it is."""
        return await self._of_work(MODEL, name)

    async def of_render(self, name: str) -> str | None:
        """The same for a render job on a project of that name."""
        return await self._of_work(RENDER, name)

    def loses_model(self, name: str) -> bool:
        """Whether a model of that name, now finished, is to be known no more."""
        return self._loses(_FINISHED[MODEL], name)

    def loses_render(self, name: str) -> bool:
        """Whether a render job on a project of that name, now finished, is to be known no more."""
        return self._loses(_FINISHED[RENDER], name)

    async def _of_work(self, at: str, name: str) -> str | None:
        refused: str | None = None
        for rule, lot in self.striking(at, name):
            if rule.delay is not None:
                await asyncio.sleep(_between(rule.delay, lot))
            refused = refused or rule.refuse
        return refused

    def _loses(self, at: str, name: str) -> bool:
        return bool(list(self.striking(at, name)))


class FaultyDoor:
    """ASGI middleware outside everything else: what happens to requests.

    Args:
        document: the application's OpenAPI document, which says what calls there are.
    """

    def __init__(self, app: ASGIApp, faults: Faults, document: Mapping[str, Any]) -> None:
        self._app = app
        self._faults = faults
        self._calls = tuple(_calls(document))
        self._expired: set[str] = set()
        self._lost: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = self._call(scope) if scope["type"] == "http" else None
        if call is None:
            await self._app(scope, receive, send)
            return
        struck: Rule | None = None
        for rule, lot in self._faults.striking(call, call):
            if rule.delay is not None:
                await asyncio.sleep(_between(rule.delay, lot))
            else:
                struck = struck or rule
        if struck is not None:
            self._remember(struck, call, scope)
        if _target(scope) in self._expired:
            await _refuse(
                Refusal(403, "request_expired", f"{wire.UPLOAD_EXPIRED}: make the model's record again"),
                scope, receive, send,
            )  # fmt: skip
        elif scope["path"] in self._lost:
            await _refuse(
                Refusal(404, "file_not_found", "there is no such file in this workspace"), scope, receive, send
            )
        elif struck is None:
            await self._app(scope, receive, send)
        else:
            await self._strike(struck, scope, receive, send)

    def _call(self, scope: Scope) -> str | None:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        return next((name for of, path, name in self._calls if of == method and path.fullmatch(scope["path"])), None)

    def _remember(self, rule: Rule, call: str, scope: Scope) -> None:
        if rule.expire:
            self._expired.add(_target(scope))
        elif rule.lose and call == FILE:
            self._lost.add(scope["path"])

    async def _strike(self, rule: Rule, scope: Scope, receive: Receive, send: Send) -> None:
        if rule.lose:
            await _read(receive)
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})
        elif rule.answer is not None:
            if rule.after_work:
                await self._app(scope, receive, _nowhere)
            phrase = responses.get(rule.answer, "Fault")
            headers = {} if rule.retry_after is None else {"Retry-After": str(rule.retry_after)}
            refusal = Refusal(
                rule.answer,
                phrase.lower().replace(" ", "_"),
                f"{phrase}: a fault on demand (rule {rule.number})",
                headers,
            )
            # What was worked on has been read already.
            await _refuse(refusal, scope, _nothing_more if rule.after_work else receive, send)
        elif rule.drop == "request":
            await _break_off(receive, send)
        elif rule.drop == "answer":
            await self._app(scope, receive, _nowhere)
            await _break_off(receive, send)
        else:
            await self._app(scope, receive, _half(send))
            await _break_off(receive, send)


def _calls(document: Mapping[str, Any]) -> Iterator[tuple[str, re.Pattern[str], str]]:
    """Method, path and name of every call that rules can name."""
    for path, item in document["paths"].items():
        for method in map(str.upper, item):
            if path.startswith("/uploads/"):
                yield method, path_pattern(path), UPLOAD
            elif path.startswith(f"{wire.API_PREFIX}/files/"):
                yield method, path_pattern(path), FILE
            elif path.startswith(wire.API_PREFIX):
                yield method, path_pattern(path), f"{method} {path.removeprefix(wire.API_PREFIX)}"


def _target(scope: Scope) -> str:
    return f"{scope['path']}?{scope['query_string'].decode('latin-1')}"


async def _refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    # Read first: a client that is still sending would see a broken connection in place of the answer.
    await _read(receive)
    await refusal.response()(scope, receive, send)


async def _read(receive: Receive) -> None:
    while (message := await receive())["type"] == "http.request" and message.get("more_body"):
        pass


async def _nothing_more() -> Message:
    return {"type": "http.request"}


async def _nowhere(_: Message) -> None:
    pass


def _half(send: Send) -> Send:
    """Pass half of an answer's first bytes on, and nothing of the rest."""
    passed = False

    async def pass_on(message: Message) -> None:
        nonlocal passed
        if message["type"] == "http.response.start":
            await send(message)
        elif message.get("body") and not passed:
            passed = True
            beginning = message["body"][: len(message["body"]) // 2]
            await send({"type": "http.response.body", "body": beginning, "more_body": True})

    return pass_on


async def _break_off(receive: Receive, send: Send) -> None:
    # ASGI knows no way to break a connection off; uvicorn's end of it is a method of what holds the transport.
    send.__self__.transport.abort()  # type: ignore[attr-defined]
    while (await receive())["type"] != "http.disconnect":
        pass


def _between(delay: tuple[float, float], lot: float) -> float:
    return delay[0] + (delay[1] - delay[0]) * lot


def _better(mistake: Mistake, document: Any) -> Mistake:
    match mistake.path:
        case ("faults", int(index), "at"):
            known = load_schema("faults")["properties"]["faults"]["items"]["properties"]["at"]["enum"]
            at = document["faults"][index]["at"]
            near = difflib.get_close_matches(str(at), known, 1)
            advice = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}"
            return Mistake(mistake.path, f"{at!r} is no call of the studio's; {advice}")
    return mistake


def _mistakes_of_sense(document: Mapping[str, Any]) -> Iterator[Mistake]:
    for index, entry in enumerate(document["faults"]):
        place = ("faults", index)
        actions = [action for action in ACTIONS if action in entry]
        if len(actions) != 1:
            found = "has none" if not actions else f"has {' and '.join(actions)}"
            yield Mistake(place, f"a rule has exactly one of {', '.join(ACTIONS)}; this one {found}")
            continue
        (action,) = actions
        at = entry["at"]
        if action in _PLACES:
            if at not in _PLACES[action]:
                yield Mistake((*place, action), f"'{action}' has a meaning at {' and '.join(_PLACES[action])} alone")
        elif at in {MODEL, RENDER} and action != "delay":
            yield Mistake((*place, action), f"work on a {at} is no request: it can be delayed, refused or lost")
        for key in ("retryAfter", "afterWork"):
            if key in entry and action != "answer":
                yield Mistake((*place, key), f"'{key}' goes with 'answer' alone")
        if action == "delay" and isinstance(entry["delay"], list) and entry["delay"][0] > entry["delay"][1]:
            yield Mistake((*place, "delay"), "the shorter delay comes first")


def _rule(number: int, entry: Mapping[str, Any]) -> Rule:
    delay = entry.get("delay")
    return Rule(
        number=number,
        at=_FINISHED.get(entry["at"], entry["at"]) if "lose" in entry else entry["at"],
        drop=entry.get("drop"),
        delay=None if delay is None else (delay[0], delay[1]) if isinstance(delay, list) else (delay, delay),
        answer=entry.get("answer"),
        retry_after=entry.get("retryAfter"),
        after_work=entry.get("afterWork", False),
        refuse=entry.get("refuse"),
        expire=entry.get("expire", False),
        lose=entry.get("lose", False),
        share=entry.get("share", 1.0),
        after=entry.get("after", 0),
        times=entry.get("times"),
    )
