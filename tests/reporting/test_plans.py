"""Plans as text, JSON and Markdown: complete, bounded, and of the published form."""

from __future__ import annotations

from hypothesis import given, settings
from jsonschema import Draft202012Validator
from rich.console import Console
from worlds import Catalogue, catalogues, converge, decide

from glossi_sync.planning import Action, Change, Difference, Plan, Trouble
from glossi_sync.reporting import plan_document, plan_text
from glossi_sync.resources import Kind
from glossi_sync.resources.model import LIFECYCLE
from glossi_sync.schema_files import load_schema
from glossi_sync.state import Realised

VALIDATOR = Draft202012Validator(load_schema("plan"))
SPEC = "sha256:" + "0" * 64


def text_of(plan: Plan, **options: bool) -> str:
    console = Console(width=200, force_terminal=False, no_color=True)
    with console.capture() as captured:
        console.print(plan_text(plan, **options), end="")
    return captured.get()


def big_plan(count: int) -> Plan:
    changes = tuple(
        Change(f"model.sku-{number}", Kind.MODEL, Action.CREATE, "not realised", steps=LIFECYCLE.steps, waits=True)
        for number in range(count)
    )
    return Plan("shop", SPEC, "", 0, changes)


@settings(max_examples=30)
@given(catalogues(), catalogues())
def test_every_plan_has_the_published_form(first: Catalogue, second: Catalogue) -> None:
    plan = decide(second.desired(), converge(first.desired()))
    document = plan_document(plan) | {"spec": SPEC}
    assert list(VALIDATOR.iter_errors(document)) == []
    assert document["summary"]["steps"] == dict(plan.steps)


def test_the_text_names_every_change_and_why() -> None:
    plan = Plan(
        "shop",
        SPEC,
        "",
        0,
        (
            Change("model.a", Kind.MODEL, Action.CREATE, "not realised", steps=LIFECYCLE.steps),
            Change(
                "model.b",
                Kind.MODEL,
                Action.REPLACE,
                "its inputs changed",
                steps=LIFECYCLE.steps,
                diff=(Difference("file", "content changed"),),
            ),
            Change("project.b", Kind.PROJECT, Action.NONE, "waits for model.x, which failed", trouble=Trouble.BLOCKED),
            Change("model.c", Kind.MODEL, Action.NONE, "up to date", note="stays named 'C'"),
        ),
        unchanged=7,
    )
    lines = [line.strip() for line in text_of(plan).splitlines()]
    assert "+ model.a    create    record → upload → confirm" in lines
    assert "file: content changed" in lines
    assert "! project.b  blocked   waits for model.x, which failed" in lines
    assert "model.c    note      stays named 'C'" in lines
    assert "Plan: 1 to create, 1 to replace; 1 blocked; 8 unchanged." in lines


def test_hundreds_of_like_changes_are_grouped_and_counted() -> None:
    text = text_of(big_plan(800))
    assert len(text.splitlines()) < 12
    assert "… and 799 more like it" in text
    assert "800 to create" in text
    assert len(text_of(big_plan(800), everything=True).splitlines()) > 800


def test_an_empty_plan_says_so() -> None:
    assert text_of(decide({}, Realised())) == "Plan: nothing to do.\n"
