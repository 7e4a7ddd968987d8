"""The commands around an apply: the guard, the history and the way back, the state's health, doubts, the secret."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from typing import Any

from counting_studio import Studio
from interrupting import applying, killed_at, product
from shop import Ran, Shop

NewShop = Callable[..., Shop]


def last_line(ran: Ran) -> dict[str, Any]:
    """The summary of an ``apply --format json``; there is one, and nothing comes after it."""
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert [one["event"] for one in lines].count("summary") == 1
    assert lines[-1]["event"] == "summary"
    summary: dict[str, Any] = lines[-1]
    return summary


def bindings(shop: Shop) -> dict[str, str]:
    bound: dict[str, str] = json.loads(shop.run("state", "show", "--format", "json").out)["bindings"]
    return bound


# --- the guard -----------------------------------------------------------------------------------------------------------


def test_a_spec_cut_short_is_refused_until_it_is_meant_or_the_spec_allows_it(new_shop: NewShop, studio: Studio) -> None:
    shop = new_shop("guarded")
    for number in range(10):
        shop.model(f"m{number}", f"{number}")
    shop.save()
    shop.applied()
    before = bindings(shop)
    for number in range(4):
        del shop.spec["models"][f"m{number}"]
    shop.save()

    refusal = "of 10 existing addresses 4 forgotten (40 %; the guard allows 30 %)"
    plan = shop.plan()
    assert refusal in plan["refused"] and plan["summary"]["forget"] == 4
    assert refusal in shop.run("plan").out
    refused = shop.run("apply", "--yes", "--format", "json", code=1)
    assert refusal in refused.sentence and "`--allow-large-change`" in refused.sentence
    assert last_line(refused)["error"] == refused.sentence and not last_line(refused)["converged"]
    assert bindings(shop) == before

    for guard in ({"percent": 40}, {"existing": 11}):
        shop.spec["guard"] = guard
        shop.save()
        assert "refused" not in shop.plan()
    shop.spec["guard"] = {"percent": 39}
    shop.save()
    assert "the guard allows 39 %" in shop.plan()["refused"]
    assert last_line(shop.run("apply", "--yes", "--format", "json", "--allow-large-change"))["converged"]
    assert set(bindings(shop)) == {f"model.m{number}" for number in range(4, 10)}


# --- the history, and the way back -----------------------------------------------------------------------------------


def test_the_history_tells_the_applies_newest_first_and_a_rollback_binds_what_one_left_and_asks_for_nothing(
    made: Shop,
) -> None:
    then, pictures = bindings(made), made.renders()
    made.write("models/ash.glb", "another ash")
    made.model("new", "new")
    made.save()
    made.run("apply", "--yes")
    now = bindings(made)

    runs = json.loads(made.run("history", "--format", "json").out)
    assert [one["outcome"] for one in runs] == ["converged", "converged"]
    assert runs[0]["started"] > runs[1]["ended"]
    assert runs[0]["calls"]["PUT upload"] == 2 and runs[1]["calls"]["PUT upload"] == 3
    lines = made.run("history").out.splitlines()
    assert [line.split()[0] for line in lines] == [one["runId"] for one in runs]
    assert "PUT upload 3" in lines[1]
    assert made.run("history", "--last", "1").out.splitlines() == lines[:1]

    first = runs[1]["runId"]
    assert "run `rollback --yes`" in made.run("rollback", first, code=1).sentence
    assert made.run("rollback", "x", "--yes", code=1).sentence.startswith("The history has no run x;")
    arrived = made.studio.arrived()
    back = made.run("rollback", first[:12], "--yes").out
    assert "Plan: 3 to adopt, 1 to forget; 8 unchanged." in back
    assert "Files brought home: 4." in back
    assert made.studio.arrived() == arrived, "nothing was uploaded, nothing rendered"
    assert bindings(made) == then and made.renders() == pictures
    newest = json.loads(made.run("history", "--format", "json").out)[0]
    assert newest["command"] == f"rollback {first}" and newest["calls"] == {}
    assert "nothing to do" in made.run("rollback", first, "--yes").out

    # The spec still asks for the other ash: to go there again costs nothing either.
    again = made.applied()
    assert list(again.actions().values()) == ["adopt"] * 4 and again.arrived == {}
    assert bindings(made) == now


def test_what_a_killed_run_left_is_not_known_so_there_is_no_way_back_to_it(new_shop: NewShop, studio: Studio) -> None:
    shop = product(new_shop, "unended")
    killed_at(shop, "PUT upload", "before")
    [run] = json.loads(shop.run("history", "--format", "json").out)
    assert run["outcome"] is None and run["ended"] is None
    assert "did not end" in shop.run("history").out
    assert "never ended" in shop.run("rollback", run["runId"], "--yes", code=1).sentence


# --- the state's health ----------------------------------------------------------------------------------------------


def test_a_sound_state_is_told_to_be_sound_and_a_damaged_one_not(made: Shop) -> None:
    assert made.run("state", "check").out == f"The state {made.state} is sound.\n"
    content = bytearray(made.state.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = b"\xa5" * 4096
    made.state.write_bytes(content)
    told = made.run("state", "check", code=1)
    assert told.err.casefold().startswith(f"the state {made.state} ".casefold()) and told.out == ""
    made.state.write_bytes(b"no database at all")
    for command in (("state", "check"), ("plan",), ("apply", "--yes")):
        assert str(made.state) in made.run(*command, code=1).sentence


def test_what_lies_unused_at_the_service_is_told(made: Shop, new_shop: NewShop, studio: Studio) -> None:
    assert made.run("state", "strays").out == "No strays.\n"
    assert json.loads(made.run("state", "strays", "--format", "json").out) == []
    shop = product(new_shop, "stray")
    killed_at(shop, "POST /models", "after")
    killed_at(shop, "POST /projects", "after")
    shop.run("apply", "--yes")
    [model, project] = json.loads(shop.run("state", "strays", "--format", "json").out)
    assert model["kind"] == "model" and model["remoteId"] is None and model["at"] <= project["at"]
    assert project["reason"] == "POST /projects for project.lamp1 was in doubt and asked again"
    text = shop.run("state", "strays").out
    assert re.search(r"project +\(id unknown\) +POST /projects for project\.lamp1 was in doubt", text)
    assert len(text.splitlines()) == 2


# --- doubts ----------------------------------------------------------------------------------------------------------


def test_a_render_in_doubt_is_held_until_the_user_says_what_became_of_it(new_shop: NewShop, studio: Studio) -> None:
    shop = product(new_shop, "doubted", products=2)
    killed_at(shop, "POST /renders", "after")
    held = shop.plan()
    addresses = [one["address"] for one in held["changes"] if one.get("trouble") == "held"]
    assert 1 <= len(addresses) == held["summary"]["held"] <= 2
    first = addresses[0]
    jobs = "SELECT job_id FROM render_jobs JOIN projects USING (project_id) WHERE name = ?"
    [(job,)] = studio.rows(jobs, f"doubted {first.removeprefix('render.').removesuffix('/web')}")

    assert "Say either --adopt JOB-ID or --again." in shop.run("resolve", first, code=1).err
    assert "no call for model.lamp1 is in doubt" in shop.run("resolve", "model.lamp1", "--again", code=1).sentence
    foreign = studio.rows("SELECT job_id FROM render_jobs WHERE job_id != ? ORDER BY created_at", job)[0][0]
    assert "is of project" in shop.run("resolve", first, "--adopt", foreign, code=1).sentence

    had = studio.count()["render_jobs"]
    assert shop.run("resolve", first, "--adopt", job).out == (
        f"{first}: bound to job {job}; the next apply goes on with it.\n"
    )
    for address in addresses[1:]:
        shop.run("resolve", address, "--again")
        denied = json.loads(shop.run("state", "strays", "--format", "json").out)[-1]
        assert f"{address} was in doubt, and resolved by hand" in denied["reason"], "it may have been started and lost"
    shop.apply(shop.plan(), code=0)
    assert studio.count()["render_jobs"] - had == len(addresses) - 1 + (2 - len(addresses))
    assert shop.settled()
    assert "is in doubt" in shop.run("resolve", first, "--again", code=1).sentence, "there is nothing left to settle"


def test_who_says_so_has_a_render_in_doubt_started_again(new_shop: NewShop, studio: Studio) -> None:
    shop = product(new_shop, "insisted")
    had = studio.count()["render_jobs"]
    killed_at(shop, "POST /renders", "after")
    assert shop.apply(shop.plan(), "--in-doubt", "hold", code=3).arrived == {}
    applied = shop.applied("--in-doubt", "again")
    assert applied.actions() == {"render.lamp1/web": "create"} and applied.arrived == {"POST /renders": 1}
    assert studio.count()["render_jobs"] - had == 2, "that was the risk"
    [stray] = json.loads(shop.run("state", "strays", "--format", "json").out)
    assert stray["kind"] == "render" and "render.lamp1/web was in doubt and asked again" in stray["reason"]
    assert shop.settled()


# --- what is asked of the service ------------------------------------------------------------------------------------


def test_a_finished_render_that_the_service_has_lost_is_found_out_by_who_asks_for_all(made: Shop) -> None:
    rows = {one["address"]: one for one in json.loads(made.run("status", "--format", "json").out)}
    with made.studio.without_job(rows["render.chairs/oak/web"]["remoteId"]):
        assert made.settled(), "its pictures are at home, and nobody asks"
        reads = made.studio.reads()
        assert made.plan("--refresh", "none")["summary"]["none"] == 11
        assert made.studio.reads() - reads == 1, "the templates alone"
        [lost] = [one for one in made.plan("--refresh", "full")["changes"] if one["action"] != "none"]
        assert (lost["address"], lost["action"]) == ("render.chairs/oak/web", "recreate")
        assert lost["reason"] == "the service no longer knows it"
        status = json.loads(made.run("status", "--refresh", "full", "--format", "json").out)
        assert [one["phase"] for one in status if one["address"] == "render.chairs/oak/web"] == ["lost"]
        applied = made.applied("--refresh", "full")
        assert applied.arrived == {"POST /renders": 1} and applied.summary["converged"]
        assert "nothing to do" in made.run("plan", "--refresh", "full").out


# --- the secret ------------------------------------------------------------------------------------------------------


def test_the_webhooks_secret_is_told_to_who_has_the_key_to_the_state(new_shop: NewShop, studio: Studio) -> None:
    shop = new_shop("secretive")
    shop.save()
    assert shop.run("webhook", "secret", code=1).sentence.endswith(
        "keeps no secret: none was shown by the service since it was made."
    )
    shop.spec["webhook"] = {"url": "https://shop.example/hooks", "events": ["render.complete"]}
    shop.save()
    shop.run("apply", "--yes")
    [(secret,)] = studio.rows("SELECT secret FROM webhooks")
    assert shop.run("webhook", "secret").out == f"{secret}\n"
    key = shop.state.with_suffix(".key")
    elsewhere = key.rename(shop.folder / "elsewhere.key")
    missing = shop.run("webhook", "secret", code=1).sentence
    assert str(key) in missing and "GLOSSI_STATE_KEY" in missing
    with_key = {"GLOSSI_STATE_KEY": elsewhere.read_text(encoding="utf-8").strip()}
    assert shop.run("webhook", "secret", **with_key).out == f"{secret}\n"
    del shop.spec["webhook"]
    shop.save()
    shop.run("apply", "--yes", "--allow-large-change")


# --- an apply for programs that an error ends ----------------------------------------------------------------------------


def test_the_last_line_for_programs_is_a_summary_whatever_ends_the_run(new_shop: NewShop, studio: Studio) -> None:
    shop = product(new_shop, "ended")
    options = ("apply", "--yes", "--format", "json")
    nobody = shop.run(*options, "--endpoint", "http://127.0.0.1:9/api/v1", code=1)
    assert last_line(nobody)["error"] == nobody.sentence
    assert last_line(nobody)["steps"] == last_line(nobody)["calls"] == {}
    wrong = shop.run(*options, code=1, GLOSSI_API_KEY="glsi_wrong")
    assert last_line(wrong)["error"] == wrong.sentence
    shop.spec["models"]["lamp1"]["file"] = "models/lmap1.glb"
    shop.save()
    mistaken = shop.run(*options, code=1)
    assert "there is no file models/lmap1.glb" in last_line(mistaken)["error"]
    shop.spec["models"]["lamp1"]["file"] = "models/lamp1.glb"
    shop.save()

    studio.hold("POST /projects", "after")
    running = applying(shop)
    studio.wait_until_held()
    locked = shop.run(*options, code=4)
    assert last_line(locked)["error"] == locked.sentence
    running.signal(signal.SIGINT)
    assert running.until("stopping")
    running.signal(signal.SIGINT)
    interrupted = shop.finish(running, code=130)
    studio.let_go("lost")
    summary = last_line(interrupted)
    assert summary["error"] == "Interrupted." and summary["stopped"] and not summary["converged"]
    assert summary["steps"] == {"record": 1, "upload": 1, "confirm": 1}
    assert summary["calls"] == {
        "POST /models": 1,
        "PUT upload": 1,
        "POST /models/{id}/confirm": 1,
        "POST /projects": 1,
    }
