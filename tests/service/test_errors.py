"""Failures are sorted by what they say about the call, and told in a sentence."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from failures import CALLS, KEY, REPLIES, client, closed_port, failing, run
from scripted_server import Answer, answer_json, in_turn, serving

from glossi_sync.resources import RenderSettings
from glossi_sync.service import (
    MUTATING,
    InDoubt,
    InvalidKey,
    NewModel,
    NotFound,
    NotSent,
    Patience,
    ReadFailed,
    Refused,
    ServiceError,
    Timeouts,
    Unauthorized,
    UploadExpired,
)

CERTAINLY_NOT_DONE = {"400", "404", "409", "413", "429", "429 without Retry-After", "503 with Retry-After", "redirect"}
KEY_REFUSED = {"401", "403"}
OUTCOME_UNKNOWN = {
    "dropped before reading",
    "dropped after reading",
    "silence",
    "500",
    "502",
    "503",
    "504",
    "truncated error",
}
UNREADABLE = {"truncated", "not JSON", "bottomless", "bad gzip", "empty", "wrong shape"}
GOOD_FOR_A_FILE = UNREADABLE - {"truncated"}

FAILURES = [
    (call, reply)
    for call in CALLS
    for reply in REPLIES
    if not (call in ("PUT upload", "GET file") and reply in GOOD_FOR_A_FILE)
    and (call, reply) != ("GET file", "redirect")
]


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "lamp.glb"
    path.write_bytes(b"glTF")
    return path


def test_the_table_is_whole() -> None:
    assert REPLIES.keys() == CERTAINLY_NOT_DONE | KEY_REFUSED | OUTCOME_UNKNOWN | UNREADABLE


@pytest.mark.parametrize(("call", "reply"), FAILURES)
def test_every_failure_of_every_call_is_sorted(call: str, reply: str, model_file: Path) -> None:
    async def main() -> None:
        async with failing(REPLIES[reply]) as (glossi, origin):
            with pytest.raises(ServiceError) as raised:
                await CALLS[call](glossi, origin, model_file)
        error = raised.value
        unsure = InDoubt if call in MUTATING else ReadFailed
        if reply in KEY_REFUSED:
            assert isinstance(error, Refused if call == "PUT upload" else Unauthorized)
        elif reply in CERTAINLY_NOT_DONE:
            assert isinstance(error, NotFound if reply == "404" else Refused)
        else:
            assert type(error) is unsure
        assert error.call == call
        assert error.where in str(error) and origin in error.where and "?" not in error.where
        assert error.advice and str(error).endswith(error.advice)
        assert (error.status is None) == (reply in {"dropped before reading", "dropped after reading", "silence"})
        assert glossi.calls == {call: 1}

    run(main)


def test_a_refused_connection_is_not_sent_and_not_counted() -> None:
    async def main() -> None:
        port = closed_port()
        async with client(f"http://127.0.0.1:{port}/api/v1") as glossi:
            with pytest.raises(NotSent, match=f"nothing listens at 127.0.0.1 port {port}") as raised:
                await glossi.templates()
            assert str(raised.value).startswith(
                f"Listing the templates failed: GET http://127.0.0.1:{port}/api/v1/templates"
            )
            assert not glossi.calls

    run(main)


def test_an_unknown_name_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", unknown)
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    monkeypatch.delenv("https_proxy", raising=False)

    async def main() -> None:
        async with client("https://glossi.invalid/api/v1") as glossi:
            with pytest.raises(NotSent, match="the name glossi.invalid is not known"):
                await glossi.start_renders(["p1"], RenderSettings())

    run(main)


def test_a_server_without_tls_is_not_sent_and_not_asked_again() -> None:
    async def main() -> None:
        def answer_in_plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")

        listener = await asyncio.start_server(answer_in_plain, "127.0.0.1", 0)
        endpoint = f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        async with listener, client(endpoint, Patience(total=3600, first_contact=3600)) as glossi:
            with pytest.raises(NotSent, match="does not speak TLS") as raised:
                await glossi.templates()
            assert raised.value.permanent

    run(main)


def test_a_handshake_that_takes_too_long_may_be_asked_again() -> None:
    async def main() -> None:
        async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        listener = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
        endpoint = f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        async with listener, client(endpoint, timeouts=Timeouts(connect=0.05)) as glossi:
            with pytest.raises(NotSent, match="took too long to connect") as raised:
                await glossi.templates()
            assert not raised.value.permanent

    run(main)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_an_untrusted_certificate_is_explained(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*request, *name, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def main() -> None:
        def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        listener = await asyncio.start_server(close, "127.0.0.1", 0, ssl=context)
        port = listener.sockets[0].getsockname()[1]
        async with listener, client(f"https://127.0.0.1:{port}", Patience()) as glossi:
            with pytest.raises(NotSent, match=r"certificate of 127\.0\.0\.1 cannot be trusted.*SSL_CERT_FILE"):
                await glossi.templates()

    run(main)


def test_the_sentence_says_what_where_what_came_back_and_what_next() -> None:
    async def main() -> None:
        conflict = answer_json({"error": {"message": "only FAILED jobs\ncan be retried"}}, 409, x_request_id="r7")
        async with failing(conflict) as (glossi, origin):
            with pytest.raises(Refused) as raised:
                await glossi.retry_render("j/1")
        assert str(raised.value) == (
            f"Retrying render job j/1 failed: POST {origin}/api/v1/renders/j%2F1/retry answered 409 Conflict: "
            "“only FAILED jobs can be retried” (request id r7). "
            "The service did nothing; mend what it names and run the command again."
        )
        assert raised.value.message == "only FAILED jobs can be retried"
        assert raised.value.request_id == "r7"

    run(main)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"message": "m"}', "m"),
        (b'{"error": "m"}', "m"),
        (b'{"detail": [{"message": "m"}]}', "m"),
        (b'{"errors": ["m", "n"]}', "m"),
        (b"<Error><Code>AccessDenied</Code><Message>m</Message></Error>", "m"),
        (b"m", "m"),
        (b"<html><body>m</body></html>", None),
        (b"", None),
        (b"\xff\xfe", "��"),
    ],
)
def test_the_services_own_words_are_found(body: bytes, message: str | None) -> None:
    async def main() -> None:
        async with failing(Answer(400, body)) as (glossi, _):
            with pytest.raises(Refused) as raised:
                await glossi.templates()
        assert (raised.value.message or None) == message

    run(main)


def test_a_key_that_was_not_sent_is_told_apart_from_one_that_is_refused() -> None:
    async def main() -> None:
        async with serving(in_turn(Answer(401))) as server:
            async with client(server.endpoint) as glossi:
                with pytest.raises(Unauthorized, match="Check GLOSSI_API_KEY"):
                    await glossi.templates()
            async with type(glossi)(server.endpoint, None) as keyless:
                with pytest.raises(Unauthorized, match="No API key was sent: set GLOSSI_API_KEY"):
                    await keyless.templates()

    run(main)


@pytest.mark.parametrize("key", ["glsi_a\nb", "glsi_ä", "glsi a", "glsi_\x00"])
def test_a_key_that_cannot_be_one_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(InvalidKey) as raised:
        client_with(key)
    assert key not in str(raised.value) and "glsi" not in str(raised.value)


def client_with(key: str) -> None:
    type(client("http://127.0.0.1:1"))("http://127.0.0.1:1", key)


@pytest.mark.parametrize(
    "reply",
    [
        Answer(403, b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"),
        Answer(403, b'{"error": {"code": "upload_expired", "message": "Request has expired"}}'),
        Answer(400, b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"),
    ],
)
def test_an_expired_upload_is_told_apart(reply: Answer, model_file: Path) -> None:
    async def main() -> None:
        async with failing(reply) as (glossi, origin):
            with pytest.raises(UploadExpired, match="needs a new record"):
                await CALLS["PUT upload"](glossi, origin, model_file)

    run(main)


def test_a_wrong_signature_is_no_expiry(model_file: Path) -> None:
    async def main() -> None:
        async with failing(Answer(403, b"<Code>SignatureDoesNotMatch</Code>")) as (glossi, origin):
            with pytest.raises(Refused) as raised:
                await CALLS["PUT upload"](glossi, origin, model_file)
        assert type(raised.value) is Refused

    run(main)


def test_an_upload_url_that_is_none_is_not_sent(model_file: Path) -> None:
    async def main() -> None:
        async with client("http://127.0.0.1:1") as glossi:
            for url in ("nonsense", "ftp://host/x", "http://host:port/", ""):
                with pytest.raises(NotSent) as raised:
                    await glossi.upload(url, model_file, file_type="glb", size=4, sha256="0" * 64)
                assert raised.value.permanent

    run(main)


def test_what_an_unfinished_batch_answer_names_is_kept() -> None:
    jobs = [{"jobId": "j1", "status": "QUEUED", "projectId": "p1"}, {"status": "QUEUED", "projectId": "p2"}]

    async def main() -> None:
        async with failing(answer_json({"jobs": jobs, "totalProjects": 2})) as (glossi, _):
            with pytest.raises(InDoubt, match=r"jobs\[1\]\.jobId is missing") as raised:
                await glossi.start_renders(["p1", "p2"], RenderSettings())
        assert [job.job_id for job in raised.value.partial] == ["j1"]

        async with failing(answer_json({"jobs": jobs[:1], "totalProjects": 2})) as (glossi, _):
            with pytest.raises(InDoubt, match="exactly one entry for each") as raised:
                await glossi.start_renders(["p1", "p2"], RenderSettings())
        assert [job.job_id for job in raised.value.partial] == ["j1"]

        async with failing(answer_json({"models": []})) as (glossi, _):
            with pytest.raises(InDoubt, match="0 entries for 1 models"):
                await glossi.create_models([NewModel("Lamp", "lamp.glb", "glb")])

    run(main)


def test_the_key_of_these_tests_is_one() -> None:
    assert KEY.startswith("glsi_")
