"""The webhook's signature is the guide's: checked against its own JavaScript where node is, and against known vectors."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glossi_sync.service.signature import sign, stringify, verify

GUIDE = """
const crypto = require("crypto")
function verifyWebhook(payload, signature, secret) {
const expected = crypto.createHmac("sha256", secret).update(JSON.stringify(payload)).digest("hex")
return crypto.timingSafeEqual(Buffer.from(signature), Buffer.from(expected))
}
"""
"""The workflow guide, "Verify Webhook Signatures", word for word."""

ASK = """
const lines = require("readline").createInterface({input: process.stdin})
lines.on("line", line => {
  const asked = JSON.parse(line)
  const payload = JSON.parse(Buffer.from(asked.body, "base64").toString())
  const accepted = verifyWebhook(payload, asked.signature, asked.secret)
  const text = Buffer.from(JSON.stringify(payload)).toString("base64")
  console.log(JSON.stringify({accepted, text}))
})
"""

Guide = Callable[[bytes, str, str], tuple[bool, str]]
"""From body, signature and secret to whether the guide's function accepts them, and its JSON.stringify of the body."""


@pytest.fixture(scope="module")
def guide() -> Iterator[Guide]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    with subprocess.Popen([node, "-e", GUIDE + ASK], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        asking, answers = process.stdin, process.stdout
        assert asking is not None and answers is not None

        def ask(body: bytes, signature: str, secret: str) -> tuple[bool, str]:
            asked = {"body": base64.b64encode(body).decode(), "signature": signature, "secret": secret}
            asking.write(json.dumps(asked).encode() + b"\n")
            asking.flush()
            answer = json.loads(answers.readline())
            return answer["accepted"], base64.b64decode(answer["text"]).decode()

        yield ask
        asking.close()


numbers = st.one_of(
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(1e19, 1e23),
    st.floats(1e-8, 1e-5),
    st.sampled_from(["-0", "-0.0", "1E400", "-1e400", "1e21", "123456789012345678901234567890", "0.1e1", "1.0", "5e-324"]),
).map(str)  # fmt: skip
"""Spellings of numbers: what JavaScript writes for them may look otherwise."""

keys = st.one_of(st.text(max_size=5), st.sampled_from(["0", "10", "2", "01", "-1", "4294967294", "4294967295", "__proto__", "é"]))  # fmt: skip
texts = st.text(st.characters(exclude_categories=[]), max_size=8)


def _listed(parts: list[str]) -> str:
    return "[" + " , ".join(parts) + "]"


def _mapped(parts: list[tuple[str, str]]) -> str:
    return "{" + ",\n".join(f"{json.dumps(key)} : {value}" for key, value in parts) + "}"


bodies = st.recursive(
    st.one_of(numbers, texts.map(json.dumps), st.sampled_from(["true", "false", "null"])),
    lambda inner: st.lists(inner, max_size=4).map(_listed) | st.lists(st.tuples(keys, inner), max_size=4).map(_mapped),
    max_leaves=12,
)
"""JSON in spellings that no program would choose: spaces, escapes, repeated keys, numbers of every form."""

secrets = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(bodies, secrets)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_the_guides_javascript_signs_is_verified(guide: Guide, body: str, secret: str) -> None:
    raw = body.encode()
    spelled = stringify(json.loads(body))
    accepted, text = guide(raw, sign(spelled.encode(), secret), secret)
    assert spelled == text
    assert accepted
    assert verify(raw, sign(text.encode(), secret), secret)


@given(bodies, secrets)
def test_what_is_signed_as_it_is_sent_is_verified_and_nothing_else_is(body: str, secret: str) -> None:
    raw = body.encode()
    signature = sign(raw, secret)
    assert verify(raw, signature, secret)
    assert verify(raw, f" {signature.upper()}\n", secret)
    assert not verify(raw + b"!", signature, secret)
    assert not verify(raw, signature, secret + "x")
    assert not verify(raw, signature[:-1] + ("0" if signature[-1] != "0" else "1"), secret)
    assert not verify(raw, signature[:-1], secret)


@given(st.binary(max_size=40), st.text(max_size=70), st.text(max_size=5))
def test_no_bytes_and_no_signature_make_it_stumble(body: bytes, signature: str, secret: str) -> None:
    assert verify(body, signature, secret) is False


PAYLOAD = {
    "event": "model.processed",
    "timestamp": "2025-01-15T10:30:00.000Z",
    "data": {"modelId": "model-uuid", "name": "Chair Model", "status": "READY"},
}
"""Of the guide, "Webhook Payloads"."""


@pytest.mark.parametrize(
    ("spelled", "signature"),
    [
        (
            '{"event":"model.processed","timestamp":"2025-01-15T10:30:00.000Z",'
            '"data":{"modelId":"model-uuid","name":"Chair Model","status":"READY"}}',
            "9159b11e3919b259ebf26fe09bc61721f1b165182d762331c4dc4466d44a6941",
        ),
        (
            '{"2":1.5,"name":"Fauteuil « Été » 🪑","ratio":1e+21}',
            "d9c1deaee499b7641a55dacc9dd7e95695c752532248b78b443bf242fe21042b",
        ),
    ],
)
def test_known_vectors(spelled: str, signature: str) -> None:
    """Made with node's crypto, so that they stand where node is not installed."""
    assert sign(spelled.encode(), "your-webhook-secret") == signature
    payload = json.loads(spelled)
    assert stringify(payload) == spelled
    for body in (json.dumps(payload), json.dumps(payload, indent=2, ensure_ascii=False)):
        assert verify(body.encode(), signature, "your-webhook-secret")


def test_the_guides_payload_is_spelled_as_javascript_spells_it() -> None:
    assert stringify(PAYLOAD) == json.dumps(PAYLOAD, separators=(",", ":"))


def test_an_empty_secret_verifies_nothing() -> None:
    assert not verify(b"{}", sign(b"{}", ""), "")


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object(), [{"a": {1}}]])
def test_what_is_no_json_cannot_be_spelled(value: Any) -> None:
    with pytest.raises(ValueError, match="JSON has no"):
        stringify(value)
