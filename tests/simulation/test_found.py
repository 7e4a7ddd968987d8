"""What the simulation has found, each in the smallest world that shows it."""

from __future__ import annotations

import asyncio
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from simulation.catalogue import ENDPOINT
from simulation.service import KEY, Service, Temper
from virtual_time import run_in_virtual_time
from worlds import NOW, Catalogue, converge, decide

from glossi_sync.applying import Setup, Stop, Stopped, apply
from glossi_sync.applying.ledger import Ledger, settle_doubt
from glossi_sync.applying.resolve import NotInDoubt, again
from glossi_sync.planning import Action, Observed, Plan, Policy, Survey, Trouble, plan
from glossi_sync.resources import Kind, Phase, Webhook
from glossi_sync.resources.model import RECORD
from glossi_sync.resources.project import CREATE
from glossi_sync.resources.render import START
from glossi_sync.resources.webhook import PUT
from glossi_sync.service import InDoubt, LocalFile, Patience, Refused
from glossi_sync.service.calls import PUT_WEBHOOK
from glossi_sync.service.retrying import ask_again
from glossi_sync.spec import Desired, ProjectEntry, RenderEntry
from glossi_sync.state import AddStray, Bind, Intent, MemoryState, Object, PutObject, Realised, Subject


def shop(*projects: str, content: str = "a") -> dict[str, Desired]:
    """One lamp, and projects that are all made of it in the same way."""
    entries = tuple(ProjectEntry(key, None, ("lamp",), "studio", renders=(RenderEntry("web"),)) for key in projects)
    return Catalogue((("lamp", content, "Lamp"),), entries).desired()


def without_render(realised: Realised, address: str) -> Realised:
    """The same, but that the address's render is not realised."""
    oid = realised.bindings[address]
    objects = {one: it for one, it in realised.objects.items() if one != oid}
    return replace(realised, objects=objects, bindings={a: one for a, one in realised.bindings.items() if one != oid})


def doubt_of(want: Desired, call_id: int = 1) -> Intent:
    return Intent(call_id, 1, START.name, START.call, (Subject(want.address, want.digest),), NOW)


def surveyed(desired: dict[str, Desired], realised: Realised) -> Survey:
    return Survey(decide(desired, realised), desired, realised, desired)


def settled(writes: Sequence[Any]) -> list[int]:
    return [write.call_id for write in writes if hasattr(write, "call_id")]


def trouble(decided: Plan) -> dict[str, Trouble | None]:
    return {change.address: change.trouble for change in decided.changes if change.trouble is not None}


# --- doubts about renders ------------------------------------------------------------------------------------------------


def test_a_held_render_that_was_renamed_can_be_resolved() -> None:
    before = shop("old")
    realised = replace(
        without_render(converge(before), "render.old/web"), in_doubt=(doubt_of(before["render.old/web"]),)
    )
    after = shop("new")
    assert trouble(decide(after, realised)) == {"render.new/web": Trouble.HELD}
    writes = again("render.new/web", surveyed(after, realised), clock=lambda: NOW, rng=Random(1))
    assert settled(writes) == [1]


def test_an_answer_leaves_an_older_doubt_of_another_digest_alone() -> None:
    before, after = shop("lamp", content="a"), shop("lamp", content="b")
    address = "render.lamp/web"
    doubts = (doubt_of(before[address], 1), doubt_of(after[address], 2))
    realised = replace(without_render(converge(after), address), in_doubt=doubts)
    assert settled(again(address, surveyed(after, realised), clock=lambda: NOW, rng=Random(1))) == [2]
    only_the_older = replace(realised, in_doubt=doubts[:1])
    with pytest.raises(NotInDoubt):
        again(address, surveyed(after, only_the_older), clock=lambda: NOW, rng=Random(1))


def test_a_doubt_holds_another_render_where_its_own_address_has_found_one() -> None:
    """Two projects alike; the render of the first is in doubt, the second is renamed: the first takes over the render
    of the second, so it is for the renamed one that the doubt may have made one already."""
    before, after = shop("first", "second"), shop("first", "third")
    realised = replace(
        without_render(converge(before), "render.first/web"), in_doubt=(doubt_of(before["render.first/web"]),)
    )
    decided = decide(after, realised)
    assert {change.address: change.action for change in decided.changes}["render.first/web"] is Action.ADOPT
    assert trouble(decided) == {"render.third/web": Trouble.HELD}


def test_a_render_that_is_asked_for_again_leaves_a_note_of_the_first() -> None:
    [_, note] = settle_doubt(1, START, [Subject("render.lamp/web", "d" * 64)], NOW)
    assert isinstance(note, AddStray) and note.stray.kind is Kind.RENDER


# --- the webhook ---------------------------------------------------------------------------------------------------------

HOOK = Webhook("https://shop.test/hook", ("render.complete",))
UNHEARD = Intent(1, 1, PUT.name, PUT.call, (Subject("webhook", HOOK.digest()),), NOW)


def decide_webhook(want: Webhook | None, realised: Realised, observed: Observed) -> Plan:
    desired = {} if want is None else {"webhook": Desired("webhook", Kind.WEBHOOK, want.digest(), want)}
    return plan(desired, realised, observed, Policy(), now=NOW)


def test_a_webhook_that_was_set_unheard_and_has_left_the_spec_is_removed() -> None:
    realised = Realised(in_doubt=(UNHEARD,))
    [change] = decide_webhook(None, realised, Observed(asked_webhook=True, webhook=HOOK)).changes
    assert change.action is Action.REMOVE
    somebody_elses = replace(HOOK, url="https://elsewhere.test")
    assert decide_webhook(None, realised, Observed(asked_webhook=True, webhook=somebody_elses)).is_empty


def test_a_webhook_in_doubt_stays_so_until_the_service_was_asked_or_it_was_set_again() -> None:
    realised = Realised(in_doubt=(UNHEARD,))
    changed = replace(HOOK, enabled=False)
    assert decide_webhook(None, realised, Observed()).abandoned == ()
    assert decide_webhook(changed, realised, Observed()).abandoned == ()
    assert decide_webhook(changed, realised, Observed(asked_webhook=True, webhook=HOOK)).abandoned == ()
    assert decide_webhook(HOOK, realised, Observed(asked_webhook=True, webhook=HOOK)).abandoned == (UNHEARD,)
    assert decide_webhook(HOOK, realised, Observed(asked_webhook=True)).abandoned == (UNHEARD,)


def test_a_webhook_that_is_as_wanted_is_written_down_as_such() -> None:
    old = replace(HOOK, enabled=False)
    bound = Object(7, Kind.WEBHOOK, old.digest(), Phase.SET)
    realised = Realised({7: bound}, {"webhook": 7})
    [change] = decide_webhook(HOOK, realised, Observed(asked_webhook=True, webhook=HOOK)).changes
    assert (change.action, change.oid, change.steps) == (Action.ADOPT, 7, ())


# --- calls that are asked again ------------------------------------------------------------------------------------------


def in_doubt(partial: tuple[Any, ...] = ()) -> InDoubt:
    return InDoubt(call="", doing="asking", where="there", happened="broke off", partial=partial)


def refused() -> Refused:
    return Refused(call="", doing="asking", where="there", happened="answered 401", status=401)


def outcomes(step: Any, addresses: Sequence[str], answers: list[Any], record: Any = lambda _: []) -> MemoryState:
    """The state after one call of the ledger, asked until an answer is final."""
    state = MemoryState(service="https://studio.test")

    async def ask() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def main() -> None:
        async def inline(function: Any, *arguments: Any) -> Any:
            return function(*arguments)

        ledger = Ledger(state, Realised(), run_id=1, stop=Stop(), clock=lambda: NOW, rng=Random(1), run_blocking=inline)
        try:
            await ledger.call(step, [Subject(one, "d" * 64) for one in addresses], ask, record)
        except Exception as error:
            assert error is last

    last = answers[-1]
    asyncio.run(main())
    return state


def test_a_refusal_says_nothing_of_the_call_in_doubt_before_it() -> None:
    state = outcomes(PUT, ["webhook"], [in_doubt(), refused()])
    assert len(state.realised().in_doubt) == 1
    state = outcomes(PUT, ["webhook"], [in_doubt(), "done"])
    assert state.realised().in_doubt == ()


def test_a_note_of_a_stray_is_made_when_the_answer_comes() -> None:
    assert len(outcomes(RECORD, ["model.lamp"], [in_doubt(), "done"]).strays()) == 1
    refused_at_last = outcomes(RECORD, ["model.lamp"], [in_doubt(), refused()])
    assert refused_at_last.strays() == [] and len(refused_at_last.realised().in_doubt) == 1


def test_what_an_answer_names_is_no_longer_in_doubt() -> None:
    one = Object(5, Kind.RENDER, "d" * 64, Phase.QUEUED, remote_id="j")
    half = in_doubt(partial=("the first",))
    writes = [PutObject(one), Bind("render.a/web", 5)]
    state = outcomes(START, ["render.a/web", "render.b/web"], [half], lambda _: writes)
    [left] = state.realised().in_doubt
    assert [subject.address for subject in left.subjects] == ["render.b/web"]
    assert state.realised().bindings == {"render.a/web": 5}


def test_over_http_too_a_refusal_says_nothing_of_the_asking_in_doubt_before_it() -> None:
    answers: list[Exception] = [in_doubt(), refused()]

    async def attempt() -> None:
        raise answers.pop(0)

    async def main() -> None:
        await ask_again(attempt, call=PUT_WEBHOOK, patience=Patience(), reached=lambda: True, rng=Random(1))

    with pytest.raises(InDoubt):
        run_in_virtual_time(main())


# --- the rest ------------------------------------------------------------------------------------------------------------


def test_an_intent_of_a_project_that_is_asked_again_is_settled_with_the_last() -> None:
    state = outcomes(CREATE, ["project.lamp"], [in_doubt(), in_doubt(), "done"])
    assert state.realised().in_doubt == () and len(state.strays()) == 2


def test_a_wait_that_a_stop_comes_before_is_let_go_of_in_peace() -> None:
    async def main() -> None:
        stop = Stop()
        stop.request()
        with pytest.raises(Stopped):
            await stop.race(asyncio.sleep(1))

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        asyncio.run(main())
    assert heard == []


def test_an_object_that_moves_leaves_its_address_even_where_the_run_ends_before_that_has_another() -> None:
    before = Catalogue((("x", "a", "X"),)).desired()
    after = Catalogue((("x", "b", "X"), ("y", "a", "Y"))).desired()
    realised = converge(before)
    state = MemoryState(service="https://studio.test")
    state.write([PutObject(one) for one in realised.objects.values()])
    state.write([Bind(address, oid) for address, oid in realised.bindings.items()])

    async def main() -> None:
        stop = Stop()
        stop.request()
        setup = Setup(
            service=SimpleNamespace(calls=Counter()),  # type: ignore[arg-type]
            state=state,
            desired=after,
            realised=realised,
            file_of=lambda address: LocalFile(Path(address)),
            policy=Policy(),
            emit=lambda _: None,
            stop=stop,
            keep_secret=lambda _: ("", ()),
            clock=lambda: NOW,
            rng=Random(1),
        )
        await apply(decide(after, realised), setup, run_id=1, command="apply")

    asyncio.run(main())
    assert state.realised().bindings == {"model.y": realised.bindings["model.x"]}


def test_a_render_job_whose_model_is_gone_fails_and_does_not_go_round_for_ever(tmp_path: Path) -> None:
    async def main() -> str:
        service = Service(tmp_path, 0, clock=lambda: NOW, temper=Temper())
        await service.start()
        async with httpx.AsyncClient(transport=service.asgi, base_url=ENDPOINT, headers={"X-API-Key": KEY}) as client:

            async def ask(method: str, path: str, body: Any = None) -> Any:
                return (await client.request(method, ENDPOINT + path, json=body)).json()

            new = {"name": "Lamp", "fileName": "lamp.obj", "fileType": "obj"}
            [model] = (await ask("POST", "/models", {"models": [new]}))["models"]
            await client.put(model["uploadUrl"], content=b"lamp", headers={"Content-Type": "model/obj"})
            await ask("POST", f"/models/{model['modelId']}/confirm", {"fileType": "obj"})
            await asyncio.sleep(60)
            template = (await ask("GET", "/templates"))["templates"][0]["templateId"]
            wanted = {"modelIds": [model["modelId"]], "templateId": template}
            [project] = (await ask("POST", "/projects", wanted))["projects"]
            service.lose("model", model["modelId"])
            [job] = (await ask("POST", "/renders", {"projectIds": [project["projectId"]]}))["jobs"]
            await asyncio.sleep(60)
            answer = await ask("GET", f"/renders/{job['jobId']}")
        await service.stop()
        return f"{answer['status']}: {answer.get('errorMessage')}"

    assert run_in_virtual_time(main()).startswith("FAILED: a model of the project 'Lamp' is no longer there")
