"""The public ``webhooks``: whatever the guide's own JavaScript accepts is accepted, and read as the guide means it."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glossi_sync import webhooks
from glossi_sync.service.signature import sign, stringify

REPOSITORY = Path(__file__).parents[2]
GUIDE = (
    Path(os.environ.get("GLOSSI_REFERENCE") or REPOSITORY.parent / "shared" / "reference")
    / "service-workflow-guide.txt"
)

SERVE = """
require("readline").createInterface({input: process.stdin}).on("line", line => {
  const {body, signature, secret} = JSON.parse(line)
  let accepted = false
  try { accepted = verifyWebhook(JSON.parse(Buffer.from(body, "base64").toString()), signature, secret) } catch {}
  console.log(accepted)
})
"""

GuidesOwn = Callable[[bytes, str, str], bool]


@pytest.fixture(scope="module")
def guide() -> str:
    if not GUIDE.is_file():
        pytest.skip(f"the guide is not at {GUIDE}")
    return GUIDE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def guides_own(guide: str) -> Iterator[GuidesOwn]:
    """The guide's function, cut out of its text and run in node."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    [script] = re.findall(r'^(const crypto = require\("crypto"\)\nfunction verifyWebhook.*?\n\})', guide, re.M | re.S)
    with subprocess.Popen([node, "-e", script + SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        asking, answers = process.stdin, process.stdout
        assert asking is not None and answers is not None

        def ask(body: bytes, signature: str, secret: str) -> bool:
            asked = {"body": base64.b64encode(body).decode(), "signature": signature, "secret": secret}
            asking.write(json.dumps(asked).encode() + b"\n")
            asking.flush()
            return answers.readline() == b"true\n"

        yield ask
        asking.close()


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
payloads = st.fixed_dictionaries(
    {
        "event": st.sampled_from(["render.complete", "model.failed", "project.created", "something.new"]),
        "timestamp": st.just("2025-01-15T10:30:00.000Z"),
        "data": st.dictionaries(
            texts, texts | st.floats(allow_nan=False, allow_infinity=False) | st.none(), max_size=4
        ),
    }
)
secrets = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@settings(max_examples=150)
@given(payloads, secrets, st.integers(0, 3) | st.none(), st.booleans(), st.integers(0, 63))
def test_it_accepts_what_the_guides_javascript_accepts_and_nothing_else(
    guides_own: GuidesOwn, payload: object, secret: str, indent: int | None, ascii_only: bool, place: int
) -> None:
    """However the body is spelled on its way: the guide's function signs the JSON, not the bytes."""
    body = json.dumps(payload, indent=indent, ensure_ascii=ascii_only).encode()
    signature = sign(stringify(payload).encode(), secret)
    wrong = signature[:place] + ("0" if signature[place] != "0" else "1") + signature[place + 1 :]
    for given_signature, given_secret in ((signature, secret), (wrong, secret), (signature, secret + "!")):
        accepted = webhooks.verify(body, given_signature, given_secret)
        assert accepted == guides_own(body, given_signature, given_secret)
        assert accepted == webhooks.verify(body, given_signature, given_secret.encode())
    assert webhooks.verify(body, signature, secret)


def test_the_guides_payloads_are_read(guide: str) -> None:
    starts = [match.start() for match in re.finditer(r'^\{\n"event"', guide, re.M)]
    found = [json.JSONDecoder().raw_decode(guide, start)[0] for start in starts]
    model, job, render = (webhooks.parse(json.dumps(payload)) for payload in found)
    assert [one.name for one in (model, job, render)] == ["model.processed", "job.complete", "render.complete"]
    assert model.at == datetime(2025, 1, 15, 10, 30, tzinfo=UTC)
    assert model.subject == webhooks.ModelFinished(
        "model-uuid", "READY", "Chair Model", "https://s3.../file.glb", "https://s3.../file.jpg"
    )
    assert isinstance(model.subject, webhooks.ModelFinished) and model.subject.ready
    results = (webhooks.JobResult("model-uuid", "Chair", "project-uuid", "Chair Project"),)
    assert job.subject == webhooks.JobFinished("job-uuid", "COMPLETE", results)
    assert isinstance(job.subject, webhooks.JobFinished) and job.subject.completed
    renders = ("render-uuid-1", "render-uuid-2")
    assert render.subject == webhooks.RenderFinished("render-job-uuid", "COMPLETED", "project-uuid", renders)
    assert isinstance(render.subject, webhooks.RenderFinished) and render.subject.completed
    assert render.data["renderIds"] == list(renders)


def test_receive_says_why_it_takes_nothing() -> None:
    body = b'{"event": "render.failed", "data": {"jobId": "j", "errorMessage": "out of light"}}'
    event = webhooks.receive(body, sign(body, "s"), b"s")
    assert isinstance(event.subject, webhooks.RenderFinished)
    assert not event.subject.completed
    assert event.subject.error_message == "out of light"
    with pytest.raises(webhooks.NotSigned):
        webhooks.receive(body, sign(body, "other"), "s")
    with pytest.raises(webhooks.Malformed, match="no `event`"):
        webhooks.receive(b"{}", sign(b"{}", "s"), "s")


@settings(max_examples=50)
@given(st.recursive(st.none() | st.booleans() | st.floats() | texts, lambda inner: st.lists(inner) | st.dictionaries(texts | st.sampled_from(["event", "data", "jobId", "results", "model"]), inner)))  # fmt: skip
def test_no_json_makes_it_stumble(payload: object) -> None:
    for whole in (payload, {"event": "job.complete", "data": payload}, {"event": payload, "data": {}}):
        with suppress(webhooks.Malformed):
            webhooks.parse(json.dumps(whole))


def test_a_future_event_is_no_error() -> None:
    event = webhooks.parse('{"event": "render.started", "timestamp": "soon", "data": {"jobId": "j"}}')
    assert (event.name, event.at, event.subject, event.data) == ("render.started", None, None, {"jobId": "j"})
