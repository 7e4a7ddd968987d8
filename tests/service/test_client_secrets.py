"""The API key and what signs a URL are shown nowhere: in no error, no traceback, no log, no repr."""

from __future__ import annotations

import asyncio
import logging
import traceback
from pathlib import Path

import pytest
from failures import CALLS, KEY, REPLIES, client, closed_port, failing, run
from scripted_server import Answer, answer_json, in_turn, serving

from glossi_sync.resources import Webhook
from glossi_sync.service import Glossi, NewModel, NotSent, ServiceError
from glossi_sync.service.asking import Asking
from glossi_sync.service.calls import UPLOAD
from glossi_sync.service.sorting import Sorter

SIGNED = "s1gnature"
"""Of the signed URL that the upload in ``CALLS`` goes to."""


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "lamp.glb"
    path.write_bytes(b"glTF")
    return path


def told_by(error: BaseException) -> str:
    """All that an error, its attributes and its chain tell, without the local variables of its frames."""
    chain = "".join(traceback.format_exception(error))
    return "\n".join([chain, str(error), repr(error), repr(error.args), repr(vars(error))])


def with_locals(error: BaseException) -> str:
    """What a debugger shows: the local variables of every frame, those of these tests aside, along the whole chain."""
    frames = [frame for one in chain_of(error) for frame, _ in traceback.walk_tb(one.__traceback__)]
    ours = [frame for frame in frames if "/tests/" not in Path(frame.f_code.co_filename).as_posix()]
    assert ours or isinstance(error, NotSent)
    return "\n".join(f"{name}={value!r}" for frame in ours for name, value in frame.f_locals.items())


def chain_of(error: BaseException) -> list[BaseException]:
    causes = [cause for cause in (error.__cause__, error.__context__) if cause is not None]
    return [error, *(one for cause in causes for one in chain_of(cause))]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("reply", REPLIES)
def test_no_failure_shows_the_key(call: str, reply: str, model_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Although some replies repeat it: in a body, or in the place that they point to."""
    caplog.set_level(logging.DEBUG)

    async def main() -> None:
        async with failing(REPLIES[reply]) as (glossi, origin):
            try:
                await CALLS[call](glossi, origin, model_file)
            except ServiceError as error:
                for one in chain_of(error):
                    assert KEY not in told_by(one) and SIGNED not in told_by(one)
                # Where a redirect leads is the server's own doing, and ours to remember.
                assert reply == "redirect" or KEY not in with_locals(error)

    run(main)
    assert KEY not in caplog.text and SIGNED not in caplog.text


def test_no_failure_to_connect_shows_it_either(model_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def main() -> None:
        origin = f"http://127.0.0.1:{closed_port()}"
        async with client(f"{origin}/api/v1") as glossi:
            for ask in CALLS.values():
                with pytest.raises(NotSent) as raised:
                    await ask(glossi, origin, model_file)
                for one in chain_of(raised.value):
                    assert KEY not in told_by(one) and SIGNED not in told_by(one)
                assert KEY not in with_locals(raised.value)

    run(main)
    assert KEY not in caplog.text and SIGNED not in caplog.text


def test_a_request_that_goes_well_is_logged_without_its_query(
    model_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def main() -> None:
        async with serving(in_turn(Answer(200))) as server, client(server.endpoint) as glossi:
            await CALLS["PUT upload"](glossi, server.origin, model_file)
            assert SIGNED in server.received[0].target
        elsewhere = Answer(302, headers={"location": f"/b.png?X-Amz-Signature={SIGNED}"})
        to = Answer(302, headers={"location": f"http://127.0.0.1:1/b.png?X-Amz-Signature={SIGNED}"})
        async with serving(in_turn(elsewhere, to)) as server, client(server.endpoint) as glossi:
            with pytest.raises(NotSent):
                await glossi.download("a.png", model_file.with_name("a.png"))

    run(main)
    assert "/bucket/lamp.glb" in caplog.text
    assert SIGNED not in caplog.text


def test_an_error_that_is_not_ours_has_no_key_in_its_traceback(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(in_turn(Answer(200, b"x"))) as server, client(server.endpoint) as glossi:
            (tmp_path / "folder").mkdir()
            with pytest.raises(OSError) as raised:
                await glossi.download("a.png", tmp_path / "folder")
            for one in chain_of(raised.value):
                assert KEY not in told_by(one) + with_locals(one)

            def interrupted(sent: int) -> None:
                raise RuntimeError("a defect of who listens")

            with pytest.raises(RuntimeError) as defect:
                await glossi.download("a.png", tmp_path / "b.png", progress=interrupted)
            for one in chain_of(defect.value):
                assert KEY not in told_by(one) + with_locals(one)

    run(main)


def test_a_cancelled_call_has_no_key_in_its_traceback() -> None:
    async def main() -> None:
        async with failing(REPLIES["silence"]) as (glossi, _):
            asking = asyncio.ensure_future(glossi.templates())
            await asyncio.sleep(0.05)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError) as raised:
                await asking
        for one in chain_of(raised.value):
            assert KEY not in told_by(one)

    run(main)


def test_no_repr_shows_a_secret() -> None:
    record = {"modelId": "m1", "name": "Lamp", "uploadUrl": f"https://s3/u?X-Amz-Signature={SIGNED}", "uploadKey": "k"}
    webhook = {"id": "w1", "url": "https://shop.example", "secret": "wh-s3cret", "events": [], "enabled": True}

    async def main() -> None:
        script = in_turn(answer_json({"models": [record]}), answer_json(webhook))
        async with serving(script) as server, Glossi(server.endpoint, KEY) as glossi:
            (created,) = await glossi.create_models([NewModel("Lamp", "lamp.glb", "glb")])
            stored = await glossi.put_webhook(Webhook("https://shop.example", ()))
            assert SIGNED in created.upload_url and stored.secret == "wh-s3cret"
            shown = repr([glossi, created, stored]) + str(glossi) + str(created) + str(stored)
            shown += "".join(map(repr, vars(glossi).values()))
        for secret in (KEY, SIGNED, "wh-s3cret"):
            assert secret not in shown

    run(main)
    assert KEY not in repr(Sorter(KEY, lambda: 0.0))
    assert SIGNED not in repr(Asking(UPLOAD, "uploading", f"https://s3/u?X-Amz-Signature={SIGNED}", lambda: None))  # type: ignore[arg-type,return-value]
