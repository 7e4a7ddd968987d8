"""A spec that begins to count names, or stops: many replacements, told as the one decision that they are."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, given
from rich.console import Console
from worlds import Catalogue, catalogues, converge, decide

from glossi_sync.planning import Action, Plan, explain
from glossi_sync.planning.explain import inputs_of
from glossi_sync.planning.names import COUNT_NO_MORE, COUNT_NOW
from glossi_sync.reporting import plan_document, plan_markdown, plan_text
from glossi_sync.spec import ProjectEntry, RenderEntry

FIFTY = Catalogue(
    tuple((f"m{number}", f"{number:064x}", f"Model {number}") for number in range(50)),
    (ProjectEntry("all", None, ("m1", "m2"), "studio", renders=(RenderEntry("web"),)),),
)


def switched(catalogue: Catalogue) -> Catalogue:
    return replace(catalogue, names_count=not catalogue.names_count)


def plan_between(before: Catalogue, after: Catalogue) -> Plan:
    old, desired = before.desired(), after.desired()
    realised = converge(old)
    stored = {oid: inputs_of(old[address]) for address, oid in realised.bindings.items()}
    return explain(decide(desired, realised), desired, realised, lambda oids: {oid: stored[oid] for oid in oids})


@given(catalogues())
def test_all_that_is_replaced_then_is_replaced_for_that_reason(catalogue: Catalogue) -> None:
    plan = plan_between(catalogue, switched(catalogue))
    replaced = [change for change in plan.changes if change.action is Action.REPLACE]
    assert {change.reason for change in replaced} <= {COUNT_NO_MORE if catalogue.names_count else COUNT_NOW}
    assert (plan.remark is not None) == bool(replaced)
    assert not any(change.diff for change in replaced)


@given(catalogues())
def test_going_back_makes_nothing(catalogue: Catalogue) -> None:
    there = switched(catalogue).desired()
    realised = converge(there, converge(catalogue.desired()))
    assert not decide(catalogue.desired(), realised).steps


@given(catalogues(), catalogues())
def test_what_is_replaced_for_anything_else_says_so(first: Catalogue, second: Catalogue) -> None:
    assume(first.names_count == second.names_count)
    plan = plan_between(first, second)
    assert plan.remark is None
    assert not any(change.reason in (COUNT_NOW, COUNT_NO_MORE) for change in plan.changes)


def test_it_is_one_sentence_in_each_report() -> None:
    plan = plan_between(FIFTY, switched(FIFTY))
    sentence = (
        "52 of the replacements have one cause and no other: names count now (`names: replace`). What was made before "
        "stays remembered: with `names: keep` it is bound again, and nothing is made."
    )
    console = Console(width=500, force_terminal=False, no_color=True)
    with console.capture() as captured:
        console.print(plan_text(plan), end="")
    text = captured.get()
    assert text.count(sentence) == 1
    assert "names count now (`names: replace`): record → upload → confirm" in text
    assert "… and 49 more like it" in text
    assert plan_document(plan)["remark"] == sentence
    assert sentence in plan_markdown(plan)


def test_what_changes_besides_is_told_as_ever() -> None:
    changed = replace(FIFTY, models=(("m0", "f" * 64, "Model 0"), *FIFTY.models[1:]), names_count=True)
    [told] = [change for change in plan_between(FIFTY, changed).changes if change.address == "model.m0"]
    assert told.reason == "its inputs changed"
    assert [one.field for one in told.diff] == ["file"]
