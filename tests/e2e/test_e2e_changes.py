"""From a spec to pictures, and then from one change of the spec to the next: what each costs at the service."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from shop import Applied, Shop

MADE = {
    "model.lamp",
    "model.oak",
    "model.ash",
    "project.lamp",
    "project.chairs/oak",
    "project.chairs/ash",
    "project.room",
    "render.lamp/web",
    "render.lamp/film",
    "render.chairs/oak/web",
    "render.chairs/ash/web",
}
"""Every address of the made catalogue."""


def test_the_first_apply_makes_everything_once(first: tuple[Shop, Applied]) -> None:
    shop, applied = first
    assert applied.actions() == dict.fromkeys(MADE, "create")
    assert applied.summary["steps"] == {"record": 3, "upload": 3, "confirm": 3, "create": 4, "start": 4}
    assert applied.summary["converged"] and not applied.summary["failed"]
    assert {one["address"] for one in applied.happened("reached")} == MADE
    assert {one["phase"] for one in applied.happened("reached")} == {"ready", "created", "completed"}
    assert [one["step"] for one in applied.happened("step-taken") if one["address"] == "model.oak"] == [
        "record",
        "upload",
        "confirm",
    ]
    assert applied.plan["summary"]["uploadBytes"] == sum(p.stat().st_size for p in shop.folder.glob("models/*.glb"))
    assert applied.err == ""


def test_what_was_made_is_at_the_service_as_the_spec_says(first: tuple[Shop, Applied]) -> None:
    shop, applied = first
    ids = {one["address"]: one["remoteId"] for one in applied.happened("step-taken")}
    project = "SELECT p.name, m.model_id FROM projects p JOIN project_models m USING (project_id) WHERE project_id = ? ORDER BY position"
    assert shop.studio.rows(project, ids["project.lamp"]) == [("La lámpara", ids["model.lamp"])]
    assert shop.studio.rows(project, ids["project.chairs/ash"]) == [("Ash Chair", ids["model.ash"])]
    models = [model_id for _, model_id in shop.studio.rows(project, ids["project.room"])]
    assert models == [ids["model.lamp"], ids["model.oak"]]
    model = "SELECT name, file_name, file_type, status FROM models WHERE model_id = ?"
    assert shop.studio.rows(model, ids["model.lamp"]) == [("Lámpara de mesa 灯", "lámpara 灯.glb", "glb", "READY")]
    job = "SELECT project_id, settings, status FROM render_jobs WHERE job_id = ?"
    [(project_id, settings, status)] = shop.studio.rows(job, ids["render.chairs/oak/web"])
    assert (project_id, json.loads(settings)["renderShots"], status) == (ids["project.chairs/oak"], False, "COMPLETED")


def test_finished_renders_lie_where_the_path_says_under_their_own_names(first: tuple[Shop, Applied]) -> None:
    shop, applied = first
    cameras = ("Front View", "Three Quarter", "Top View", "Detail")
    assert set(shop.renders()) == {
        *(f"lamp/web/{camera} - Lámpara de mesa 灯.png" for camera in cameras),
        "lamp/film/360 Spin - Lámpara de mesa 灯.mp4",
        "lamp/film/Push In - Lámpara de mesa 灯.mp4",
        *(f"chairs/oak/web/{camera} - Oak Chair.png" for camera in cameras),
        *(f"chairs/ash/web/{camera} - Ash Chair.png" for camera in cameras),
    }
    assert applied.summary["downloads"] == {"fetched": 14, "failed": {}}
    job = next(one["remoteId"] for one in applied.happened("step-taken") if one["address"] == "render.chairs/ash/web")
    for file in shop.studio.get(f"/renders/{job}").json()["renders"]:
        content = shop.studio.get(f"/files/{file['filePath']}").content
        assert shop.renders()[f"chairs/ash/web/{file['name']}.png"] == content


def test_many_products_share_their_calls_within_what_was_printed(new_shop: Callable[..., Shop]) -> None:
    shop = new_shop(
        "many", templates={"light": {"name": "Studio Light"}}, renderSettings={"web": {"renderShots": False}}
    )
    keys = [f"lamp{number}" for number in range(60)]
    for key in keys:
        shop.model(key, key)
    project = {"models": keys, "template": "light", "createPerModel": True, "renders": ["web"]}
    shop.spec["projects"] = {"lamps": project}
    shop.save()
    applied = shop.applied()
    assert applied.summary["converged"] and applied.summary["steps"]["start"] == 60
    printed = applied.plan["summary"]["calls"]
    assert printed["PUT upload"] == printed["POST /models/{id}/confirm"] == 60
    assert max(printed["POST /models"], printed["POST /projects"], printed["POST /renders"]) <= 10
    assert shop.settled()


def test_a_second_apply_asks_for_nothing(made: Shop) -> None:
    before = made.state.read_bytes(), made.renders()
    applied = made.applied()
    assert applied.actions() == {}
    assert applied.summary["steps"] == applied.summary["calls"] == applied.arrived == {}
    assert [one["event"] for one in applied.events] == ["plan", "summary"]
    assert applied.summary["downloads"]["fetched"] == 0 and made.renders() == before[1]
    assert made.run("apply", "--yes").out.splitlines()[-1] == "Plan: nothing to do; 11 unchanged."


def test_a_renamed_key_costs_nothing(made: Shop) -> None:
    models, projects = made.spec["models"], made.spec["projects"]
    models["eiche"] = models.pop("oak")
    projects["chairs"]["models"] = ["eiche", "ash"]
    projects["room"]["models"] = ["lamp", "eiche"]
    projects["leuchte"] = projects.pop("lamp")
    made.save()
    applied = made.applied()
    assert set(applied.actions().values()) == {"adopt"}
    assert applied.change("render.leuchte/web")["movedFrom"] == "render.lamp/web"
    assert applied.change("model.eiche")["reason"] == "same content as model.oak"
    assert applied.arrived == {}
    assert made.settled()
    assert "model.oak" not in made.run("state", "list").out
    assert "chairs/eiche/web/Detail - Oak Chair.png" in made.renders()


def test_a_moved_file_and_a_reordered_spec_cost_nothing(made: Shop) -> None:
    (made.folder / "models/oak.glb").rename(made.folder / "oak.glb")
    made.spec["models"]["oak"]["file"] = "oak.glb"
    made.spec["models"] = dict(reversed(made.spec["models"].items()))
    made.spec["projects"] = dict(reversed(made.spec["projects"].items()))
    made.save()
    assert made.applied().actions() == {}


def test_a_changed_name_is_a_note_and_costs_nothing(made: Shop) -> None:
    made.spec["models"]["oak"]["name"] = "Oak Armchair"
    made.spec["projects"]["lamp"]["name"] = "Die Lampe"
    made.save()
    applied = made.applied()
    assert applied.actions() == {} and applied.arrived == {}
    note = "stays named 'Oak Chair' at the service, which cannot rename ('Oak Armchair' in the spec)"
    assert applied.change("model.oak")["note"] == note
    text = made.run("plan").out
    assert re.search(rf"model\.oak +note +{re.escape(note)}\n", text)
    assert re.search(r"project\.lamp +note +stays named 'La lámpara'", text)
    assert "Plan: nothing to do; 11 unchanged." in text


def test_a_changed_name_is_a_replacement_where_names_count(new_shop: Callable[..., Shop]) -> None:
    shop = new_shop("named", names="replace", templates={"light": {"name": "Studio Light"}})
    shop.model("lamp", "lamp", name="Lamp")
    shop.model("oak", "oak", name="Oak")
    shop.spec["projects"] = {
        "lamp": {"models": ["lamp"], "template": "light"},
        "all": {"models": ["oak"], "template": "light"},
    }
    shop.save()
    shop.applied()
    shop.spec["models"]["lamp"]["name"] = "Desk Lamp"
    shop.save()
    applied = shop.applied()
    assert applied.actions() == {"model.lamp": "replace", "project.lamp": "replace"}
    assert applied.change("model.lamp")["diff"] == [{"field": "name", "text": "Lamp -> Desk Lamp"}]
    assert applied.arrived == {"POST /models": 1, "PUT upload": 1, "POST /models/{id}/confirm": 1, "POST /projects": 1}


@pytest.fixture(scope="session")
def changed(first: tuple[Shop, Applied], tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, Applied, str]:
    """The made catalogue after one of its files has changed and an apply; and how the plan told it."""
    shop = first[0].copy(tmp_path_factory.mktemp("changed") / "shop")
    shop.write("models/ash.glb", "another ash, a little longer than the one before")
    text = shop.run("plan").out
    return shop, shop.applied(), text


def test_a_changed_file_replaces_its_model_its_projects_and_renders_and_nothing_else(
    changed: tuple[Shop, Applied, str], first: tuple[Shop, Applied]
) -> None:
    shop, applied, text = changed
    mine = {"model.ash", "project.chairs/ash", "render.chairs/ash/web"}
    assert applied.actions() == dict.fromkeys(mine, "replace")
    assert applied.arrived == {
        "POST /models": 1,
        "PUT upload": 1,
        "POST /models/{id}/confirm": 1,
        "POST /projects": 1,
        "POST /renders": 1,
    }
    content = r"content changed \(sha256 [0-9a-f]{4}… → [0-9a-f]{4}…, \d+ B → \d+ B\)"
    assert [one["field"] for one in applied.change("model.ash")["diff"]] == ["file"]
    assert re.search(rf"model\.ash +replace +record → upload → confirm\n +file: {content}\n", text)
    assert re.search(rf"project\.chairs/ash +replace +create\n +models\[0\]\.file: {content}\n", text)
    assert re.search(rf"render\.chairs/ash/web +replace +start\n +project\.models\[0\]\.file: {content}\n", text)
    before, now = first[0].renders(), shop.renders()
    assert {path for path in now if now[path] != before[path]} == {p for p in now if p.startswith("chairs/ash/")}


def test_a_reverted_change_costs_nothing(
    changed: tuple[Shop, Applied, str], first: tuple[Shop, Applied], tmp_path_factory: pytest.TempPathFactory
) -> None:
    shop = changed[0].copy(tmp_path_factory.mktemp("reverted") / "shop")
    (shop.folder / "models/ash.glb").write_bytes((first[0].folder / "models/ash.glb").read_bytes())
    applied = shop.applied()
    assert set(applied.actions().values()) == {"adopt"} and len(applied.actions()) == 3
    assert applied.arrived == {}
    assert shop.renders() == first[0].renders(), "the pictures at home are the former ones again"


def test_a_removed_entry_is_forgotten_and_remembered_and_costs_nothing_when_it_comes_back(made: Shop) -> None:
    whole = {name: dict(made.spec[name]) for name in ("models", "projects")}
    del made.spec["models"]["ash"]
    made.spec["projects"]["chairs"] = {**made.spec["projects"]["chairs"], "models": ["oak"]}
    made.save()
    applied = made.applied()
    assert applied.actions() == dict.fromkeys(("model.ash", "project.chairs/ash", "render.chairs/ash/web"), "forget")
    assert applied.arrived == {}
    assert "ash" not in made.run("state", "list").out
    assert "Ash Chair" in made.run("state", "show").out
    made.spec |= whole
    made.save()
    back = made.applied()
    assert back.actions() == dict.fromkeys(("model.ash", "project.chairs/ash", "render.chairs/ash/web"), "adopt")
    assert back.change("model.ash")["reason"] == "realised before and remembered"
    assert back.arrived == {}
    assert made.settled()


def test_two_entries_whose_files_are_swapped_cost_nothing(made: Shop) -> None:
    oak, ash = made.folder / "models/oak.glb", made.folder / "models/ash.glb"
    contents = oak.read_bytes(), ash.read_bytes()
    oak.write_bytes(contents[1])
    ash.write_bytes(contents[0])
    del made.spec["projects"]["room"]
    made.save()
    applied = made.applied()
    assert applied.arrived == {}
    assert applied.change("model.oak")["reason"] == "same content as model.ash"
    assert applied.change("render.chairs/ash/web")["movedFrom"] == "render.chairs/oak/web"
    assert made.settled()


def test_a_new_revision_renders_again_that_alone(made: Shop) -> None:
    made.spec["projects"]["lamp"]["renders"] = {"web": {"revision": 2}, "film": {}}
    made.save()
    applied = made.applied()
    assert applied.actions() == {"render.lamp/web": "replace"}
    assert applied.change("render.lamp/web")["diff"] == [{"field": "revision", "text": "1 -> 2"}]
    assert applied.arrived == {"POST /renders": 1}
    assert applied.summary["downloads"]["fetched"] == 4


def test_a_spec_may_be_a_folder_of_files(made: Shop) -> None:
    (made.folder / "glossi.yaml").unlink()
    parts = [("models",), ("projects", "templates"), ("renderSettings", "version", "workspace", "downloads", "service")]
    for number, names in enumerate(parts):
        part = Shop(made.folder, made.studio, {name: made.spec[name] for name in names})
        part.save()
        (made.folder / "glossi.yaml").rename(made.folder / f"{number}.yaml")
    assert made.plan("-f", ".")["summary"]["none"] == len(MADE)
    text = (made.folder / "0.yaml").read_text(encoding="utf-8")
    (made.folder / "3.yaml").write_text(text, encoding="utf-8")
    refused = made.run("validate", "-f", ".", code=1)
    assert re.search(r"^3\.yaml:2:3: models\.lamp is already defined at 0\.yaml:2:3$", refused.err, re.MULTILINE)


def test_a_model_that_vanished_at_the_service_is_made_again_and_its_finished_renders_are_left_alone(made: Shop) -> None:
    rows = json.loads(made.run("status", "--format", "json").out)
    [model_id] = [one["remoteId"] for one in rows if one["address"] == "model.ash"]
    with made.studio.without_model(model_id):
        applied = made.applied()
        assert applied.actions() == {"model.ash": "recreate", "project.chairs/ash": "recreate"}
        assert applied.change("model.ash")["reason"] == "the service no longer knows it"
        assert "POST /renders" not in applied.arrived
        assert made.settled()
        # Another revision needs the project that was made again: the first one's model is gone.
        made.spec["projects"]["chairs"]["renders"] = {"web": {"revision": 2}}
        made.spec["projects"]["chairs"]["models"] = ["ash"]
        made.save()
        assert made.applied().actions() == {
            "render.chairs/ash/web": "replace",
            "project.chairs/oak": "forget",
            "render.chairs/oak/web": "forget",
        }
