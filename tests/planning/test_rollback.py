"""A rollback binds again what an earlier run left, without a step, and knows what was asked for then."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from worlds import Catalogue, catalogues, converge, decide

from glossi_sync.planning import Action, remembered, roll_back
from glossi_sync.planning.explain import inputs_of
from glossi_sync.spec import Desired
from glossi_sync.state import Realised


def rolled_back(past: dict[str, int], realised: Realised) -> Realised:
    decided = roll_back(past, realised)
    assert not decided.steps
    assert not decided.calls
    bindings = dict(realised.bindings)
    for change in decided.changes:
        if change.action is Action.FORGET:
            del bindings[change.address]
        else:
            assert change.action is Action.ADOPT
            assert change.oid is not None
            bindings[change.address] = change.oid
    return Realised(realised.objects, bindings)


@given(catalogues(), st.lists(catalogues(), max_size=3))
def test_it_restores_the_bindings_of_that_run(first: Catalogue, later: list[Catalogue]) -> None:
    then = converge(first.desired())
    now = then
    for catalogue in later:
        now = converge(catalogue.desired(), now)
    again = rolled_back(dict(then.bindings), now)
    assert again.bindings == then.bindings
    assert decide(first.desired(), again).is_settled
    assert roll_back(then.bindings, again).is_empty


@given(catalogues())
def test_what_was_asked_for_is_read_back_from_the_objects(catalogue: Catalogue) -> None:
    desired: dict[str, Desired] = catalogue.desired()
    realised = converge(desired)
    stored = {oid: inputs_of(desired[address]) for address, oid in realised.bindings.items()}
    assert remembered(realised.bindings, realised, lambda oids: {oid: stored[oid] for oid in oids}) == desired
