"""Shards: all of them together plan exactly what one run would, whatever the spec and the state are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import NOW, Catalogue, catalogues, converge, decide, ideal_apply

from glossi_sync.planning import WHOLE, Action, Observed, Plan, Policy, Scope, Seen, ask, plan
from glossi_sync.planning.part import narrow, part_of
from glossi_sync.planning.shards import components
from glossi_sync.resources import LIFECYCLES, STEPS, Kind, Phase, Shard, Webhook, kind_of
from glossi_sync.spec import Desired, Guard, ProjectEntry, RenderEntry
from glossi_sync.state import Intent, Object, Realised, Subject

COUNTS = st.integers(1, 5)
HOOK = Webhook("https://shop.test/hook", ("render.complete",))
Desire = dict[str, Desired]


def scoped(
    desired: Desire,
    realised: Realised,
    scope: Scope,
    observed: Observed | None = None,
    policy: Policy | None = None,
    everything: bool = False,
) -> Plan:
    """As ``survey`` does it; the service is asked about the part alone."""
    policy = policy or Policy()
    part = part_of(scope, desired, realised)
    questions = ask(part.desired, part.realised)
    asked = {one.oid for one in (*questions.models, *questions.renders)}
    known = observed or Observed()
    heard = Observed(
        {oid: seen for oid, seen in known.seen.items() if oid in asked},
        known.asked_webhook and questions.webhook,
        known.webhook if questions.webhook else None,
    )
    whole = plan(desired, realised, heard, policy, now=NOW, everything=everything)
    return narrow(whole, scope, part, desired, realised, policy.guard)


def sharded(desired: Desire, realised: Realised, count: int, **more: object) -> list[Plan]:
    shards = [Scope(shard=Shard(index, count)) for index in range(1, count + 1)]
    return [scoped(desired, realised, scope, **more) for scope in shards]  # type: ignore[arg-type]


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Desire, Realised, Observed]:
    """A spec, a state that earlier specs and broken-off calls have left, and what the service says to it."""
    realised = Realised()
    for earlier in draw(st.lists(catalogues(), max_size=2)):
        realised = converge(earlier.desired(), realised)
    desired = draw(catalogues()).desired()
    objects = dict(realised.objects)
    seen: dict[int, Seen] = {}
    for oid, one in objects.items():
        lifecycle = LIFECYCLES[one.kind]
        phases = [lifecycle.complete, *(step.phase for step in lifecycle.steps), Phase.LOST]
        phases += [lifecycle.failed] if lifecycle.failed else []
        if draw(st.integers(0, 4)) == 0:
            objects[oid] = replace(one, phase=draw(st.sampled_from(phases)), expires=NOW + 1000)
        if one.kind in (Kind.MODEL, Kind.RENDER) and draw(st.integers(0, 4)) == 0:
            told = [lifecycle.complete, Phase.LOST, *([lifecycle.failed] if lifecycle.failed else [])]
            seen[oid] = Seen(draw(st.sampled_from(told)))
    bindings = dict(realised.bindings)
    has_hook = draw(st.sampled_from(["no", "wanted", "bound", "both"]))
    if has_hook in ("wanted", "both"):
        desired["webhook"] = Desired("webhook", Kind.WEBHOOK, HOOK.digest(), HOOK)
    if has_hook in ("bound", "both"):
        objects[0] = Object(0, Kind.WEBHOOK, draw(st.sampled_from([HOOK.digest(), "0" * 64])), Phase.SET)
        bindings["webhook"] = 0
    known = [Subject(address, want.digest) for address, want in desired.items()]
    known += [Subject(address, objects[oid].digest) for address, oid in bindings.items()]
    in_doubt = []
    for number in range(draw(st.integers(0, 3)) if known else 0):
        first = draw(st.sampled_from(known))
        kind = kind_of(first.address)
        like = [one for one in known if kind_of(one.address) is kind]
        subjects = (first, *draw(st.lists(st.sampled_from(like), max_size=2)))
        step = LIFECYCLES[kind].steps[0]
        in_doubt.append(
            Intent(number, 1, step.name, step.call, subjects if kind is not Kind.WEBHOOK else (first,), NOW)
        )
    observed = Observed(seen, asked_webhook=True, webhook=draw(st.sampled_from([None, HOOK])))
    return desired, Realised(objects, bindings, tuple(in_doubt)), observed


# --- what must hold for every world ----------------------------------------------------------------------------------


@settings(max_examples=150)
@given(worlds(), COUNTS, st.booleans(), st.booleans())
def test_all_shards_together_are_the_whole_plan_and_no_two_share_anything(
    world: tuple[Desire, Realised, Observed], count: int, everything: bool, ask_again: bool
) -> None:
    desired, realised, observed = world
    policy = Policy(ask_again=ask_again)
    whole = scoped(desired, realised, WHOLE, observed, policy, everything)
    parts = sharded(desired, realised, count, observed=observed, policy=policy, everything=everything)
    planned = list(chain.from_iterable(part.changes for part in parts))
    assert sorted(planned, key=_address) == sorted(whole.changes, key=_address)
    assert sum(part.unchanged for part in parts) == whole.unchanged
    seen = [item for part in parts for item in part.seen.items()]
    assert dict(seen) == whole.seen and len(seen) == len(whole.seen)
    abandoned = [one.call_id for part in parts for one in part.abandoned]
    starts = [one.call_id for one in whole.abandoned if one.step == "start" and len(one.subjects) > 1]
    assert len(set(abandoned)) == len(abandoned)
    assert {one.call_id for one in whole.abandoned} - set(abandoned) <= set(starts)
    assert sum((Counter(part.steps) for part in parts), Counter()) == whole.steps
    assert sum(part.upload_bytes for part in parts) == whole.upload_bytes


@given(worlds(), COUNTS)
def test_each_call_in_doubt_is_one_shards_and_a_start_is_let_go_of_by_nobody_else(
    world: tuple[Desire, Realised, Observed], count: int
) -> None:
    desired, realised, _ = world
    owners = Counter(
        one.call_id
        for index in range(1, count + 1)
        for one in part_of(Scope(shard=Shard(index, count)), desired, realised).realised.in_doubt
    )
    for one in realised.in_doubt:
        assert owners[one.call_id] == 1 or (one.step == STEPS["start"].name and owners[one.call_id] == 0)


@settings(max_examples=100)
@given(st.lists(catalogues(), max_size=3), catalogues(), COUNTS, st.data())
def test_shards_that_are_applied_in_any_order_or_side_by_side_leave_what_one_run_leaves(
    history: list[Catalogue], catalogue: Catalogue, count: int, data: st.DataObject
) -> None:
    realised = Realised()
    for earlier in history:
        realised = converge(earlier.desired(), realised)
    desired = catalogue.desired()
    one_run = converge(desired, realised)
    shards = data.draw(st.permutations([Scope(shard=Shard(index, count)) for index in range(1, count + 1)]))
    # Those that begin together have planned before any of them has done anything.
    together = {scope: scoped(desired, realised, scope) for scope in shards[: data.draw(st.integers(0, count))]}
    for scope in shards:
        realised = ideal_apply(together.get(scope) or scoped(desired, realised, scope), desired, realised)
    assert digests(realised) == digests(one_run)
    assert Counter(one.digest for one in realised.objects.values()) == Counter(
        one.digest for one in one_run.objects.values()
    )
    assert max(Counter(realised.bindings.values()).values(), default=0) <= 1
    assert scoped(desired, realised, WHOLE).is_settled


@given(catalogues())
def test_what_is_connected_is_in_one_component(catalogue: Catalogue) -> None:
    desired = catalogue.desired()
    component = components(desired.values())
    for address, want in desired.items():
        assert component[address] <= address
        assert all(component[parent] == component[address] for parent in want.parents)
        alike = [one.address for one in desired.values() if one.digest == want.digest]
        assert {component[one] for one in alike} == {component[address]}


def _address(change: object) -> str:
    return change.address  # type: ignore[attr-defined,no-any-return]


def digests(realised: Realised) -> dict[str, str]:
    return {address: realised.objects[oid].digest for address, oid in realised.bindings.items()}


# --- and in particular -----------------------------------------------------------------------------------------------


def products(count: int, content: Sequence[str] = ()) -> Catalogue:
    keys = [f"m{number}" for number in range(count)]
    contents = content or [f"{number:x}" for number in range(count)]
    return Catalogue(
        tuple((key, one, key) for key, one in zip(keys, contents, strict=True)),
        tuple(ProjectEntry(key, None, (key,), "studio", renders=(RenderEntry("web"),)) for key in keys),
    )


def test_equal_files_are_one_component_and_unlike_products_are_not() -> None:
    alike = components(products(3, ["a", "b", "a"]).desired().values())
    assert alike["model.m0"] == alike["render.m2/web"] != alike["model.m1"]


def test_a_catalogue_is_shared_about_equally() -> None:
    desired = products(16).desired()
    sizes = [len(part_of(Scope(shard=Shard(index, 4)), desired, Realised()).desired) for index in range(1, 5)]
    assert sum(sizes) == len(desired) and all(size % 3 == 0 for size in sizes) and max(sizes) < len(desired)


def test_an_emptied_spec_is_refused_by_every_shard_and_not_only_where_it_shows() -> None:
    realised = converge(products(16).desired())
    emptied = products(6).desired()
    parts = sharded(emptied, realised, 8, policy=Policy(guard=Guard(30, 10)))
    assert len({part.excess for part in parts}) == 1 and parts[0].excess is not None
    assert sum(part.actions[Action.FORGET] for part in parts) == 30


def test_what_has_left_the_spec_belongs_to_those_who_want_its_content_or_else_to_its_digest() -> None:
    realised = converge(products(4, ["a", "a", "b", "c"]).desired())
    desired = products(1, ["a"]).desired()
    for count in range(2, 9):
        [keeper] = [Shard(index, count) for index in range(1, count + 1) if Shard(index, count).holds("model.m0")]
        bound = part_of(Scope(shard=keeper), desired, realised).realised.bindings
        assert {"model.m0", "model.m1", "project.m1", "render.m1/web"} <= bound.keys()
        orphan = realised.objects[realised.bindings["model.m2"]].digest
        assert ("model.m2" in bound) == keeper.holds(orphan)


def test_an_object_that_another_shard_has_taken_over_is_kept_by_one_address_only() -> None:
    realised = converge(products(2, ["a", "b"]).desired())
    both = Realised(realised.objects, {**realised.bindings, "model.m1": realised.bindings["model.m0"]})
    decided = decide(products(2, ["a", "a"]).desired(), both)
    assert [(one.address, one.action) for one in decided.changes if one.kind is Kind.MODEL] == [
        ("model.m1", Action.RECREATE)
    ]
