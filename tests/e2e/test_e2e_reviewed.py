"""Plans that are saved, reviewed and applied; targets, shards, and runs that do not wait or that may not take long."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from counting_studio import Studio
from interrupting import product
from shop import Shop

from glossi_sync.cli import main

CANARY = "kanarienvogel"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """A command that is run in this process (which takes a tenth of the time), in a shop's folder: what it said."""

    def ask(shop: Shop, *arguments: str, code: int = 0) -> str:
        monkeypatch.chdir(shop.folder)
        result = CliRunner().invoke(main, arguments, env={"GLOSSI_API_KEY": shop.studio.key})
        assert result.exit_code == code, result.output
        shop.check_secrets(result.output)
        return result.output

    return ask


def test_a_reviewed_plan_is_applied_once_unasked_and_exactly(new_shop: Callable[..., Shop], studio: Studio) -> None:
    shop = product(new_shop, "reviewed", products=2)
    shop.run("plan", "--target", "render.lamp1/*", "--out", "plan.json")
    assert not (shop.folder / "state").exists()
    saved = json.loads((shop.folder / "plan.json").read_text(encoding="utf-8"))
    assert [one["address"] for one in saved["changes"]] == ["model.lamp1", "project.lamp1", "render.lamp1/web"]
    before, had = studio.arrived(), studio.count()
    applied = shop.read(saved, shop.run("apply", "plan.json", "--format", "json"), before, had)
    assert applied.summary["steps"] == saved["summary"]["steps"] and applied.summary["converged"]
    assert applied.made == {"models": 1, "projects": 1, "render_jobs": 1}
    again = shop.run("apply", "plan.json", code=1)
    assert re.search(
        r"the state has moved from serial 0 to \d+, by `apply` at \S+ \S+ \(run \d+, converged\)", again.err
    )
    assert again.out == "" and studio.count() - had == applied.made


def test_a_saved_plan_is_refused_where_anything_has_moved_and_nothing_is_done(
    new_shop: Callable[..., Shop], studio: Studio, asked: Callable[..., str], tmp_path: Path
) -> None:
    shop = product(new_shop, "moved")
    asked(shop, "plan", "--out", "plan.json")
    arrived = studio.arrived()

    def refusal(*more: str) -> str:
        said = asked(shop, "apply", "plan.json", *more, code=1)
        assert studio.arrived() == arrived
        return said

    shop.write("models/lamp1.glb", "another")
    assert "models/lamp1.glb has changed (model.lamp1). Nothing was done" in refusal()
    shop.write("models/lamp1.glb", "lamp1")
    shop.spec["retries"] = 7
    shop.save()
    assert "the spec has changed" in refusal()
    del shop.spec["retries"]
    shop.save()
    (shop.folder / "other.yaml").write_text("version: 1\nworkspace: other\n", encoding="utf-8")
    assert "of the workspace 'moved', and the spec's is 'other'" in refusal("-f", "other.yaml")
    assert "this run is for local" in refusal("--endpoint", "local")
    assert "leave out --target, --shard" in refusal("--target", "model.lamp1", "--shard", "1/2")
    content = (shop.folder / "plan.json").read_text(encoding="utf-8")
    (shop.folder / "plan.json").write_text(content[:700], encoding="utf-8")
    told = json.loads(refusal("--format", "json").splitlines()[0])
    assert told["event"] == "summary" and "plan.json is no whole plan" in told["error"]
    (shop.folder / "plan.json").write_text(content, encoding="utf-8")
    # All is as it was: from another folder, too, with the spec named.
    (shop.folder / "plan.json").rename(tmp_path / "plan.json")
    shop.folder = tmp_path
    assert "there is no such file" in refusal("-f", "glossi.yaml").replace("\n", " ")
    shop.folder = tmp_path / "moved"
    assert "3 to create" in asked(shop, "apply", str(tmp_path / "plan.json"))


def test_a_plan_is_of_one_state_and_no_other_is_made_for_it(made: Shop, asked: Callable[..., str]) -> None:
    asked(made, "plan", "--out", "plan.json")
    assert "another state than state/mistyped.db" in asked(
        made, "apply", "plan.json", "--state", "state/mistyped.db", code=1
    )
    assert not (made.folder / "state" / "mistyped.db").exists()
    assert asked(made, "apply", "plan.json") == asked(made, "apply", "plan.json")


def test_what_is_to_be_made_anew_outside_of_the_targets_is_no_silent_nothing(
    made: Shop, asked: Callable[..., str]
) -> None:
    here, elsewhere = "render.lamp/film", "model.oak"
    refused = asked(made, "plan", "--replace", elsewhere, "--target", here, code=1)
    assert f"--replace {elsewhere}: nothing of this is among the targets" in refused
    assert "1 to recreate" in asked(made, "plan", "--replace", here, "--target", here)


def test_what_the_guard_refuses_is_applied_where_the_plan_was_allowed_to(made: Shop, asked: Callable[..., str]) -> None:
    made.spec["projects"] = {}
    made.save()
    asked(made, "plan", "--out", "plan.json")
    assert "This plan is a large change" in asked(made, "apply", "plan.json", code=1)
    asked(made, "plan", "--allow-large-change", "--out", "plan.json")
    assert "8 to forget" in asked(made, "apply", "plan.json")


def test_a_saved_plan_tells_no_secret(new_shop: Callable[..., Shop], asked: Callable[..., str]) -> None:
    shop = product(new_shop, "discreet")
    shop.secrets.add(CANARY)
    shop.spec["webhook"] = {"url": "https://shop.test/${var:token}?key=${var:token}"}
    shop.spec["variables"] = {"token": CANARY}
    shop.save()
    said = asked(shop, "plan", "--format", "json", "--out", "plan.json")
    assert json.loads(said)["changes"][-1]["address"] == "webhook"
    shop.check_secrets((shop.folder / "plan.json").read_bytes())
    assert "the spec has changed: its files, the variables that it uses (--var)" in asked(
        shop, "apply", "plan.json", "--var", "token=else", code=1
    )


def test_shards_one_after_the_other_make_the_whole_catalogue_once(
    new_shop: Callable[..., Shop], studio: Studio, asked: Callable[..., str]
) -> None:
    shop = product(new_shop, "shared", products=4)
    before, had = studio.arrived(), studio.count()
    plans = [json.loads(asked(shop, "plan", "--shard", f"{index}/3", "--format", "json")) for index in (1, 2, 3)]
    assert [one["shard"] for one in plans] == ["1/3", "2/3", "3/3"]
    for index in (3, 1, 2):
        assert f"Plan (shard {index}/3): " in asked(shop, "apply", "--yes", "--shard", f"{index}/3")
    assert shop.settled()
    assert studio.count() - had == {"models": 4, "projects": 4, "render_jobs": 4}
    assert sum(one["summary"]["calls"].get("PUT upload", 0) for one in plans) == 4
    assert (studio.arrived() - before)["PUT upload"] == 4


def test_an_apply_that_does_not_wait_starts_what_it_can_and_a_later_one_goes_on(
    new_shop: Callable[..., Shop], asked: Callable[..., str]
) -> None:
    shop = product(new_shop, "hasty")
    first = asked(shop, "apply", "--yes", "--no-wait", "--parallelism", "1")
    assert "Still under way: model.lamp1, project.lamp1, render.lamp1/web. A later apply goes on from there." in first
    assert "under way" in asked(shop, "history")
    deadline = time.monotonic() + 30
    while "project.lamp1: created" not in asked(shop, "apply", "--yes", "--no-wait") and time.monotonic() < deadline:
        pass
    assert "1 start" not in asked(shop, "apply", "--yes")
    assert shop.settled()


def test_a_run_whose_time_is_up_finishes_what_is_under_way_and_the_next_goes_on(
    new_shop: Callable[..., Shop], studio: Studio
) -> None:
    shop = product(new_shop, "timed")
    studio.hold("POST /renders", "before")
    running = shop.start("apply", "--yes", "--format", "json", "--timeout", "2s")
    studio.wait_until_held()
    assert running.until("stopping")
    studio.let_go("through")
    ran = shop.finish(running, code=3)
    summary = json.loads(ran.out.splitlines()[-1])
    assert summary["stopped"] and summary["steps"]["start"] == 1
    assert list(summary["skipped"]) == ["render.lamp1/web"]
    assert shop.run("apply", "--yes").code == 0
    assert shop.settled()
