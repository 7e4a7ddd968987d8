"""Lifecycles: every step moves its object on, and the drawing over each table draws that table."""

from __future__ import annotations

import re
from types import ModuleType

import pytest

from glossi_sync.resources import LIFECYCLES, STEPS, InDoubt, Kind, Lifecycle, Phase, model, project, render, webhook
from glossi_sync.resources.webhook import DELETE

MODULES: dict[Kind, ModuleType] = {
    Kind.MODEL: model,
    Kind.PROJECT: project,
    Kind.RENDER: render,
    Kind.WEBHOOK: webhook,
}
ALL = pytest.mark.parametrize("kind", list(Kind))


def phases_in_order(lifecycle: Lifecycle) -> list[Phase]:
    """The phases of an object to which everything goes well."""
    steps = [step.phase for step in lifecycle.steps]
    return steps if steps[-1] is lifecycle.complete else [*steps, lifecycle.complete]


def test_every_kind_has_one_lifecycle_and_every_step_one_name() -> None:
    assert list(LIFECYCLES) == list(Kind)
    assert all(LIFECYCLES[kind].kind is kind for kind in Kind)
    steps = [step for one in LIFECYCLES.values() for step in (*one.steps, *([one.retry] if one.retry else []))]
    assert {step.name: step for step in [*steps, DELETE]} == STEPS
    assert len(STEPS) == len(steps) + 1


@ALL
def test_every_step_moves_its_object_forward(kind: Kind) -> None:
    lifecycle = LIFECYCLES[kind]
    before: Phase | None = None
    for number, step in enumerate(lifecycle.steps):
        assert lifecycle.remaining(before) == lifecycle.steps[number:]
        assert step.phase not in [earlier.phase for earlier in lifecycle.steps[:number]]
        before = step.phase
    assert lifecycle.remaining(before) == ()


@ALL
def test_nothing_remains_for_what_is_complete_or_failed_and_everything_for_what_is_lost(kind: Kind) -> None:
    lifecycle = LIFECYCLES[kind]
    assert lifecycle.remaining(lifecycle.complete) == ()
    if lifecycle.failed is not None:
        assert lifecycle.remaining(lifecycle.failed) == ()
    assert lifecycle.remaining(Phase.LOST) == lifecycle.remaining(None) == lifecycle.steps


@ALL
def test_what_remains_grows_shorter_from_phase_to_phase(kind: Kind) -> None:
    lifecycle = LIFECYCLES[kind]
    left = [len(lifecycle.remaining(phase)) for phase in phases_in_order(lifecycle)]
    assert left == sorted(left, reverse=True)
    assert left[-1] == 0


@ALL
def test_the_service_works_on_what_has_all_its_steps_behind_it(kind: Kind) -> None:
    lifecycle = LIFECYCLES[kind]
    if lifecycle.waiting is None:
        assert lifecycle.steps[-1].phase is lifecycle.complete
    else:
        assert lifecycle.steps[-1].phase is lifecycle.waiting is not lifecycle.complete
    if lifecycle.retry is not None:
        assert lifecycle.retry.phase is lifecycle.waiting


def test_what_an_in_doubt_call_asks_of_the_next_run_is_the_architectures_table() -> None:
    assert {name: (step.in_doubt, step.may_stray) for name, step in STEPS.items()} == {
        "record": (InDoubt.ASK_AGAIN, True),
        "upload": (InDoubt.ASK_AGAIN, False),
        "confirm": (InDoubt.LOOK_FIRST, False),
        "create": (InDoubt.ASK_AGAIN, True),
        "start": (InDoubt.HOLD, True),
        "retry": (InDoubt.LOOK_FIRST, False),
        "put": (InDoubt.ASK_AGAIN, False),
        "delete": (InDoubt.ASK_AGAIN, False),
    }


@ALL
def test_the_drawing_draws_the_table(kind: Kind) -> None:
    lifecycle = LIFECYCLES[kind]
    assert MODULES[kind].__doc__ is not None
    drawing = re.search(r"::\n\n(.*?)\n\n", MODULES[kind].__doc__, re.DOTALL)
    assert drawing is not None
    first_line = next(line for line in drawing[1].splitlines() if "(nothing)" in line)
    steps = re.findall(r"--(\w+)--> (\w+)", first_line)
    steps = list(dict.fromkeys(steps))  # the webhook is put again and again
    assert steps == [(step.name, step.phase.value) for step in lifecycle.steps]
    works = re.search(r"~~the service works~~> (\w+)", first_line)
    assert (works[1] if works else None) == (lifecycle.complete.value if lifecycle.waiting else None)
    fails = re.search(r"\\~~> (\w+)", drawing[1])
    assert (fails[1] if fails else None) == (lifecycle.failed.value if lifecycle.failed else None)
    assert ("--retry--" in drawing[1]) is (lifecycle.retry is not None)
