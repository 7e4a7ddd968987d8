"""A saved plan comes back from its file as it was, stands for as long as nothing has moved, and says what has."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from worlds import NOW, Catalogue, catalogues, converge

from glossi_sync.planning import WHOLE, Observed, Plan, Policy, Refresh, Scope, Seen, Survey, plan
from glossi_sync.planning.part import narrow, part_of
from glossi_sync.planning.reviewed import Made, Options, PlanMoved, Reviewed
from glossi_sync.reporting import plan_document
from glossi_sync.reporting.saved_plan import NotAPlan, read_plan
from glossi_sync.resources import Kind, Phase, Shard
from glossi_sync.schema_files import load_schema
from glossi_sync.spec import ProjectEntry, RenderEntry, Spec
from glossi_sync.state import Object, Realised, Run

VALIDATOR = Draft202012Validator(load_schema("plan"))
SPEC = Spec(sources=(), folder=Path(), fingerprint="sha256:" + "0" * 64, workspace="shop")
LAMP = Catalogue(
    (("lamp", "a", "Lamp"), ("oak", "b", "Oak")),
    tuple(ProjectEntry(key, None, (key,), "studio", renders=(RenderEntry("web"),)) for key in ("lamp", "oak")),
)

scopes = st.builds(
    Scope, shard=st.one_of(st.none(), st.integers(1, 3).map(lambda index: Shard(index, 3))), anew=st.just(())
)
options = st.builds(
    Options, scopes, st.sampled_from(Refresh), st.booleans(), st.sampled_from(["hold", "again"]), st.booleans()
)


def look(
    catalogue: Catalogue,
    realised: Realised,
    seen: dict[int, Seen] | None = None,
    *,
    scope: Scope = WHOLE,
    serial: int = 3,
    retries: int = 2,
) -> Survey:
    desired = catalogue.desired()
    part = part_of(scope, desired, realised)
    decided = plan(
        desired,
        realised,
        Observed(seen or {}),
        Policy(retries),
        now=NOW,
        workspace="shop",
        spec=SPEC.fingerprint,
        lineage="l",
        serial=serial,
    )
    return Survey(narrow(decided, scope, part, desired, realised, None), desired, realised, part.desired)


def save(folder: Path, decided: Plan, chosen: Options | None = None) -> Path:
    made = Made(chosen or Options(decided.scope), "shop/glossi.yaml", "local", "https://there.test/api", 7, {}, NOW)
    document = plan_document(decided, made)
    assert list(VALIDATOR.iter_errors(document)) == []
    path = folder / "plan.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def saved(folder: Path, surveyed: Survey) -> Reviewed:
    return read_plan(save(folder, surveyed.plan))


def refused(reviewed: Reviewed, surveyed: Survey, runs: tuple[Run, ...] = ()) -> str:
    with pytest.raises(PlanMoved) as told:
        reviewed.check(surveyed, runs)
    return str(told.value)


# --- the file --------------------------------------------------------------------------------------------------------


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(catalogues(), catalogues(), options)
def test_it_comes_back_as_it_was_and_stands(
    tmp_path: Path, first: Catalogue, second: Catalogue, chosen: Options
) -> None:
    surveyed = look(second, converge(first.desired()), scope=chosen.scope)
    reviewed = read_plan(save(tmp_path, surveyed.plan, chosen))
    assert reviewed.made == Made(chosen, "shop/glossi.yaml", "local", "https://there.test/api", 7, {}, NOW)
    reviewed.check_spec(SPEC, "local")
    reviewed.check_state("here", "l")
    reviewed.check(surveyed, ())


def test_a_file_that_ends_too_soon_wherever_it_does_is_a_sentence(tmp_path: Path) -> None:
    content = save(tmp_path, look(LAMP, Realised()).plan).read_bytes()
    cut = tmp_path / "cut.json"
    for length in range(0, len(content), 37):
        cut.write_bytes(content[:length])
        with pytest.raises(NotAPlan, match="is no whole plan"):
            read_plan(cut)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x80 plan", "is not JSON in UTF-8"),
        (b"[1, 2]", "is not a plan: `glossi-sync plan --out FILE` saves one"),
        (b'{"version": 4, "terraform_version": "1.9"}', "is not a plan"),
        (b'{"format": 2, "changes": [], "state": {}}', "is a plan of format 2, and this version knows format 1"),
        (b'{"format": 1, "changes": [], "state": {}}', "does not say how it was made"),
        (b'{"format": 1, "changes": [], "state": {}, "madeWith": {}}', "is damaged"),
    ],
)
def test_what_is_no_plan_is_a_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "plan.json").write_bytes(content)
    with pytest.raises(NotAPlan, match=said):
        read_plan(tmp_path / "plan.json")
    with pytest.raises(NotAPlan, match="cannot be read"):
        read_plan(tmp_path / "nothing.json")


@pytest.mark.parametrize(
    "damage",
    [
        lambda one: one["madeWith"].update(refresh="often"),
        lambda one: one["madeWith"].update(shard="5/4"),
        lambda one: one["madeWith"].update(inDoubt="perhaps"),
        lambda one: one["madeWith"].update(at="yesterday"),
        lambda one: one["state"].update(serial="many"),
        lambda one: one.update(state=None),
        lambda one: one["changes"][0].pop("action"),
        lambda one: one["changes"][0].update(action="explode"),
        lambda one: one.update(changes=3),
    ],
)
def test_a_plan_that_was_tampered_with_is_a_sentence(tmp_path: Path, damage: Any) -> None:
    path = save(tmp_path, look(LAMP, Realised()).plan)
    document = json.loads(path.read_text(encoding="utf-8"))
    damage(document)
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(NotAPlan, match=r"is damaged, or not as `glossi-sync plan` has written it"):
        read_plan(path)


def test_a_change_that_was_struck_out_of_the_file_is_not_what_would_happen(tmp_path: Path) -> None:
    path = save(tmp_path, look(LAMP, Realised()).plan)
    document = json.loads(path.read_text(encoding="utf-8"))
    document["changes"] = [one for one in document["changes"] if one["address"] != "render.oak/web"]
    path.write_text(json.dumps(document), encoding="utf-8")
    assert "render.oak/web has changed: nothing was planned, and now it is `create`" in refused(
        read_plan(path), look(LAMP, Realised())
    )


# --- what has moved --------------------------------------------------------------------------------------------------


def test_another_spec_service_or_state(tmp_path: Path) -> None:
    reviewed = saved(tmp_path, look(LAMP, Realised()))
    for spec, service, said in [
        (replace(SPEC, workspace="toys"), "local", "it is of the workspace 'shop', and the spec's is 'toys'"),
        (SPEC, "https://api.glossi.app", "it is for the service local, and this run is for https://api.glossi.app"),
        (replace(SPEC, fingerprint="sha256:1"), "local", "the spec has changed"),
    ]:
        with pytest.raises(PlanMoved, match=said):
            reviewed.check_spec(spec, service)
    with pytest.raises(PlanMoved, match="another state than state/shop.db"):
        reviewed.check_state("state/shop.db", "other")


@pytest.mark.parametrize("realised", [Realised(), converge(LAMP.desired())], ids=["planned", "as it should be"])
def test_a_file(tmp_path: Path, realised: Realised) -> None:
    reviewed = saved(tmp_path, look(LAMP, realised))
    edited = Catalogue((("lamp", "c", "Lamp"), LAMP.models[1]), LAMP.projects)
    said = refused(reviewed, look(edited, realised))
    assert said == (
        f"{reviewed.name} is no longer what would happen: lamp.glb has changed (model.lamp). "
        "Nothing was done: plan again."
    )


def test_a_template(tmp_path: Path) -> None:
    realised = converge(LAMP.desired())
    dark = Catalogue(LAMP.models, (replace(LAMP.projects[0], template="dark"), LAMP.projects[1]))
    said = refused(saved(tmp_path, look(LAMP, realised)), look(dark, realised))
    assert "the template has changed (project.lamp)." in said


def test_the_state_and_who_has_moved_it(tmp_path: Path) -> None:
    reviewed = saved(tmp_path, look(LAMP, Realised()))
    runs = (Run(9, "apply", NOW, NOW, "converged"), Run(8, "rollback 3", NOW), Run(7, "apply", NOW, NOW, "stopped"))
    said = refused(reviewed, look(LAMP, Realised(), serial=5), runs)
    assert "the state has moved from serial 3 to 5, by `apply` at " in said
    assert (
        "(run 9, converged); `rollback 3` at " in said and "(run 8, which did not end)" in said and "run 7" not in said
    )
    assert "by a command that the history does not tell of" in refused(
        reviewed, look(LAMP, Realised(), serial=4), runs[2:]
    )


def test_a_shards_plan_stands_while_others_move_the_state_but_not_where_they_move_its_own(tmp_path: Path) -> None:
    [mine] = [Shard(index, 2) for index in (1, 2) if Shard(index, 2).holds("model.lamp")]
    scope = Scope(shard=mine)
    reviewed = saved(tmp_path, look(LAMP, Realised(), scope=scope))
    reviewed.check(look(LAMP, Realised(), scope=scope, serial=50), ())
    assert "model.lamp has changed: planned was `create`" in refused(
        reviewed, look(LAMP, converge(LAMP.desired()), scope=scope, serial=50)
    )


def waiting(realised: Realised) -> tuple[Realised, int]:
    """The world in which the service has not rendered render.lamp/web yet, and that render's object."""
    oid = realised.bindings["render.lamp/web"]
    queued: Object = replace(realised.objects[oid], phase=Phase.QUEUED)
    return Realised({**realised.objects, oid: queued}, realised.bindings), oid


def test_what_the_service_was_at_work_on_and_has_done_was_expected(tmp_path: Path) -> None:
    realised, oid = waiting(converge(LAMP.desired()))
    reviewed = saved(tmp_path, look(LAMP, realised))
    reviewed.check(look(LAMP, realised, {oid: Seen(Phase.COMPLETED)}), ())


@pytest.mark.parametrize(
    ("retries", "now"), [(2, "`retry` (failed: the lamp is out (retry 1))"), (0, "`failed` (failed: the lamp is out)")]
)
def test_what_has_failed_at_the_service_meanwhile_was_not(tmp_path: Path, retries: int, now: str) -> None:
    realised, oid = waiting(converge(LAMP.desired()))
    reviewed = saved(tmp_path, look(LAMP, realised))
    said = refused(reviewed, look(LAMP, realised, {oid: Seen(Phase.FAILED, "the lamp is out")}, retries=retries))
    assert (
        f"what is known of render.lamp/web has changed: planned was `resume` (is queued), and now it is {now}." in said
    )


def test_many_that_have_moved_are_counted(tmp_path: Path) -> None:
    realised = converge(LAMP.desired())
    lost = {oid: Seen(Phase.LOST) for oid, one in realised.objects.items() if one.kind is not Kind.RENDER}
    said = refused(saved(tmp_path, look(LAMP, realised)), look(LAMP, realised, lost))
    assert said.count("has changed") == 3 and "; and 1 more like it." in said
