"""Downloads: a file comes home whole or not at all, what has arrived is not asked for twice, and nothing escapes."""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from itertools import product
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest
from failures import KEY, QUICK, client, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted_server import Answer, Received, in_turn, serving
from virtual_time import run_in_virtual_time

from glossi_sync.service import Downloaded, Endpoint, NotFound, ReadFailed, ServiceError

CONTENT = bytes(range(256)) * 20
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FILE = "workspaces/w1/renders/Front View - Oak.png"


def file_server(
    content: bytes = CONTENT, etag: str | None = '"v1"', cuts: tuple[int, ...] = ()
) -> Callable[[Received], Answer]:
    """Serves one content, with Range; the first answers break off after so many bytes."""
    left = list(cuts)

    def reply(request: Received) -> Answer:
        start, status = 0, 200
        headers = {"etag": etag} if etag is not None else {}
        if (wanted := request.headers.get("range")) is not None:
            start, status = int(wanted.removeprefix("bytes=").removesuffix("-")), 206
            if start >= len(content):
                return Answer(416, headers={"content-range": f"bytes */{len(content)}"})
            headers["content-range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body = content[start:]
        if left:
            return Answer(status, body[: left.pop(0)], headers, claims=len(body))
        return Answer(status, body, headers)

    return reply


def ranges(received: list[Received]) -> list[str | None]:
    return [request.headers.get("range") for request in received]


def parts(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.endswith(".part")]


def test_a_file_comes_home_under_its_name_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "front.png"
    told: list[int] = []

    async def main() -> None:
        async with serving(file_server()) as server, client(server.endpoint) as glossi:
            downloaded = await glossi.download(FILE, target, progress=told.append)
        assert downloaded == Downloaded(target, len(CONTENT), 0, SHA256)
        (request,) = server.received
        assert request.target == "/api/v1/files/workspaces/w1/renders/Front%20View%20-%20Oak.png"
        assert request.headers["x-api-key"] == KEY
        assert request.headers["accept-encoding"] == "identity"

    run(main)
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]
    assert told[-1] == len(CONTENT)


def test_an_empty_file_is_one_too(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(file_server(b"")) as server, client(server.endpoint) as glossi:
            assert (await glossi.download(FILE, tmp_path / "x")).size == 0

    run(main)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("reply", [Answer(404), Answer(500), Answer(200, CONTENT[:100], claims=len(CONTENT))])
def test_a_file_that_is_there_stays_until_the_new_one_is_whole(tmp_path: Path, reply: Answer) -> None:
    target = tmp_path / "front.png"
    target.write_bytes(b"old")

    async def main() -> None:
        async with serving(in_turn(reply)) as server, client(server.endpoint) as glossi:
            with pytest.raises(NotFound if reply.status == 404 else ReadFailed):
                await glossi.download(FILE, target)
            assert target.read_bytes() == b"old"
        async with serving(file_server()) as server, client(server.endpoint) as glossi:
            await glossi.download(FILE, target)
            assert target.read_bytes() == CONTENT

    run(main)


def test_what_broke_off_is_gone_on_with_by_range(tmp_path: Path) -> None:
    async def main() -> None:
        script = file_server(cuts=(1000, 500, 0, 1))
        async with serving(script) as server, client(server.endpoint, QUICK) as glossi:
            downloaded = await glossi.download(FILE, tmp_path / "front.png")
        assert ranges(server.received) == [None, "bytes=1000-", "bytes=1500-", "bytes=1500-", "bytes=1501-"]
        assert downloaded == Downloaded(tmp_path / "front.png", len(CONTENT), 0, SHA256)

    run(main)
    assert (tmp_path / "front.png").read_bytes() == CONTENT
    assert parts(tmp_path) == []


def test_what_an_earlier_run_brought_is_gone_on_with_too(tmp_path: Path) -> None:
    target = tmp_path / "front.png"

    async def main() -> None:
        async with serving(file_server(cuts=(1000,))) as server:
            async with client(server.endpoint) as glossi:
                with pytest.raises(ReadFailed):
                    await glossi.download(FILE, target)
            assert not target.exists()
            (part,) = parts(tmp_path)
            assert part.name.startswith(".front.png.") and part.read_bytes() == CONTENT[:1000]
            async with client(server.endpoint) as glossi:
                assert await glossi.download(FILE, target) == Downloaded(target, len(CONTENT), 1000, SHA256)
            assert ranges(server.received) == [None, "bytes=1000-"]

    run(main)
    assert target.read_bytes() == CONTENT


def test_a_cancelled_download_is_gone_on_with_too(tmp_path: Path) -> None:
    target = tmp_path / "front.png"
    released = asyncio.Event()

    async def main() -> None:
        async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            head = f'HTTP/1.1 200 OK\r\ncontent-length: {2 * 1024 * 1024}\r\netag: "v1"\r\n\r\n'
            writer.write(head.encode() + b"x" * 1024 * 1024)
            await writer.drain()
            await released.wait()

        listener = await asyncio.start_server(half, "127.0.0.1", 0)
        origin = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        arrived = asyncio.Event()
        async with client(origin) as glossi:
            download = asyncio.ensure_future(glossi.download(FILE, target, progress=lambda _: arrived.set()))
            await arrived.wait()
            download.cancel()
            with pytest.raises(asyncio.CancelledError):
                await download
        listener.close()
        released.set()

    run(main)
    assert not target.exists()
    (part,) = parts(tmp_path)
    assert part.stat().st_size >= 1024 * 1024


KILLED = """
import asyncio, sys
from pathlib import Path
from glossi_sync.service import Glossi

async def main():
    async with Glossi(sys.argv[1]) as glossi:
        await glossi.download("front.png", Path(sys.argv[2]))

asyncio.run(main())
"""


def test_what_a_killed_process_brought_is_not_served_again(tmp_path: Path) -> None:
    """Proven by the bytes that the server has sent: the second process is sent the rest, and no more."""
    target, content = tmp_path / "front.png", CONTENT * 600
    half, served, ranges = len(content) // 2, [0, 0], []

    async def main() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            request = await reader.readuntil(b"\r\n\r\n")
            wanted = [line for line in request.decode().lower().split("\r\n") if line.startswith("range: bytes=")]
            start = int(wanted[0].removeprefix("range: bytes=").removesuffix("-")) if wanted else 0
            ranges.append(start)
            status = (
                f"206 Partial\r\ncontent-range: bytes {start}-{len(content) - 1}/{len(content)}" if start else "200 OK"
            )
            head = f'HTTP/1.1 {status}\r\netag: "v1"\r\ncontent-length: {len(content) - start}\r\n\r\n'
            body = content[:half] if not start else content[start:]
            writer.write(head.encode() + body)
            served[bool(start)] += len(body)
            with suppress(ConnectionError):
                await writer.drain()
                if not start:
                    await reader.read()  # until the process is gone
            writer.close()

        listener = await asyncio.start_server(serve, "127.0.0.1", 0)
        endpoint = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/api/v1"
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, endpoint, str(target))
        try:
            while not any(part.stat().st_size >= 1 << 20 for part in parts(tmp_path)):
                await asyncio.sleep(0.01)
                assert child.returncode is None
        finally:
            child.kill()
            await child.wait()
        (part,) = parts(tmp_path)
        had = part.stat().st_size
        async with client(endpoint) as glossi:
            brought = await glossi.download("front.png", target)
        assert (brought.resumed_from, ranges) == (had, [0, had])
        assert served == [half, len(content) - had]
        listener.close()

    run(main)
    assert target.read_bytes() == content and parts(tmp_path) == []


def _base64(algorithm: str, content: bytes) -> str:
    return base64.b64encode(hashlib.new(algorithm, content).digest()).decode()


DIGESTS: dict[str, Callable[[bytes], dict[str, str]]] = {
    "Content-MD5": lambda content: {"content-md5": _base64("md5", content)},
    "Azure": lambda content: {"x-ms-blob-content-md5": _base64("md5", content)},
    "Google": lambda content: {"x-goog-hash": f"crc32c=AAAAAA==, md5={_base64('md5', content)}"},
    "Repr-Digest": lambda content: {"repr-digest": f"sha-256=:{_base64('sha256', content)}:, unixsum=:AAA=:"},
}


@pytest.mark.parametrize("source", DIGESTS)
def test_what_is_not_what_its_digest_says_is_asked_for_once_more_and_then_refused(tmp_path: Path, source: str) -> None:
    told = DIGESTS[source](CONTENT)
    broken = bytes([CONTENT[0] ^ 1]) + CONTENT[1:]

    async def main() -> None:
        replies = in_turn(Answer(200, broken, told), Answer(200, CONTENT, told))
        async with serving(replies) as server, client(server.endpoint) as glossi:
            await glossi.download(FILE, tmp_path / "good.png")
            assert len(server.received) == 2
        async with serving(in_turn(Answer(200, broken, told))) as server, client(server.endpoint) as glossi:
            with pytest.raises(ReadFailed, match="sent a file that is not what its (MD5|SHA256) says"):
                await glossi.download(FILE, tmp_path / "bad.png")
            assert len(server.received) == 2

    run(main)
    assert (tmp_path / "good.png").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["good.png"]


@pytest.mark.parametrize(
    "headers",
    [{"content-md5": "nonsense"}, {"content-md5": "AAAA"}, {"repr-digest": "sha-256=::"}, {"x-goog-hash": ", md5=é"}],
)
def test_a_digest_that_is_none_says_nothing(tmp_path: Path, headers: dict[str, str]) -> None:
    async def main() -> None:
        async with serving(in_turn(Answer(200, CONTENT, headers))) as server, client(server.endpoint) as glossi:
            await glossi.download(FILE, tmp_path / "x")
            assert len(server.received) == 1

    run(main)


def test_a_digest_of_the_whole_is_held_against_what_came_in_two_parts(tmp_path: Path) -> None:
    """``Content-MD5`` of the answer that broke off is still the file's; that of a part is not."""
    whole = {"etag": '"v1"', "content-md5": _base64("md5", CONTENT)}
    rest = {
        "etag": '"v1"',
        "content-md5": _base64("md5", CONTENT[1000:]),
        "content-range": f"bytes 1000-{len(CONTENT) - 1}/{len(CONTENT)}",
    }
    cut = Answer(200, CONTENT[:1000], whole, claims=len(CONTENT))
    wrong = Answer(206, bytes(len(CONTENT) - 1000), rest)

    async def main() -> None:
        replies = in_turn(cut, Answer(206, CONTENT[1000:], rest))
        async with serving(replies) as server, client(server.endpoint, QUICK) as glossi:
            await glossi.download(FILE, tmp_path / "good.png")
            assert ranges(server.received) == [None, "bytes=1000-"]
        replies = in_turn(cut, wrong, Answer(200, CONTENT, whole))
        async with serving(replies) as server, client(server.endpoint, QUICK) as glossi:
            await glossi.download(FILE, tmp_path / "mended.png")
            assert ranges(server.received) == [None, "bytes=1000-", None]

    run(main)
    assert (tmp_path / "good.png").read_bytes() == (tmp_path / "mended.png").read_bytes() == CONTENT


def test_a_part_that_another_process_has_written_to_as_well_is_not_taken_for_the_file(tmp_path: Path) -> None:
    async def meddle(function: Callable[..., object], *args: object) -> object:
        answer = await asyncio.to_thread(function, *args)
        if function.__name__ == "write_all" and not meddled:
            meddled.append(True)
            (part,) = parts(tmp_path)
            with part.open("ab") as file:
                file.write(b"more")
        return answer

    meddled: list[bool] = []

    async def main() -> None:
        async with serving(file_server()) as server, client(server.endpoint, run_blocking=meddle) as glossi:
            await glossi.download(FILE, tmp_path / "front.png")
            assert ranges(server.received) == [None, None]

    run(main)
    assert (tmp_path / "front.png").read_bytes() == CONTENT


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_where_the_disk_is_full_nothing_half_is_left(tmp_path: Path, number: int) -> None:
    target = tmp_path / "front.png"
    target.write_bytes(b"old")

    async def full(function: Callable[..., object], *args: object) -> object:
        if function.__name__ == "write_all":
            args[0].write(b"half")  # type: ignore[attr-defined]
            raise OSError(number, "no room")
        return await asyncio.to_thread(function, *args)

    async def main() -> None:
        async with serving(file_server()) as server, client(server.endpoint, run_blocking=full) as glossi:
            with pytest.raises(OSError, match="no room"):
                await glossi.download(FILE, target)

    run(main)
    assert list(tmp_path.iterdir()) == [target] and target.read_bytes() == b"old"


@pytest.mark.parametrize("etag", [None, 'W/"v1"', ""])
def test_without_a_strong_etag_the_whole_is_asked_for_again(tmp_path: Path, etag: str | None) -> None:
    async def main() -> None:
        async with serving(file_server(etag=etag, cuts=(1000, 500))) as server:
            async with client(server.endpoint, QUICK) as glossi:
                await glossi.download(FILE, tmp_path / "front.png")
            assert ranges(server.received) == [None, None, None]

    run(main)
    assert (tmp_path / "front.png").read_bytes() == CONTENT
    assert parts(tmp_path) == []


def test_the_parts_of_two_contents_are_never_joined(tmp_path: Path) -> None:
    other = bytes(reversed(CONTENT))

    async def main() -> None:
        first, second = file_server(cuts=(1000,)), file_server(other, '"v2"')
        servers = iter([first, second, second])

        def changing(request: Received) -> Answer:
            return next(servers)(request)

        async with serving(changing) as server:
            async with client(server.endpoint, QUICK) as glossi:
                await glossi.download(FILE, tmp_path / "front.png")
            assert ranges(server.received) == [None, "bytes=1000-", None]

    run(main)
    assert (tmp_path / "front.png").read_bytes() == other
    assert parts(tmp_path) == []


def test_a_server_that_knows_no_ranges_is_understood(tmp_path: Path) -> None:
    async def main() -> None:
        whole = file_server(cuts=(1000,))

        def ignorant(request: Received) -> Answer:
            headers = {name: value for name, value in request.headers.items() if name != "range"}
            return whole(replace(request, headers=headers))

        async with serving(ignorant) as server, client(server.endpoint, QUICK) as glossi:
            assert (await glossi.download(FILE, tmp_path / "front.png")).resumed_from == 0
            assert ranges(server.received) == [None, "bytes=1000-"]

    run(main)
    assert (tmp_path / "front.png").read_bytes() == CONTENT


def test_a_server_that_sends_another_range_than_was_asked_for_is_not_believed(tmp_path: Path) -> None:
    async def main() -> None:
        headers = {"etag": '"v1"'}
        cut = Answer(200, CONTENT[:1000], headers, claims=len(CONTENT))
        from_zero = Answer(206, CONTENT, {**headers, "content-range": f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}"})
        nonsense = Answer(206, CONTENT, {**headers, "content-range": "pages 1-2/²"})
        replies = in_turn(cut, from_zero, cut, nonsense, Answer(200, CONTENT, headers))
        async with serving(replies) as server, client(server.endpoint, QUICK) as glossi:
            await glossi.download(FILE, tmp_path / "front.png")
        assert ranges(server.received) == [None, "bytes=1000-", None, "bytes=1000-", None]

    run(main)
    assert (tmp_path / "front.png").read_bytes() == CONTENT


def test_a_file_that_has_gone_in_the_meantime_is_not_found(tmp_path: Path) -> None:
    async def main() -> None:
        cut = Answer(200, CONTENT[:1000], {"etag": '"v1"'}, claims=len(CONTENT))
        async with serving(in_turn(cut, Answer(404))) as server, client(server.endpoint, QUICK) as glossi:
            with pytest.raises(NotFound):
                await glossi.download(FILE, tmp_path / "front.png")
            assert glossi.calls == {"GET file": 2}

    run(main)


def test_a_part_that_is_as_long_as_the_file_or_longer_is_begun_anew(tmp_path: Path) -> None:
    target = tmp_path / "front.png"

    async def main() -> None:
        async with serving(file_server(cuts=(1000,))) as server:
            async with client(server.endpoint) as glossi:
                with pytest.raises(ReadFailed):
                    await glossi.download(FILE, target)
            (part,) = parts(tmp_path)
            part.write_bytes(bytes(len(CONTENT)))
            async with client(server.endpoint) as glossi:
                assert (await glossi.download(FILE, target)).resumed_from == 0

    run(main)
    assert target.read_bytes() == CONTENT


def test_parts_of_other_files_are_left_alone(tmp_path: Path) -> None:
    others = [".front.png.part", ".other.png.0123456789abcdef.part", ".front.png.0123456789abcdef.part.png"]
    for name in others:
        (tmp_path / name).write_bytes(b"x")

    async def main() -> None:
        async with serving(file_server()) as server, client(server.endpoint) as glossi:
            await glossi.download(FILE, tmp_path / "front.png")

    run(main)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*others, "front.png"])


@pytest.mark.parametrize("size", [0, len(CONTENT) - 1, len(CONTENT) + 1])
def test_a_file_of_another_size_than_is_known_is_refused(tmp_path: Path, size: int) -> None:
    async def main() -> None:
        async with serving(file_server()) as server, client(server.endpoint, QUICK) as glossi:
            with pytest.raises(ReadFailed, match=f"5,120 bytes where {size:,} were expected"):
                await glossi.download(FILE, tmp_path / "front.png", size=size)
            assert glossi.calls == {"GET file": 1}
            await glossi.download(FILE, tmp_path / "right.png", size=len(CONTENT))

    run(main)
    assert [path.name for path in tmp_path.iterdir()] == ["right.png"]


def test_a_redirect_is_followed_and_the_key_stays_at_home(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(file_server()) as elsewhere:
            at_home: dict[str, Answer] = {
                "/api/v1/files/a.png": Answer(302, headers={"location": "/api/v1/files/b.png"}),
                "/api/v1/files/b.png": Answer(307, headers={"location": f"{elsewhere.origin}/c.png?X-Amz-Signature=s"}),
            }
            async with serving(lambda request: at_home[request.target]) as server, client(server.endpoint) as glossi:
                await glossi.download("a.png", tmp_path / "a.png")
            assert [request.headers.get("x-api-key") for request in server.received] == [KEY, KEY]
            (request,) = elsewhere.received
            assert request.target == "/c.png?X-Amz-Signature=s"
            assert "x-api-key" not in request.headers

    run(main)
    assert (tmp_path / "a.png").read_bytes() == CONTENT


def test_a_redirect_that_does_not_end_is_given_up(tmp_path: Path) -> None:
    async def main() -> None:
        round_and_round = Answer(302, headers={"location": "/api/v1/files/a.png"})
        async with serving(in_turn(round_and_round)) as server, client(server.endpoint, QUICK) as glossi:
            with pytest.raises(ReadFailed, match="was redirected again and again"):
                await glossi.download("a.png", tmp_path / "a.png")
            assert len(server.received) < 10

    run(main)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "path", ["", "/", ".", "..", "../a.png", "a/../../b.png", "a//b.png", "a/./b", "ftp://h/a", "a/.."]
)
def test_a_path_that_leads_out_of_the_files_is_not_asked_for(tmp_path: Path, path: str) -> None:
    async def main() -> None:
        async with serving(file_server()) as server, client(server.endpoint, QUICK) as glossi:
            with pytest.raises(ReadFailed, match="is not a file's path") as raised:
                await glossi.download(path, tmp_path / "a.png")
            assert raised.value.permanent
            assert server.received == []

    run(main)
    assert list(tmp_path.iterdir()) == []


@given(
    st.text(max_size=20) | st.lists(st.sampled_from(["..", ".", "", "a", "%2e%2e", "..\\", "é?#", "a b"])).map("/".join)
)
def test_a_files_url_lies_below_the_files_and_says_its_path_exactly(path: str) -> None:
    endpoint = Endpoint.parse("https://studio.example/base/api/v1/")
    try:
        url = httpx.URL(endpoint.file_url(path))
    except ValueError:
        return
    head, tail = "/base/api/v1/files/", url.raw_path.decode()
    assert (url.scheme, url.host, url.query, url.fragment) == ("https", "studio.example", b"", "")
    assert tail.startswith(head)
    assert unquote(tail.removeprefix(head)) == path.strip("/")
    assert not {"", ".", ".."} & set(unquote(tail.removeprefix(head)).split("/"))


def test_a_file_below_a_url_of_the_users_own_is_fetched_without_the_key(tmp_path: Path) -> None:
    """``downloads.from: https://…``: whatever the service calls its files, they stay below it."""

    async def main() -> None:
        async with serving(file_server()) as cdn, client(HOME, QUICK) as glossi:
            below = f"{cdn.origin}/renders/"
            await glossi.download("/w1/100% oak? #2.png", tmp_path / "a.png", below=below)
            (request,) = cdn.received
            assert request.target == "/renders/w1/100%25%20oak%3F%20%232.png"
            assert "x-api-key" not in request.headers
            for path in ("../private/a.png", "https://evil.example/a.png", ""):
                with pytest.raises(ReadFailed, match="is not a file's path"):
                    await glossi.download(path, tmp_path / "b.png", below=below)
            assert len(cdn.received) == 1

    run(main)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_target_that_cannot_be_written_is_an_oserror(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"in the way")

    async def main() -> None:
        async with serving(file_server()) as server, client(server.endpoint) as glossi:
            with pytest.raises(OSError):
                await glossi.download(FILE, tmp_path / "file" / "front.png")
            (tmp_path / "folder").mkdir()
            with pytest.raises(OSError):
                await glossi.download(FILE, tmp_path / "folder")

    run(main)
    assert (tmp_path / "file").read_bytes() == b"in the way"


async def in_place(function: Callable[..., object], *args: object) -> object:
    """Runs what is blocking right here: a virtual clock and threads do not go together."""
    return function(*args)


class Fickle(httpx.AsyncBaseTransport):
    """A server whose answers break off, and whose file may change between two of them."""

    def __init__(self, steps: list[tuple[int, int | None]]) -> None:
        self.versions = [hashlib.sha256(str(number).encode()).digest() * (3 + number) for number in range(3)]
        self._steps = steps

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        version, cut = self._steps.pop(0) if self._steps else (0, None)
        content = self.versions[version]
        headers, status, start = {"etag": f'"{version}"'}, 200, 0
        if (wanted := request.headers.get("range")) is not None:
            start, status = int(wanted.removeprefix("bytes=").removesuffix("-")), 206
            headers["content-range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body = content[start:]
        if not body:
            return httpx.Response(416)
        return httpx.Response(status, headers={**headers, "content-length": str(len(body))}, stream=_Cut(body, cut))


class _Cut(httpx.AsyncByteStream):
    def __init__(self, body: bytes, cut: int | None) -> None:
        self._body = body
        self._cut = cut

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body[: self._cut]
        if self._cut is not None:
            raise httpx.ReadError("reset")


@given(st.lists(st.tuples(st.integers(0, 2), st.none() | st.integers(0, 200)), max_size=6))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_breaks_and_changes_what_comes_home_is_one_whole_version(
    tmp_path: Path, steps: list[tuple[int, int | None]]
) -> None:
    target = tmp_path / "front.png"
    target.unlink(missing_ok=True)
    fickle = Fickle(steps)

    async def main() -> None:
        for _ in range(8):  # eight runs, each of which gives up at once
            async with client("http://studio/api/v1", transport=fickle, run_blocking=in_place) as glossi:
                try:
                    await glossi.download(FILE, target)
                except ServiceError:
                    assert not target.exists()
                else:
                    return

    run_in_virtual_time(main())
    assert target.read_bytes() in fickle.versions
    assert parts(tmp_path) == []


HOME = "https://api.glossi.app/api/v1"


class Listening(httpx.AsyncBaseTransport):
    """Hears every request, and answers each with one byte."""

    def __init__(self) -> None:
        self.heard: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.heard.append(request)
        return httpx.Response(200, stream=_Cut(b"x", None))


def test_the_key_goes_to_the_services_own_origin_and_nowhere_else(tmp_path: Path) -> None:
    hosts = ["api.glossi.app", "API.glossi.app", "evil.example", "api.glossi.app.evil.example", "evil-api.glossi.app"]
    hosts += ["api.glossi.app\\@evil.example", "api。glossi.app", "api.glossi.app%2eevil.example", "api.glossi.app "]
    users = ["", "x@", "api.glossi.app@", "evil.example@"]
    urls = ["".join(part) for part in product(["https://", "http://"], users, hosts, ["/x", ":443/x", ":444/x"])]
    urls += [
        f"https://evil.example{rest}" for rest in ("?@api.glossi.app/", "#@api.glossi.app/", ".", "\\api.glossi.app")
    ]
    listening = Listening()

    async def main() -> None:
        async with client(HOME, transport=listening, run_blocking=in_place) as glossi:
            for url in urls:
                with suppress(ServiceError):
                    await glossi.download(url, tmp_path / "x")

    run_in_virtual_time(main())
    keyed = [request for request in listening.heard if "x-api-key" in request.headers]
    assert {(request.url.scheme, request.url.host, request.url.port) for request in keyed} == {
        ("https", "api.glossi.app", None)
    }
    assert len(keyed) < len(listening.heard) <= len(urls)
