"""Uploads: what is planned arrives whole, with nothing of ours on the request, or does not arrive at all."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tracemalloc
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import httpx
import pytest
from failures import KEY, QUICK, client, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted_server import Answer, DropBefore, Early, Reply, answer_json, in_turn, serving

from glossi_sync.resources import FILE_TYPES
from glossi_sync.service import FileChanged, Glossi, InDoubt, Refused, ServiceError, Timeouts, UploadExpired, wire
from glossi_sync.service.uploads import CHUNK_BYTES

EXPIRED = Answer(403, b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>")


@dataclass(frozen=True)
class Planned:
    """A file as it was when it was planned."""

    path: Path
    content: bytes

    async def upload(self, glossi: Glossi, origin: str, file_type: str = "glb", **options: object) -> None:
        url = f"{origin}/bucket/lamp%20%C3%A9.glb?X-Amz-Signature=s1gnature&X-Amz-Expires=3600"
        sha256 = hashlib.sha256(self.content).hexdigest()
        await glossi.upload(url, self.path, file_type=file_type, size=len(self.content), sha256=sha256, **options)  # type: ignore[arg-type]


def planned(folder: Path, content: bytes) -> Planned:
    path = folder / "lamp.glb"
    path.write_bytes(content)
    return Planned(path, content)


@pytest.mark.parametrize("file_type", FILE_TYPES)
def test_a_put_has_its_length_and_its_type_and_nothing_else_of_ours(tmp_path: Path, file_type: str) -> None:
    """After a call that sent the key and was given a cookie."""
    file = planned(tmp_path, b"glTF" * 300_000)

    async def main() -> None:
        templates = answer_json({"templates": []}, set_cookie="session=1; Path=/")
        async with serving(in_turn(templates, Answer())) as server, client(server.endpoint) as glossi:
            await glossi.templates()
            await file.upload(glossi, server.origin, file_type)
        keyed, put = server.received
        assert keyed.headers["x-api-key"] == KEY
        assert put.method == "PUT"
        assert put.target == "/bucket/lamp%20%C3%A9.glb?X-Amz-Signature=s1gnature&X-Amz-Expires=3600"
        assert put.headers == {
            "host": server.origin.removeprefix("http://"),
            "content-length": str(len(file.content)),
            "content-type": wire.FILE_TYPES[file_type],
        }
        assert put.body == file.content

    run(main)


def test_the_nine_file_types_have_the_types_that_are_registered_for_them() -> None:
    assert dict(wire.FILE_TYPES) == {
        "glb": "model/gltf-binary",  # the guide, Step 2.2
        "gltf": "model/gltf+json",
        "usdz": "model/vnd.usdz+zip",
        "usd": "model/vnd.usd",
        "fbx": "application/octet-stream",
        "obj": "model/obj",
        "step": "model/step",
        "stp": "model/step",
        "stl": "model/stl",
    }
    assert tuple(wire.FILE_TYPES) == FILE_TYPES


def test_memory_stays_flat_however_large_the_file(tmp_path: Path) -> None:
    size = 96 * CHUNK_BYTES + 17
    path = tmp_path / "huge.glb"
    path.touch()
    os.truncate(path, size)
    sha256 = hashlib.sha256(bytes(size)).hexdigest()
    arrived = 0

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal arrived
        await reader.readuntil(b"\r\n\r\n")
        while arrived < size:
            arrived += len(await reader.read(65536))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def main() -> None:
        listener = await asyncio.start_server(swallow, "127.0.0.1", 0)
        origin = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        async with listener, client(origin, timeouts=Timeouts()) as glossi:
            tracemalloc.start()
            await glossi.upload(f"{origin}/x", path, file_type="glb", size=size, sha256=sha256)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert arrived == size
        assert peak < 12 * CHUNK_BYTES < size / 8

    run(main)


def test_the_event_loop_is_free_while_a_file_is_read(tmp_path: Path) -> None:
    """Reading goes through ``run_blocking``, a piece at a time and one piece ahead; progress is told after sending."""
    file = planned(tmp_path, bytes(3 * CHUNK_BYTES + 1))
    told: list[int] = []
    functions: list[str] = []

    async def recording(function: Callable[..., object], *args: object) -> object:
        functions.append(getattr(function, "__name__", "?"))
        return await asyncio.to_thread(function, *args)

    async def main() -> None:
        async with serving(in_turn(Answer())) as server, client(server.endpoint, run_blocking=recording) as glossi:
            await file.upload(glossi, server.origin, progress=told.append)

    run(main)
    assert told == [0, CHUNK_BYTES, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES, 3 * CHUNK_BYTES + 1]
    assert functions == ["_check_size"] + ["next"] * 5


def _shorter(file: Planned) -> None:
    os.truncate(file.path, len(file.content) - 1)


def _longer(file: Planned) -> None:
    file.path.write_bytes(file.content + b"!")


def _gone(file: Planned) -> None:
    file.path.unlink()


def _a_folder(file: Planned) -> None:
    file.path.unlink()
    file.path.mkdir()


@pytest.mark.parametrize("size", [1000, 3 * CHUNK_BYTES])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_shorter, "bytes where"),
        (_longer, "bytes where"),
        (_gone, "cannot be read (No such file or directory)"),
        (_a_folder, "bytes where"),
    ],
)
def test_a_file_of_another_size_is_refused_before_anything_is_sent(
    tmp_path: Path, size: int, change: Callable[[Planned], None], said: str
) -> None:
    file = planned(tmp_path, bytes(size))
    change(file)

    async def main() -> None:
        async with serving(in_turn(Answer())) as server, client(server.endpoint, QUICK) as glossi:
            with pytest.raises(FileChanged) as raised:
                await file.upload(glossi, server.origin)
            assert server.received == []
            assert not glossi.calls
        assert said in str(raised.value) and "Nothing was uploaded" in str(raised.value)

    run(main)


@given(st.sampled_from([1, 1000, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES]), st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_with_one_other_byte_never_arrives_whole(tmp_path: Path, size: int, data: st.DataObject) -> None:
    file = planned(tmp_path, bytes(size))
    place = data.draw(st.integers(0, size - 1))
    with file.path.open("r+b") as content:
        content.seek(place)
        content.write(b"!")

    async def main() -> None:
        async with serving(in_turn(Answer())) as server, client(server.endpoint, QUICK) as glossi:
            with pytest.raises(FileChanged, match="content is no longer what was planned"):
                await file.upload(glossi, server.origin)
            await server.left_alone()
        (request,) = server.received
        assert not request.whole
        assert len(request.body) < size

    run(main)


@pytest.mark.parametrize("change", [_shorter, _longer, lambda file: file.path.write_bytes(b"!" * len(file.content))])
def test_a_file_that_changes_on_the_way_is_broken_off(tmp_path: Path, change: Callable[[Planned], None]) -> None:
    file = planned(tmp_path, bytes(4 * CHUNK_BYTES))

    def on_the_way(sent: int) -> None:
        if sent == CHUNK_BYTES:
            change(file)

    async def main() -> None:
        async with serving(in_turn(Answer())) as server, client(server.endpoint, QUICK) as glossi:
            with pytest.raises(FileChanged, match="was broken off"):
                await file.upload(glossi, server.origin, progress=on_the_way)
            assert glossi.calls == {"PUT upload": 1}
            # The connection is closed with the request, so that the far side knows it will not be finished.
            await server.left_alone()
        assert [request.whole for request in server.received] == [False]

    run(main)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (EXPIRED, UploadExpired),
        (Answer(413), Refused),
        (Answer(500), InDoubt),
        (Answer(503, headers={"retry-after": "1"}), Refused),
    ],
)
def test_an_answer_that_comes_before_the_file_is_through_is_heard(
    tmp_path: Path, answer: Answer, kind: type[ServiceError]
) -> None:
    file = planned(tmp_path, bytes(4 * CHUNK_BYTES))

    async def main() -> None:
        async with serving(in_turn(Early(answer))) as server, client(server.endpoint) as glossi:
            with pytest.raises(kind) as raised:
                await file.upload(glossi, server.origin)
        assert type(raised.value) is kind
        assert raised.value.status == answer.status

    run(main)


@pytest.mark.parametrize("reply", [DropBefore(), Early(None, after=CHUNK_BYTES, reset=True)])
def test_a_connection_that_is_reset_in_the_middle_leaves_the_upload_in_doubt(tmp_path: Path, reply: Reply) -> None:
    file = planned(tmp_path, bytes(64 * CHUNK_BYTES))

    async def main() -> None:
        async with serving(in_turn(reply)) as server, client(server.endpoint) as glossi:
            with pytest.raises(InDoubt, match="broke off without an answer") as raised:
                await file.upload(glossi, server.origin)
        assert raised.value.status is None
        assert "can do no harm" in raised.value.advice

    run(main)


@pytest.mark.parametrize("answer", [Answer(200), EXPIRED])
def test_an_answer_with_a_reset_behind_it_is_never_taken_for_success(tmp_path: Path, answer: Answer) -> None:
    """Whether the answer is still heard is up to the operating system."""
    file = planned(tmp_path, bytes(64 * CHUNK_BYTES))

    async def main() -> None:
        reply = Early(answer, after=CHUNK_BYTES, reset=True)
        async with serving(in_turn(reply)) as server, client(server.endpoint) as glossi:
            with pytest.raises((InDoubt, UploadExpired)):
                await file.upload(glossi, server.origin)

    run(main)


class Hasty(httpx.AsyncBaseTransport):
    """Takes one piece of a request's body, and says 200."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        async for _ in cast(AsyncIterator[bytes], request.stream):
            break
        return httpx.Response(200)


def test_a_200_that_comes_before_the_whole_file_has_left_is_no_success(tmp_path: Path) -> None:
    file = planned(tmp_path, bytes(2 * CHUNK_BYTES))

    async def main() -> None:
        async with client("http://127.0.0.1:1", transport=Hasty()) as glossi:
            with pytest.raises(InDoubt, match="answered 200 before it had the whole file"):
                await file.upload(glossi, "http://127.0.0.1:1")

    run(main)


def test_a_server_that_says_200_and_goes_before_it_has_the_file_has_not_got_it(tmp_path: Path) -> None:
    file = planned(tmp_path, bytes(64 * CHUNK_BYTES))

    async def say_yes_and_read_no_more(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async def main() -> None:
        listener = await asyncio.start_server(say_yes_and_read_no_more, "127.0.0.1", 0)
        origin = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        async with listener, client(origin) as glossi:
            with pytest.raises(InDoubt):
                await file.upload(glossi, origin)

    run(main)


def test_an_upload_that_is_asked_again_is_read_again_from_its_beginning(tmp_path: Path) -> None:
    file = planned(tmp_path, os.urandom(2 * CHUNK_BYTES + 5))
    told: list[int] = []

    async def main() -> None:
        replies = in_turn(Early(None, after=CHUNK_BYTES, reset=True), Answer(500), Answer(200))
        async with serving(replies) as server, client(server.endpoint, QUICK, timeouts=Timeouts()) as glossi:
            await file.upload(glossi, server.origin, progress=told.append)
            assert glossi.calls == {"PUT upload": 3}
        assert [request.body for request in server.received][1:] == [file.content] * 2

    run(main)
    assert told.count(0) == 3
    assert told[-1] == len(file.content)


def test_a_cancelled_upload_leaves_no_file_open(tmp_path: Path) -> None:
    """Where /proc tells (Linux)."""
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("no /proc here")
    file = planned(tmp_path, bytes(64 * CHUNK_BYTES))

    async def main() -> None:
        async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.Event().wait()

        listener = await asyncio.start_server(stall, "127.0.0.1", 0)
        origin = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        under_way = asyncio.Event()
        async with client(origin, timeouts=Timeouts()) as glossi:
            upload = asyncio.ensure_future(file.upload(glossi, origin, progress=lambda sent: under_way.set()))
            await under_way.wait()
            upload.cancel()
            with pytest.raises(asyncio.CancelledError):
                await upload
        listener.close()
        await asyncio.get_running_loop().shutdown_default_executor()

    run(main)
    # asyncio.run has also closed the generators that were left.
    assert not any(link.readlink() == file.path for link in descriptors.iterdir() if link.is_symlink())
