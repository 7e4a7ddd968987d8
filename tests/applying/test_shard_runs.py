"""Shards that run side by side on one state, whatever the order of their steps: what they leave is what one run leaves."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from simulation.service import KEY, Service, Temper
from virtual_time import run_in_virtual_time
from worlds import SETTINGS, Catalogue, catalogues

from glossi_sync.applying import Setup, Stop, apply, new_id
from glossi_sync.planning import WHOLE, Policy, Scope, survey
from glossi_sync.resources import Model, Shard, TemplateRef
from glossi_sync.service import Glossi
from glossi_sync.spec import ModelEntry, Spec
from glossi_sync.state import MemoryState

ENDPOINT = "https://studio.test/api/v1"
ROOT = Path(tempfile.gettempdir())


@dataclass(frozen=True)
class Letter:
    """A model's file of one letter; implements ``ModelFile``."""

    letter: str
    name: str = "letter.glb"

    def size(self) -> int:
        return len(self.letter)

    async def pieces(self, seen: Callable[[bytes], object], run_blocking: Any) -> AsyncIterator[bytes]:
        seen(self.letter.encode())
        yield self.letter.encode()


class Shopkeeper:
    """One state, one service, and runs of specs on both."""

    def __init__(self, service: Service, random: Random) -> None:
        self.state = MemoryState(service=ENDPOINT)
        self._service = service
        self._random = random

    async def run(self, catalogue: Catalogue, scope: Scope, read: Callable[[str], str] = str) -> Counter[str]:
        """As ``apply --yes`` does it, with commits that take their time; the steps that it took.

        ``read`` is what a file has when it is read, if not what was hashed.
        """
        await asyncio.sleep(self._random.random() * 3)
        letters = {key: letter for key, letter, _ in catalogue.models}
        spec = Spec(
            sources=(),
            folder=Path(),
            fingerprint="sha256:" + "0" * 64,
            workspace="test",
            names_count=catalogue.names_count,
            models={
                key: ModelEntry(key, name, f"{key}.glb", f"/{key}.glb", "glb") for key, _, name in catalogue.models
            },
            templates={"studio": TemplateRef(name="Studio Light"), "dark": TemplateRef(name="Dark Luxe")},
            render_settings=SETTINGS,
            projects={project.key: project for project in catalogue.projects},
        )
        models = {
            key: Model("glb", hashlib.sha256(letter.encode()).hexdigest(), f"{key}.glb", 1)
            for key, letter in letters.items()
        }
        rng = Random(self._random.random())
        clock = asyncio.get_running_loop().time
        async with Glossi(
            ENDPOINT, KEY, transport=self._service.asgi, rng=rng, wall_clock=clock, run_blocking=self._commit
        ) as service:
            surveyed = await survey(spec, models, self.state, service, policy=Policy(), clock=clock, scope=scope)
            setup = Setup(
                service=service,
                state=self.state,
                desired=surveyed.desired,
                realised=surveyed.realised,
                file_of=lambda address: Letter(read(letters[address.removeprefix("model.")])),
                policy=Policy(),
                emit=lambda _: None,
                stop=Stop(),
                keep_secret=lambda _: ("", ()),
                clock=clock,
                rng=rng,
                run_blocking=self._commit,
            )
            applied = await apply(surveyed.plan, setup, run_id=new_id(rng), command="apply")
            if read is str:
                assert applied.converged, applied
                assert Counter(applied.steps) == surveyed.plan.steps
            assert Counter(applied.calls) <= Counter(surveyed.plan.calls)
            return Counter(applied.steps)

    async def _commit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        await asyncio.sleep(self._random.random() * 0.5)
        return function(*arguments)

    def digests(self) -> dict[str, str]:
        realised = self.state.realised()
        assert not realised.in_doubt
        assert max(Counter(realised.bindings.values()).values(), default=0) <= 1
        return {address: realised.objects[oid].digest for address, oid in realised.bindings.items()}


async def tell(history: Sequence[Catalogue], last: Catalogue, shards: int, random: Random) -> tuple[Any, ...]:
    """The history's specs, each in one run, and the last in so many shards at once: what is left, and what it took."""
    service = Service(
        ROOT,
        random.getrandbits(30),
        clock=asyncio.get_running_loop().time,
        temper=Temper(processing=0.5, rendering=1.0),
    )
    await service.start()
    try:
        shop = Shopkeeper(service, random)
        for catalogue in history:
            await shop.run(catalogue, WHOLE)
        scopes = [Scope(shard=Shard(index, shards)) for index in range(1, shards + 1)] if shards > 1 else [WHOLE]
        taken = sum(await asyncio.gather(*(shop.run(last, scope) for scope in scopes)), Counter())
        truth = service.truth()
        objects = Counter(one.digest for one in shop.state.realised().objects.values())
        return shop.digests(), objects, taken, len(truth.models), len(truth.projects), len(truth.jobs)
    finally:
        await service.stop()
        service.clean_up()


@settings(max_examples=10)
@given(st.lists(catalogues(), max_size=2), catalogues(), st.integers(2, 4), st.integers(0, 2**30))
def test_shards_side_by_side_leave_what_one_run_leaves(
    history: list[Catalogue], last: Catalogue, shards: int, seed: int
) -> None:
    one_run = run_in_virtual_time(tell(history, last, 1, Random(seed)))
    side_by_side = run_in_virtual_time(tell(history, last, shards, Random(seed + 1)))
    assert side_by_side == one_run


def test_what_two_addresses_exchange_stays_theirs_whichever_shard_is_first() -> None:
    """One shard takes over what an address of the other was bound to, before or after that has another object."""
    before = Catalogue((("a", "1", "A"), ("d", "2", "D"), ("e", "3", "E")))
    after = replace(before, models=(("a", "2", "A"), ("d", "3", "D"), ("e", "1", "E")))
    expected = run_in_virtual_time(tell([before], after, 1, Random(0)))
    for seed in range(12):
        assert run_in_virtual_time(tell([before], after, 2 + seed % 3, Random(seed))) == expected


def test_an_upload_of_a_file_that_has_changed_leaves_no_call_in_doubt() -> None:
    async def tell_of_it() -> None:
        service = Service(ROOT, 1, clock=asyncio.get_running_loop().time, temper=Temper())
        await service.start()
        try:
            shop = Shopkeeper(service, Random(1))
            taken = await shop.run(Catalogue((("a", "1", "A"),)), WHOLE, read=lambda _: "?")
            assert taken == {"record": 1}
            assert shop.state.realised().in_doubt == ()
        finally:
            await service.stop()
            service.clean_up()

    run_in_virtual_time(tell_of_it())
