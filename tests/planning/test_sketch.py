"""A sketch is made of what a plan starts to render, and of nothing else; on the studio's templates."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from worlds import TEMPLATES, Catalogue, catalogues, converge, decide

from glossi_sync.planning import sketch
from glossi_sync.resources import Kind, Project, Render, Template
from glossi_sync.state import Realised

LIGHT = TEMPLATES["studio"]


@given(catalogues(), catalogues(), st.integers(1, 5))
def test_every_project_of_which_a_render_starts_is_drawn_once_up_to_the_limit(
    before: Catalogue, after: Catalogue, limit: int
) -> None:
    desired = after.desired()
    plan = decide(desired, converge(before.desired()))
    started = {
        desired[change.address].parents[0]
        for change in plan.changes
        if change.kind is Kind.RENDER and "start" in {step.name for step in change.steps}
    }
    drawn = sketch(plan, desired, list(TEMPLATES.values()), limit)
    assert len(drawn.renders) == min(limit, len(started)) and drawn.renders.keys() <= started
    assert drawn.left_out == len(started) - len(drawn.renders)
    assert {address for address, one in drawn.desired.items() if one.kind is Kind.PROJECT} == drawn.renders.keys()
    for address, one in drawn.desired.items():
        assert all(parent in drawn.desired for parent in one.parents), "it is made of itself alone"
        assert one.kind is not Kind.MODEL or one == desired[address]
        if isinstance(one.inputs, Render):
            assert one.inputs.settings.render_bookmarks and not one.inputs.settings.render_shots
    # It is a plan like any other: each address is made, none stands for two.
    made = decide(drawn.desired, Realised())
    assert [change.action for change in made.changes] == ["create"] * len(drawn.desired)


@given(catalogues())
def test_templates_that_the_studio_does_not_have_are_stood_in_for_and_that_is_said(catalogue: Catalogue) -> None:
    desired = catalogue.desired()
    plan = decide(desired, Realised())
    own = Template("other-id", LIGHT.name)
    drawn = sketch(plan, desired, [Template("x", "First"), own], 99)
    for address in drawn.renders:
        wanted, shown = desired[address].inputs, drawn.desired[address].inputs
        assert isinstance(wanted, Project) and isinstance(shown, Project)
        assert shown.template_id == "other-id"
        assert (address in drawn.notes) == (wanted.template_name != LIGHT.name)
        assert wanted.template_name in drawn.notes.get(address, LIGHT.name)
