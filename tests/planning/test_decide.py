"""A plan is set arithmetic: what must hold for every spec, and the table of the architecture row by row."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from worlds import NOW, Catalogue, catalogues, converge, decide, ideal_apply, of_kind

from glossi_sync.planning import Action, Observed, Plan, Policy, Seen, Trouble, plan
from glossi_sync.resources import Kind, Phase
from glossi_sync.spec import ProjectEntry, RenderEntry
from glossi_sync.state import Intent, Object, Realised, Subject

LAMP = Catalogue(
    models=(("lamp", "a", "Lamp"),),
    projects=(ProjectEntry("lamp", None, ("lamp",), "studio", renders=(RenderEntry("web"),)),),
)


def lamp(content: str = "a", name: str = "Lamp", revision: int = 1, names_count: bool = False) -> Catalogue:
    project = replace(LAMP.projects[0], renders=(RenderEntry("web", revision),))
    return Catalogue((("lamp", content, name),), (project,), names_count)


# --- for every spec --------------------------------------------------------------------------------------------------


@given(catalogues())
def test_after_an_apply_of_a_plan_there_is_nothing_left_to_plan(catalogue: Catalogue) -> None:
    desired = catalogue.desired()
    again = decide(desired, converge(desired))
    assert again.is_settled
    assert again.unchanged == len(desired)


@given(st.lists(catalogues(), min_size=1, max_size=4))
def test_every_history_of_specs_ends_converged_with_each_object_bound_once(history: list[Catalogue]) -> None:
    realised = Realised()
    for catalogue in history:
        realised = converge(catalogue.desired(), realised)
    desired = history[-1].desired()
    assert decide(desired, realised).is_settled
    assert set(realised.bindings) == set(desired)
    assert max(Counter(realised.bindings.values()).values(), default=0) <= 1
    for address, oid in realised.bindings.items():
        assert realised.objects[oid].digest == desired[address].digest


@given(catalogues(), catalogues())
def test_a_reverted_spec_takes_no_step(first: Catalogue, second: Catalogue) -> None:
    realised = converge(first.desired())
    realised = converge(second.desired(), realised)
    assert not decide(first.desired(), realised).steps


@given(catalogues(), st.permutations("abcde"))
def test_renamed_keys_take_no_step(catalogue: Catalogue, keys: list[str]) -> None:
    renamed = dict(zip("abcde", keys, strict=True))
    other = Catalogue(
        tuple((renamed[key], content, name) for key, content, name in catalogue.models),
        tuple(
            replace(project, key=f"new-{project.key}", models=tuple(renamed[key] for key in project.models))
            for project in catalogue.projects
        ),
        catalogue.names_count,
    )
    realised = converge(catalogue.desired())
    decided = decide(other.desired(), realised)
    assert not decided.steps
    assert decide(other.desired(), ideal_apply(decided, other.desired(), realised)).is_settled


@given(catalogues(), catalogues())
def test_a_new_object_is_made_only_where_none_with_its_digest_is_free(first: Catalogue, second: Catalogue) -> None:
    desired = second.desired()
    realised = converge(first.desired())
    made = Counter(change.digest for change in decide(desired, realised).changes if change.steps)
    wanted = Counter(want.digest for want in desired.values())
    known = Counter(one.digest for one in realised.objects.values())
    assert made == wanted - known


@given(catalogues(), catalogues())
def test_forgotten_objects_stay_remembered(first: Catalogue, second: Catalogue) -> None:
    realised = converge(first.desired())
    assert set(realised.objects) <= set(converge(second.desired(), realised).objects)


@given(catalogues())
def test_everything_lists_each_address_once(catalogue: Catalogue) -> None:
    desired = catalogue.desired()
    listed = plan(desired, converge(desired), Observed(), Policy(), now=NOW, everything=True)
    assert [change.address for change in listed.changes] == list(desired)
    assert listed.is_settled


# --- the table -------------------------------------------------------------------------------------------------------


def test_a_new_spec_is_created_step_by_step() -> None:
    decided = decide(LAMP.desired(), Realised())
    assert [(c.address, c.action, [s.name for s in c.steps]) for c in decided.changes] == [
        ("model.lamp", Action.CREATE, ["record", "upload", "confirm"]),
        ("project.lamp", Action.CREATE, ["create"]),
        ("render.lamp/web", Action.CREATE, ["start"]),
    ]
    assert decided.calls == {
        "POST /models": 1,
        "PUT upload": 1,
        "POST /models/{id}/confirm": 1,
        "POST /projects": 1,
        "POST /renders": 1,
    }
    assert decided.upload_bytes == 100


def test_an_unfinished_model_takes_its_remaining_steps_alone() -> None:
    realised = converge(LAMP.desired())
    [model] = of_kind(realised, Kind.MODEL)
    for phase, steps in [
        (Phase.RECORDED, ["upload", "confirm"]),
        (Phase.UPLOADED, ["confirm"]),
        (Phase.CONFIRMED, []),
    ]:
        unfinished = replace(model, phase=phase, expires=NOW + 3600)
        alone = Realised({model.oid: unfinished}, {"model.lamp": model.oid})
        change = decide(LAMP.desired(), alone).changes[0]
        assert (change.action, [step.name for step in change.steps]) == (Action.RESUME, steps)
        assert change.waits


def test_a_recorded_model_whose_url_has_expired_is_recorded_again() -> None:
    realised = converge(LAMP.desired())
    [model] = of_kind(realised, Kind.MODEL)
    expired = replace(model, phase=Phase.RECORDED, expires=NOW + 10)
    change = decide(LAMP.desired(), Realised({model.oid: expired}, {"model.lamp": model.oid})).changes[0]
    assert [step.name for step in change.steps] == ["record", "upload", "confirm"]
    assert "expired" in change.reason


def test_a_changed_file_replaces_what_is_made_of_it_and_nothing_else() -> None:
    both = Catalogue(
        (("lamp", "a", "Lamp"), ("vase", "b", "Vase")),
        (
            *LAMP.projects,
            ProjectEntry("vase", None, ("vase",), "studio", renders=(RenderEntry("web"),)),
        ),
    )
    changed = replace(both, models=(("lamp", "c", "Lamp"), both.models[1]))
    decided = decide(changed.desired(), converge(both.desired()))
    assert {c.address: c.action for c in decided.changes} == {
        "model.lamp": Action.REPLACE,
        "project.lamp": Action.REPLACE,
        "render.lamp/web": Action.REPLACE,
    }
    assert decided.unchanged == 3


def test_a_changed_name_is_a_note_unless_names_count() -> None:
    realised = converge(lamp(name="Lamp").desired())
    decided = decide(lamp(name="Lampe").desired(), realised)
    assert decided.is_settled
    assert "cannot rename" in (decided.changes[0].note or "")
    counting = converge(lamp(name="Lamp", names_count=True).desired())
    assert decide(lamp(name="Lampe", names_count=True).desired(), counting).actions[Action.REPLACE] == 3


def test_a_revision_renders_again_and_does_nothing_else() -> None:
    decided = decide(lamp(revision=2).desired(), converge(LAMP.desired()))
    assert [(c.address, c.action) for c in decided.changes] == [("render.lamp/web", Action.REPLACE)]


def test_swapped_files_are_adopted_crosswise() -> None:
    two = Catalogue((("a", "a", "A"), ("b", "b", "B")))
    swapped = Catalogue((("a", "b", "A"), ("b", "a", "B")))
    realised = converge(two.desired())
    decided = decide(swapped.desired(), realised)
    assert decided.actions[Action.ADOPT] == 2
    assert not decided.steps
    after = ideal_apply(decided, swapped.desired(), realised)
    assert after.bindings == {"model.a": realised.bindings["model.b"], "model.b": realised.bindings["model.a"]}


def test_adopting_prefers_what_is_complete_then_the_same_label() -> None:
    desired = LAMP.desired()
    digest = desired["model.lamp"].digest
    candidates = [
        Object(1, Kind.MODEL, digest, Phase.FAILED, "Lamp", "r1"),
        Object(2, Kind.MODEL, digest, Phase.CONFIRMED, "Lamp", "r2"),
        Object(3, Kind.MODEL, digest, Phase.READY, "Other", "r3"),
        Object(4, Kind.MODEL, digest, Phase.READY, "Lamp", "r4"),
    ]
    for best in (4, 3, 2, 1):
        known = {one.oid: one for one in candidates if one.oid <= best}
        if best == 2:
            known = {oid: one for oid, one in known.items() if oid < 3}
        assert decide(desired, Realised(known)).changes[0].oid == best


def test_a_failed_render_is_retried_until_its_retries_are_used_up() -> None:
    realised = converge(LAMP.desired())
    [render] = of_kind(realised, Kind.RENDER)

    def failed(attempts: int, *, retries: int = 2, retry_failed: bool = False) -> Plan:
        one = replace(render, phase=Phase.FAILED, attempts=attempts, error="no light")
        world = Realised({**realised.objects, render.oid: one}, realised.bindings)
        return decide(LAMP.desired(), world, retries=retries, retry_failed=retry_failed)

    assert [s.name for s in failed(1, retries=2).changes[0].steps] == ["retry"]
    given_up = failed(2, retries=2)
    assert not given_up.steps
    assert given_up.changes[0].trouble is Trouble.FAILED
    assert "no light" in given_up.changes[0].reason
    assert [s.name for s in failed(2, retries=2, retry_failed=True).changes[0].steps] == ["retry"]


def test_a_failed_model_blocks_what_is_made_of_it_until_it_is_tried_again() -> None:
    desired = LAMP.desired()
    failed = Object(1, Kind.MODEL, desired["model.lamp"].digest, Phase.FAILED, "Lamp", "r1", error="no triangles")
    world = Realised({1: failed}, {"model.lamp": 1})
    decided = decide(desired, world)
    assert [c.trouble for c in decided.changes] == [Trouble.FAILED, Trouble.BLOCKED, Trouble.BLOCKED]
    assert not decided.steps
    again = decide(desired, world, retry_failed=True)
    assert again.actions == {Action.RECREATE: 1, Action.CREATE: 2, Action.NONE: 0}


def test_a_vanished_model_is_made_again_with_its_project_and_the_completed_render_is_left_alone() -> None:
    desired = LAMP.desired()
    realised = converge(desired)
    lost = Observed(seen={realised.bindings["model.lamp"]: Seen(Phase.LOST)})
    decided = decide(desired, realised, lost)
    assert {c.address: c.action for c in decided.changes} == {
        "model.lamp": Action.RECREATE,
        "project.lamp": Action.RECREATE,
    }
    after = ideal_apply(decided, desired, realised)
    assert decide(desired, after).is_settled


def test_a_vanished_render_is_started_again() -> None:
    desired = LAMP.desired()
    realised = converge(desired)
    lost = Observed(seen={realised.bindings["render.lamp/web"]: Seen(Phase.LOST)})
    decided = decide(desired, realised, lost)
    assert [(c.address, c.action) for c in decided.changes] == [("render.lamp/web", Action.RECREATE)]


def test_news_of_the_service_is_recorded_without_a_step() -> None:
    desired = LAMP.desired()
    realised = converge(desired)
    oid = realised.bindings["render.lamp/web"]
    waiting = Realised({**realised.objects, oid: replace(realised.objects[oid], phase=Phase.QUEUED)}, realised.bindings)
    decided = decide(desired, waiting, Observed(seen={oid: Seen(Phase.COMPLETED)}))
    assert decided.changes[0].action is Action.RESUME
    assert not decided.steps
    assert not decided.is_settled


def test_a_removed_entry_is_forgotten() -> None:
    realised = converge(LAMP.desired())
    decided = decide({}, realised)
    assert {c.action for c in decided.changes} == {Action.FORGET}
    assert not decided.steps


def test_a_render_that_may_have_been_started_is_held_and_no_longer_when_its_inputs_change() -> None:
    desired = LAMP.desired()
    realised = converge(desired)
    oid = realised.bindings["render.lamp/web"]
    doubt = Intent(
        7, 1, "start", "POST /renders", (Subject("render.lamp/web", desired["render.lamp/web"].digest),), NOW
    )
    objects = {key: one for key, one in realised.objects.items() if key != oid}
    bindings = {address: bound for address, bound in realised.bindings.items() if bound != oid}
    world = Realised(objects, bindings, (doubt,))
    decided = decide(desired, world)
    assert decided.changes[0].trouble is Trouble.HELD
    assert not decided.steps
    assert decide(lamp(revision=2).desired(), world).steps == {"start": 1}


def test_calls_in_doubt_that_may_be_asked_again_are_only_noted() -> None:
    desired = LAMP.desired()
    doubt = Intent(7, 1, "record", "POST /models", (Subject("model.lamp", desired["model.lamp"].digest),), NOW)
    decided = decide(desired, Realised(in_doubt=(doubt,)))
    assert decided.abandoned == (doubt,)
    assert decided.steps["record"] == 1
