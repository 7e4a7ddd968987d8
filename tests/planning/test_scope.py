"""A scope narrows a plan to what the user has named, and makes anew what the user wants anew."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_shards import products, scoped
from worlds import NOW, Catalogue, catalogues, converge, decide, ideal_apply

from glossi_sync.planning import WHOLE, Action, Observed, Plan, Policy, Scope, UnknownAddress, plan
from glossi_sync.planning.scope import matching, with_children, with_parents
from glossi_sync.resources import Shard, Webhook
from glossi_sync.spec import Guard
from glossi_sync.state import Realised

TWO = products(2).desired()


def anew(desired: dict[str, object], realised: Realised, *patterns: str) -> Plan:
    chosen = with_children(matching(patterns, desired, "--replace"), desired)  # type: ignore[arg-type]
    return plan(desired, realised, Observed(), Policy(), now=NOW, anew=chosen)  # type: ignore[arg-type]


# --- targets ---------------------------------------------------------------------------------------------------------


@given(catalogues(), catalogues(), st.data())
def test_a_target_converges_with_all_that_it_is_made_from_and_nothing_else_moves(
    first: Catalogue, second: Catalogue, data: st.DataObject
) -> None:
    realised, desired = converge(first.desired()), second.desired()
    known = sorted(desired.keys() | realised.bindings.keys())
    if not known:
        return
    target = data.draw(st.sampled_from(known))
    decided = scoped(desired, realised, Scope(targets=(target,)))
    assert {change.address for change in decided.changes} <= with_parents([target], desired)
    whole = decide(desired, realised)
    assert set(decided.changes) <= set(whole.changes)
    after = ideal_apply(decided, desired, realised)
    assert scoped(desired, after, Scope(targets=(target,))).is_settled if target in desired else True
    untouched = realised.bindings.keys() - with_parents([target], desired)
    moved = {change.moved_from for change in decided.changes}
    assert {one: after.bindings.get(one) for one in untouched - moved} == {
        one: realised.bindings[one] for one in untouched - moved
    }


def test_a_pattern_stands_for_many_addresses() -> None:
    addresses = dict.fromkeys(["render.lamp/web", "render.lamp2/web", "render.chairs/oak/web", "model.lamp", "webhook"])
    assert matching(["render.lamp*/web"], addresses, "--target") == {"render.lamp/web", "render.lamp2/web"}
    assert matching(["render.*"], addresses, "--target") == {one for one in addresses if one.startswith("render.")}
    assert matching(["model.lam?", "webhook"], addresses, "--target") == {"model.lamp", "webhook"}


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("model.lmap", "there is no such address; did you mean 'model.lamp'?"),
        ("render.chairs", "there is no such address; did you mean 'render.chairs/*'?"),
        ("render.z*", "no address of the spec or the state matches this"),
    ],
)
def test_a_target_that_there_is_not_is_told_with_what_is_near(pattern: str, said: str) -> None:
    with pytest.raises(UnknownAddress) as told:
        matching([pattern], dict.fromkeys(["model.lamp", "render.chairs/oak/web"]), "--target")
    assert str(told.value) == f"--target {pattern}: {said}"


def test_a_target_that_has_left_the_spec_is_forgotten_alone() -> None:
    decided = scoped(products(1).desired(), converge(TWO), Scope(targets=("render.m1/web",)))
    assert [(one.address, one.action) for one in decided.changes] == [("render.m1/web", Action.FORGET)]


def test_a_target_and_a_shard_are_what_both_name() -> None:
    scopes = [Scope(targets=("render.m0/web",), shard=Shard(index, 2)) for index in (1, 2)]
    counts = sorted(len(scoped(TWO, Realised(), scope).changes) for scope in scopes)
    assert counts == [0, 3]


def test_the_guard_compares_what_a_target_loses_with_all_that_there_is() -> None:
    realised = converge(products(12).desired())
    policy = Policy(guard=Guard(30, 10))
    few = products(2).desired()
    assert scoped(few, realised, WHOLE, policy=policy).excess is not None
    assert scoped(few, realised, Scope(targets=("*.m5*",)), policy=policy).excess is None


# --- made anew -------------------------------------------------------------------------------------------------------


@given(catalogues(), st.data())
def test_what_is_to_be_made_anew_takes_all_its_steps_and_so_does_what_is_made_from_it(
    catalogue: Catalogue, data: st.DataObject
) -> None:
    desired = catalogue.desired()
    if not desired:
        return
    realised = converge(desired)
    named = data.draw(st.sampled_from(list(desired)))
    decided = anew(desired, realised, named)
    below = with_children([named], desired)
    assert {change.address for change in decided.changes} == below
    assert all(change.action is Action.RECREATE and change.steps and change.oid is None for change in decided.changes)
    after = ideal_apply(decided, desired, realised)
    assert all((after.bindings[one] != realised.bindings[one]) == (one in below) for one in desired)
    assert {one: after.objects[oid].digest for one, oid in after.bindings.items()} == {
        one: want.digest for one, want in desired.items()
    }
    assert decide(desired, after).is_settled


def test_it_says_who_was_asked_for_and_who_follows() -> None:
    decided = anew(TWO, converge(TWO), "model.m0")
    assert [change.reason for change in decided.changes] == [
        "to be made anew, as asked for",
        "what it was made from has to be made again",
        "what it was made from has to be made again",
    ]


def test_nobody_else_takes_over_what_is_to_be_made_anew() -> None:
    realised = converge(products(1, ["a"]).desired())
    decided = anew(products(2, ["a", "a"]).desired(), realised, "model.m0")
    assert {change.action for change in decided.changes} == {Action.CREATE, Action.RECREATE}


def test_the_difference_of_two_webhooks_does_not_show_what_may_be_secret() -> None:
    from test_shards import HOOK

    from glossi_sync.resources import Kind
    from glossi_sync.spec import Desired

    want = {"webhook": Desired("webhook", Kind.WEBHOOK, HOOK.digest(), HOOK)}
    for there, said in [
        ("https://user:canary@old.test/canary?canary", "https://old.test -> https://shop.test"),
        ("https://shop.test/canary", "https://shop.test, with another path or query"),
        ("canary", "no URL -> https://shop.test"),
    ]:
        observed = Observed(asked_webhook=True, webhook=Webhook(there, HOOK.events))
        [change] = plan(want, Realised(), observed, Policy(), now=NOW).changes
        assert change.diff[0].text == said
