"""Events settle what was in doubt, and never give an address another render's pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import NOW, Catalogue, catalogues, converge, decide

from glossi_sync.planning import Policy, Trouble, plan
from glossi_sync.planning.observe import Observed
from glossi_sync.planning.settling import Settlement, settle_held
from glossi_sync.resources import Kind, Phase
from glossi_sync.spec import Desired, ProjectEntry, RenderEntry
from glossi_sync.state import Intent, Object, Realised, Received, Settle, Stray, Subject

ONE = Catalogue(
    (("lamp", "a", "Lamp"),), (ProjectEntry("lamp", None, ("lamp",), "studio", renders=(RenderEntry("web"),)),)
)
TWO = Catalogue(ONE.models, (replace(ONE.projects[0], renders=(RenderEntry("web"), RenderEntry("film"))),))
ASKED = NOW - 100


def told(job_id: str, project_id: str, at: float = NOW, number: int = 1, name: str = "render.complete") -> Received:
    body = json.dumps({"event": name, "timestamp": "…", "data": {"jobId": job_id, "projectId": project_id}})
    return Received(f"{number}", name, body, at, number)


def unstarted(catalogue: Catalogue) -> tuple[dict[str, Desired], Realised]:
    """The catalogue made, but for its renders."""
    desired = catalogue.desired()
    whole = converge(desired)
    objects = {oid: one for oid, one in whole.objects.items() if one.kind is not Kind.RENDER}
    bindings = {address: oid for address, oid in whole.bindings.items() if oid in objects}
    return desired, Realised(objects, bindings)


def start(call_id: int, *subjects: Subject, at: float = ASKED) -> Intent:
    return Intent(call_id, 1, "start", "POST /renders", subjects, at)


def subject(address: str, desired: dict[str, Desired]) -> Subject:
    return Subject(address, desired[address].digest)


def settle(
    desired: dict[str, Desired], realised: Realised, events: list[Received], strays: list[Stray] | None = None
) -> Settlement | None:
    held = plan(desired, realised, Observed(), Policy(), now=NOW).troubled()
    return settle_held(held, desired, realised, realised.in_doubt, events, strays or [], NOW)


def project_id(realised: Realised, address: str) -> str:
    bound = realised.bound(address)
    assert bound is not None and bound.remote_id is not None
    return bound.remote_id


def test_a_held_render_is_bound_to_the_job_that_an_event_names() -> None:
    desired, realised = unstarted(ONE)
    realised = replace(realised, in_doubt=(start(7, subject("render.lamp/web", desired)),))
    assert [one.trouble for one in decide(desired, realised).troubled()] == [Trouble.HELD]
    settlement = settle(desired, realised, [told("job-1", project_id(realised, "project.lamp"))])
    assert settlement is not None
    assert settlement.jobs == {"render.lamp/web": "job-1"}
    bound = settlement.realised.bound("render.lamp/web")
    assert bound is not None
    assert (bound.remote_id, bound.digest, bound.phase) == ("job-1", desired["render.lamp/web"].digest, Phase.QUEUED)
    assert settlement.realised.in_doubt == ()
    assert [write.call_id for write in settlement.writes if isinstance(write, Settle)] == [7]
    [change] = decide(desired, settlement.realised).changes
    assert (change.action, change.steps, change.waits) == ("resume", (), True), "nothing is started again"


def test_one_that_has_failed_is_retried_as_the_plan_says() -> None:
    """Also where the service is not asked about it (--refresh none)."""
    desired, realised = unstarted(ONE)
    realised = replace(realised, in_doubt=(start(7, subject("render.lamp/web", desired)),))
    settlement = settle(desired, realised, [told("job-1", project_id(realised, "project.lamp"), name="render.failed")])
    assert settlement is not None
    [change] = decide(desired, settlement.realised).changes
    assert (change.action, [step.name for step in change.steps]) == ("retry", ["retry"])


def test_the_rest_of_its_call_stays_in_doubt() -> None:
    desired, realised = unstarted(TWO)
    gone = Subject("render.chair/web", "c" * 64)
    other = replace(desired["project.lamp"], address="project.chair")
    desired["project.chair"] = other
    realised = replace(realised, in_doubt=(start(7, subject("render.lamp/web", desired), gone),))
    settlement = settle(desired, realised, [told("job-1", project_id(realised, "project.lamp"))])
    assert settlement is not None
    [rest] = settlement.realised.in_doubt
    assert rest.subjects == (gone,)
    assert rest.call_id != 7
    again = settle(desired, realised, [told("job-1", project_id(realised, "project.lamp"))])
    assert again is not None
    assert again.writes == settlement.writes, "deciding needs no dice"


TWINS = Catalogue(
    (("lamp", "a", "Lamp"), ("twin", "a", "Lamp")),
    tuple(ProjectEntry(key, None, (key,), "studio", renders=(RenderEntry("web"),)) for key in ("lamp", "twin")),
)


def test_of_two_renders_that_are_alike_each_gets_the_job_of_its_own_project() -> None:
    desired, realised = unstarted(TWINS)
    both = (subject("render.lamp/web", desired), subject("render.twin/web", desired))
    realised = replace(realised, in_doubt=(start(7, *both),))
    events = [told("job-1", project_id(realised, "project.lamp"))]
    settlement = settle(desired, realised, events)
    assert settlement is not None
    assert settlement.jobs == {"render.lamp/web": "job-1"}
    events.append(told("job-2", project_id(realised, "project.twin"), number=2))
    settlement = settle(desired, realised, events)
    assert settlement is not None
    assert settlement.jobs == {"render.lamp/web": "job-1", "render.twin/web": "job-2"}


def test_a_job_that_two_renders_could_have_is_given_to_neither() -> None:
    """Of a project with their content that neither is bound to any more."""
    desired, realised = unstarted(TWINS)
    both = (subject("render.lamp/web", desired), subject("render.twin/web", desired))
    former = Object(99, Kind.PROJECT, desired["project.lamp"].digest, Phase.LOST, remote_id="former")
    realised = Realised({**realised.objects, 99: former}, realised.bindings, (start(7, *both),))
    assert settle(desired, realised, [told("job-1", "former")]) is None
    alone = replace(realised, in_doubt=(start(7, both[0]),))
    settlement = settle(desired, alone, [told("job-1", "former")])
    assert settlement is not None
    assert settlement.jobs == {"render.lamp/web": "job-1"}


def the_other_settings(desired: dict[str, Desired], realised: Realised) -> tuple[Any, ...]:
    return realised, (start(8, subject("render.lamp/film", desired)),), [], []


def what_the_spec_wanted_before(desired: dict[str, Desired], realised: Realised) -> tuple[Any, ...]:
    return realised, (start(8, Subject("render.lamp/web", "e" * 64)),), [], []


def a_project_that_was_renamed(desired: dict[str, Desired], realised: Realised) -> tuple[Any, ...]:
    return realised, (start(8, Subject("render.former/web", "e" * 64)),), [], []


def a_second_job(desired: dict[str, Desired], realised: Realised) -> tuple[Any, ...]:
    return realised, (), [told("job-2", project_id(realised, "project.lamp"), number=2)], []


def a_stray(desired: dict[str, Desired], realised: Realised) -> tuple[Any, ...]:
    return realised, (), [], [Stray(Kind.RENDER, None, "asked again", NOW - 3600)]


def a_known_job(desired: dict[str, Desired], realised: Realised) -> tuple[Any, ...]:
    known = Object(99, Kind.RENDER, "f" * 64, Phase.QUEUED, remote_id="job-1")
    return Realised({**realised.objects, 99: known}, realised.bindings), (), [], []


@pytest.mark.parametrize(
    "beside",
    [the_other_settings, what_the_spec_wanted_before, a_project_that_was_renamed, a_second_job, a_stray, a_known_job],
)
def test_where_another_cause_is_possible_it_stays_held(beside: Any) -> None:
    desired, realised = unstarted(TWO)
    realised, doubts, events, strays = beside(desired, realised)
    realised = replace(realised, in_doubt=(start(7, subject("render.lamp/web", desired)), *doubts))
    project = project_id(realised, "project.lamp")
    assert settle(desired, realised, [told("job-1", project), *events], strays) is None


@pytest.mark.parametrize(
    "event",
    [
        told("job-1", "another project"),
        told("job-1", "r2", at=ASKED - 1),
        told("job-1", "r2", name="project.created"),
        Received("x", "render.complete", "{}", NOW, 1),
        Received("x", "render.complete", "no JSON", NOW, 1),
    ],
    ids=["another-project", "before-the-call", "no-render", "nothing-told", "no-json"],
)
def test_an_event_that_is_not_about_it_settles_nothing(event: Received) -> None:
    desired, realised = unstarted(ONE)
    project = project_id(realised, "project.lamp")
    realised = replace(realised, in_doubt=(start(7, subject("render.lamp/web", desired)),))
    assert settle(desired, realised, [replace(event, body=event.body.replace('"r2"', f'"{project}"'))]) is None


@settings(max_examples=150)
@given(st.data())
def test_whatever_was_started_no_address_gets_the_pictures_of_another_render(data: st.DataObject) -> None:
    """The truth is drawn: which calls in doubt did start a job, which jobs are done, what the spec wants by now."""
    first = data.draw(catalogues())
    before, realised = unstarted(first)
    renders = [address for address, want in before.items() if want.kind is Kind.RENDER]
    truth: dict[str, str] = {}
    events: list[Received] = []
    intents: list[Intent] = []
    asked = (
        data.draw(st.lists(st.sampled_from(renders), max_size=6, unique=data.draw(st.booleans()))) if renders else []
    )
    while asked:
        size = data.draw(st.integers(1, len(asked)))
        now, asked = list(dict.fromkeys(asked[:size])), asked[size:]
        intents.append(start(len(intents) + 1, *(subject(address, before) for address in now)))
        for address in now:
            if data.draw(st.booleans()):
                job = f"job-{len(truth)}"
                truth[job] = before[address].digest
                if data.draw(st.booleans()):
                    project = project_id(realised, before[address].parents[0])
                    events.append(told(job, project, number=len(truth)))
    second = data.draw(st.sampled_from([first, first, data.draw(catalogues())]))
    desired = second.desired()
    # Projects of the new spec are made: what was asked for before is of the first spec's.
    world = converge({one: want for one, want in desired.items() if want.kind is not Kind.RENDER}, realised)
    world = Realised(world.objects, world.bindings, tuple(intents))
    settlement = settle(desired, world, events)
    if settlement is None:
        return
    assert len(set(settlement.jobs.values())) == len(settlement.jobs)
    for address, job in settlement.jobs.items():
        assert truth[job] == desired[address].digest
        bound = settlement.realised.bound(address)
        assert bound is not None and bound.remote_id == job
    left = {one for intent in settlement.realised.in_doubt for one in intent.subjects}
    assert left <= {one for intent in intents for one in intent.subjects}
