"""An apply that is killed, interrupted, or meets another one: nothing is lost, and nothing is made twice unsaid."""

from __future__ import annotations

import getpass
import json
import signal
from collections.abc import Callable

from counting_studio import Studio
from interrupting import applying, killed_at, product
from shop import Shop

STEPS = ("POST /models", "PUT upload", "POST /models/{id}/confirm", "POST /projects", "POST /renders")
"""The calls that one product takes, in their order."""


def test_killed_after_each_call_before_its_answer_it_goes_on_and_makes_nothing_twice_unsaid(
    new_shop: Callable[..., Shop], studio: Studio
) -> None:
    shop = product(new_shop, "unheard")
    had, arrived = studio.count(), studio.arrived()
    for call in STEPS:
        killed_at(shop, call, "after")
    # The job runs, but nobody here knows its id: it is not started a second time.
    held = shop.applied(code=3)
    assert held.actions() == {} and held.change("render.lamp1/web")["trouble"] == "held"
    assert "resolve render.lamp1/web --adopt JOB-ID" in held.summary["failed"]["render.lamp1/web"]
    [(job,)] = studio.rows("SELECT job_id FROM render_jobs ORDER BY created_at DESC LIMIT 1")
    assert "no render job" in shop.run("resolve", "render.lamp1/web", "--adopt", "nobody", code=1).sentence
    shop.run("resolve", "render.lamp1/web", "--adopt", job)
    assert shop.applied().summary["converged"]
    assert shop.settled()
    # The studio keeps a record and a project that nobody uses; the state says so of both.
    assert studio.count() - had == {"models": 2, "projects": 2, "render_jobs": 1}
    strays = json.loads(shop.run("state", "show", "--format", "json").out)["strays"]
    assert [one["kind"] for one in strays] == ["model", "project"]
    sent = studio.arrived() - arrived
    assert sent["POST /renders"] == sent["POST /models/{id}/confirm"] == 1


def test_killed_before_each_call_arrives_it_goes_on_and_makes_everything_once(
    new_shop: Callable[..., Shop], studio: Studio
) -> None:
    shop = product(new_shop, "unsent")
    had = studio.count()
    for call in STEPS:
        killed_at(shop, call, "before")
    assert shop.applied(code=3).change("render.lamp1/web")["trouble"] == "held"
    shop.run("resolve", "render.lamp1/web", "--again")
    applied = shop.applied()
    assert applied.actions() == {"render.lamp1/web": "create"} and applied.summary["converged"]
    assert studio.count() - had == {"models": 1, "projects": 1, "render_jobs": 1}


def test_killed_again_and_again_wherever_it_is_it_comes_to_the_end(
    new_shop: Callable[..., Shop], studio: Studio
) -> None:
    shop = product(new_shop, "again", products=3)
    had, uploads = studio.count(), studio.arrived()["PUT upload"]
    ended = False
    for _ in range(12):
        running = applying(shop)
        ended = not running.until("step-taken", 2)
        if not ended:
            running.signal(signal.SIGKILL)
        ran = shop.finish(running, code=None)
        if ended:
            break
    assert ended and ran.code in (0, 3)
    applied = shop.apply(shop.plan(), code=ran.code)
    held = [one["address"] for one in applied.plan["changes"] if one.get("trouble") == "held"]
    for address in held:
        key = address.removeprefix("render.").removesuffix("/web")
        jobs = "SELECT job_id FROM render_jobs JOIN projects USING (project_id) WHERE name = ?"
        job = studio.rows(jobs, f"again {key}")
        shop.run("resolve", address, *(("--adopt", job[0][0]) if job else ("--again",)))
    assert shop.applied().summary["converged"]
    strays = json.loads(shop.run("state", "show", "--format", "json").out)["strays"]
    made = studio.count() - had
    assert made["render_jobs"] == 3
    assert made["models"] + made["projects"] <= 6 + len(strays)
    assert studio.arrived()["PUT upload"] - uploads <= 3 + 5, "at most what was under way was sent again"
    assert shop.settled()


def test_interrupted_once_it_records_what_is_in_flight_and_the_next_apply_finishes(
    new_shop: Callable[..., Shop], studio: Studio
) -> None:
    shop = product(new_shop, "interrupted")
    plan, before, had = shop.plan(), studio.arrived(), studio.count()
    studio.hold("PUT upload", "before")
    running = applying(shop)
    studio.wait_until_held()
    running.signal(signal.SIGINT)
    assert running.until("stopping")
    studio.let_go("through")
    stopped = shop.read(plan, shop.finish(running, code=130), before, had)
    assert stopped.summary["stopped"] and not stopped.summary["failed"]
    assert stopped.summary["steps"] == {"record": 1, "upload": 1}, "nothing new was started"
    assert stopped.arrived == stopped.summary["calls"] == {"POST /models": 1, "PUT upload": 1}
    assert set(stopped.summary["skipped"]) == {"model.lamp1", "project.lamp1", "render.lamp1/web"}
    # Twice, and it goes at once: the call is in doubt, and the next apply asks again.
    studio.hold("POST /projects", "before")
    running = applying(shop)
    studio.wait_until_held()
    running.signal(signal.SIGINT)
    assert running.until("stopping")
    running.signal(signal.SIGINT)
    assert shop.finish(running, code=130).sentence == "Interrupted."
    studio.let_go("lost")
    applied = shop.applied()
    assert applied.actions() == {"project.lamp1": "create", "render.lamp1/web": "create"}
    assert applied.summary["converged"]
    assert studio.count() - had == {"models": 1, "projects": 1, "render_jobs": 1}


def test_of_two_applies_at_once_the_second_is_refused_and_told_who_holds_the_state(
    new_shop: Callable[..., Shop], studio: Studio
) -> None:
    shop = new_shop("contended")
    shop.model("lamp", "lamp")
    shop.save()
    studio.hold("POST /models", "before")
    running = applying(shop)
    studio.wait_until_held()
    arrived = studio.arrived()
    for command in (("apply", "--yes"), ("resolve", "render.lamp/web", "--again")):
        refused = shop.run(*command, code=4).sentence
        assert f"is held by `glossi-sync apply` of {getpass.getuser()} on" in refused
        assert f"(pid {running.pid})" in refused
    assert shop.plan()["summary"]["create"] == 1, "a plan may look meanwhile"
    assert studio.arrived() == arrived
    studio.let_go("through")
    assert json.loads(shop.finish(running).out.splitlines()[-1])["converged"]
    assert shop.settled()
