"""How many calls a plan allows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from worlds import Catalogue, catalogues, decide

from glossi_sync.planning import allowance
from glossi_sync.planning.estimate import group_steps
from glossi_sync.state import Realised


@given(st.integers(1, 200_000))
def test_an_allowance_is_never_more_than_a_call_each_and_always_enough_for_full_calls(members: int) -> None:
    assert -(-members // 100) <= allowance(members) <= members


def test_a_thousand_products_take_less_than_a_tenth_of_a_batched_call_each() -> None:
    assert 3 * allowance(1000) <= 100


@given(catalogues())
def test_members_of_a_group_can_be_told_apart_by_what_they_are_made_from(catalogue: Catalogue) -> None:
    desired = catalogue.desired()
    decided = decide(desired, Realised())
    members: dict[object, list[str]] = {}
    for (address, _), group in group_steps(decided.changes, desired).items():
        members.setdefault(group, []).append(desired[address].parents[0] if desired[address].parents else address)
    assert all(len(set(parents)) == len(parents) for parents in members.values())
