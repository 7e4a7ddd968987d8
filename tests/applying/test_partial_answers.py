"""An answer that names a part of what was asked for: that part is done, and the rest alone is asked for again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import NOW, Catalogue, converge, decide

from glossi_sync.applying import Applied, Setup, Stop, apply
from glossi_sync.planning import Policy
from glossi_sync.resources import Kind
from glossi_sync.service import CreatedProject, Glossi, InDoubt, LocalFile
from glossi_sync.spec import ProjectEntry
from glossi_sync.state import Bind, MemoryState, PutObject

KEYS = "abcdef"


class Forgetful:
    """A service whose answers to POST /projects leave out some of what it made, as each of ``losses`` says."""

    def __init__(self, losses: Sequence[set[int]], surplus: bool = False) -> None:
        self.calls: Counter[str] = Counter()
        self.asked: list[list[str]] = []
        self._losses = list(losses)
        self._surplus = surplus

    async def create_projects(self, model_ids: Sequence[str], template_id: str) -> tuple[CreatedProject, ...]:
        self.asked.append(list(model_ids))
        self.calls["POST /projects"] += 1
        lost = self._losses.pop(0) if self._losses else set()
        number = len(self.asked)
        made = [
            CreatedProject(f"p{number}-{one}", "Unnamed", "CREATED", (one,), template_id)
            for place, one in enumerate(model_ids)
            if place not in lost
        ]
        if len(made) < len(model_ids) or self._surplus:
            self._surplus = False
            raise InDoubt(call="POST /projects", doing="x", where="x", happened="x", partial=tuple(made))
        return tuple(made)


def applied(service: Forgetful) -> tuple[Applied, MemoryState]:
    """An apply of a project for each of six models, which are realised already."""
    models = tuple((key, str(place), key.upper()) for place, key in enumerate(KEYS))
    project = ProjectEntry("all", None, tuple(KEYS), "studio", create_per_model=True)
    desired = Catalogue(models, (project,)).desired()
    state = MemoryState(service="https://studio.test")
    realised = converge(Catalogue(models).desired())
    for one in realised.objects.values():
        state.write([PutObject(one)])
    state.write([Bind(address, oid) for address, oid in realised.bindings.items()])

    async def inline(function: Any, *arguments: Any) -> Any:
        return function(*arguments)

    async def run() -> Applied:
        setup = Setup(
            service=cast(Glossi, service),
            state=state,
            desired=desired,
            realised=realised,
            file_of=lambda address: LocalFile(Path(address)),
            policy=Policy(),
            emit=lambda _: None,
            stop=Stop(),
            keep_secret=lambda _: ("", ()),
            clock=lambda: NOW,
            rng=Random(1),
            run_blocking=inline,
        )
        return await apply(decide(desired, realised), setup, run_id=1, command="apply")

    return asyncio.run(run()), state


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sets(st.integers(0, 5), max_size=4), max_size=2))
def test_only_what_no_answer_has_named_is_asked_for_again(losses: list[set[int]]) -> None:
    service = Forgetful(losses)
    done, state = applied(service)
    assert done.converged
    for before, again, lost in zip(service.asked, service.asked[1:], losses, strict=False):
        assert again == [one for place, one in enumerate(before) if place in lost]
    realised = state.realised()
    projects = [one for one in realised.objects.values() if one.kind is Kind.PROJECT]
    assert sorted(realised.bindings[f"project.all/{key}"] for key in KEYS) == sorted(one.oid for one in projects)
    assert done.steps == {"create": 6}
    assert realised.in_doubt == ()
    assert len(state.strays()) == len(service.asked) - 1


def test_what_is_still_in_doubt_after_some_askings_is_in_doubt_alone() -> None:
    service = Forgetful([{0, 1}, {0}, {0}])
    done, state = applied(service)
    assert set(done.failed) == {f"project.all/{key}" for key in KEYS}
    assert done.steps == {"create": 5}
    assert {one.address for row in state.realised().in_doubt for one in row.subjects} == {
        "project.all/a",
        "project.all/b",
    }
    assert sum(address.startswith("project.") for address in state.realised().bindings) == 5


def test_an_answer_with_more_than_was_asked_for_ends_the_call_and_is_noted() -> None:
    service = Forgetful([], surplus=True)
    done, state = applied(service)
    assert done.converged
    assert len(service.asked) == 1
    assert state.realised().in_doubt == ()
    [stray] = state.strays()
    assert stray.kind is Kind.PROJECT
    assert stray.reason.endswith("it was answered with more than was asked for")
