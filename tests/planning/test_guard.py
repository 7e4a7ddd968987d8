"""The guard refuses plans that take away too much at once, and nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from worlds import NOW, Catalogue, converge

from glossi_sync.planning import Action, Change, Observed, Policy, plan
from glossi_sync.planning.guard import excess
from glossi_sync.resources import Kind
from glossi_sync.spec import Guard

TWENTY = Catalogue(tuple((f"m{n}", f"{n:064x}", f"Model {n}") for n in range(20)))


def only(count: int) -> Catalogue:
    return Catalogue(TWENTY.models[:count])


def refusal(catalogue: Catalogue, guard: Guard | None) -> str | None:
    decided = plan(catalogue.desired(), converge(TWENTY.desired()), Observed(), Policy(guard=guard), now=NOW)
    return decided.excess


def test_a_spec_cut_short_is_refused_and_told_how_to_go_on() -> None:
    said = refusal(only(13), Guard())
    assert said is not None
    assert "of 20 existing addresses 7 forgotten (35 %; the guard allows 30 %)" in said
    assert "--allow-large-change" in said


def test_thirty_per_cent_is_let_pass() -> None:
    assert refusal(only(14), Guard()) is None


def test_the_spec_sets_the_thresholds() -> None:
    assert refusal(only(14), Guard(percent=29)) is not None
    assert refusal(only(0), Guard(percent=100)) is None
    assert refusal(only(0), Guard(existing=21)) is None


def test_without_a_guard_nothing_is_too_much() -> None:
    assert refusal(only(0), None) is None


def test_renamed_keys_take_nothing_away() -> None:
    renamed = Catalogue(tuple((f"renamed-{key}", content, name) for key, content, name in TWENTY.models))
    assert refusal(renamed, Guard()) is None


actions = st.lists(st.sampled_from(list(Action)), max_size=40)


@given(actions, st.integers(0, 60), st.integers(0, 100), st.integers(0, 30))
def test_exactly_what_is_over_the_share_is_refused(
    taken: list[Action], existing: int, percent: int, least: int
) -> None:
    changes = [Change(f"model.m{n}", Kind.MODEL, action, "") for n, action in enumerate(taken)]
    lost = sum(action in (Action.REPLACE, Action.FORGET, Action.REMOVE) for action in taken)
    refused = excess(changes, existing, Guard(percent, least)) is not None if existing else False
    assert refused == (existing > 0 and existing >= least and lost / existing * 100 > percent + 1e-9)
