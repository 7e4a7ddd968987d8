"""Remote files on their way: streamed from where they lie to the signed URL, proven as they go, never on the disk."""

from __future__ import annotations

import asyncio
import hashlib
import tracemalloc
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from remote_places import SECRET, Bucket, Web, glb, web

from glossi_sync import buckets
from glossi_sync.applying.model_files import RemoteFile, model_files
from glossi_sync.applying.sources import NoSource, source_of
from glossi_sync.service import FileChanged, Glossi, Patience
from glossi_sync.service.uploads import CHUNK_BYTES
from glossi_sync.spec import Downloads, HashedRemote, hash_models, read_spec
from glossi_sync.spec.stores import Stores


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setitem(buckets.RETRIES, "max_retries", 2)
    with web() as running:
        yield running


class Receiver:
    """Takes uploads. ``status`` answers each in turn (None: the connection is reset), the last one all that follow."""

    def __init__(self, *status: int | None) -> None:
        self.url = ""
        self.status = deque(status or (200,))
        self.received: list[tuple[int, str, bool]] = []
        """How many bytes of each came, their SHA-256, and whether they were all."""

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].split("\r\n")[0])
        status = self.status.popleft() if len(self.status) > 1 else self.status[0]
        digest, size = hashlib.sha256(), 0
        while size < length and (piece := await reader.read(1 << 16)):
            digest.update(piece)
            size += len(piece)
            if status is None:
                break
        self.received.append((size, digest.hexdigest(), size == length))
        if status is not None and size == length:
            writer.write(f"HTTP/1.1 {status} Whatever\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
            await writer.drain()
        writer.close()


@asynccontextmanager
async def receiving(*status: int | None) -> Any:
    receiver = Receiver(*status)
    listener = await asyncio.start_server(receiver.take, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener:
        yield receiver


def client(receiver: Receiver) -> AbstractAsyncContextManager[Glossi]:
    return Glossi(receiver.url, patience=Patience(first_pause=0.001, longest_pause=0.001))


def planned(content: bytes, url: str, etag: str | None = None, *, shown: str = "the file") -> RemoteFile:
    """A remote file as it was when it was planned."""
    return RemoteFile(shown, url, HashedRemote(len(content), etag, hashlib.sha256(content).hexdigest()), Stores())


async def send(receiver: Receiver, file: RemoteFile, **options: Any) -> None:
    async with client(receiver) as glossi:
        plan = {"size": file.planned.size, "sha256": file.planned.sha256}
        await glossi.upload(f"{receiver.url}/lamp?sig=1", file, file_type="glb", **plan, **options)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), 60))


def etag_of(content: bytes) -> str:
    return f'"{hashlib.md5(content).hexdigest()}"'


@pytest.mark.parametrize("size", [100, CHUNK_BYTES, 5_000_000])
def test_a_file_is_streamed_from_its_bucket_to_the_signed_url(bucket: Bucket, size: int) -> None:
    content = glb("lamp", size=size)
    file = planned(content, bucket.put("a/my lamp.glb", content), etag_of(content))
    told: list[int] = []

    async def main() -> None:
        async with receiving() as receiver:
            await send(receiver, file, progress=told.append)
        assert receiver.received == [(len(content), file.planned.sha256, True)]

    run(main)
    assert (told[0], told[-1], told) == (0, len(content), sorted(told))
    assert [one.condition for one in bucket.asked if one.method == "GET"] == [etag_of(content)]
    assert file.name == "my lamp.glb"


def test_nothing_of_it_touches_the_disk_and_memory_stays_flat(
    site: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    content = bytes(100 * 1024 * 1024)
    file = planned(content, site.put("/huge.glb", content), etag_of(content))

    async def main() -> None:
        async with receiving() as receiver:
            await send(receiver, planned(b"x", site.put("/small.glb", b"x")))
            tracemalloc.start()
            await send(receiver, file)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert receiver.received[1] == (len(content), file.planned.sha256, True)
        assert peak < 16 * CHUNK_BYTES < len(content) / 10

    run(main)
    assert list(tmp_path.iterdir()) == []


def test_an_object_that_has_changed_is_refused_before_anything_of_it_is_sent(bucket: Bucket) -> None:
    content = glb("lamp", size=1_000_000)
    url = bucket.put("lamp.glb", content)
    bucket.put("lamp.glb", glb("pmal", size=1_000_000))

    async def main() -> None:
        async with receiving() as receiver:
            with pytest.raises(FileChanged) as raised:
                await send(receiver, planned(content, url, etag_of(content), shown=url))
            await asyncio.sleep(0)
        assert all(size == 0 for size, _, _ in receiver.received)
        assert f"ploading {url} failed" in str(raised.value)
        assert "the file is no longer what was planned: its ETag is another" in str(raised.value)
        assert "Nothing was uploaded" in str(raised.value)

    run(main)
    assert bucket.gets() == bucket.gets(412)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: content[:-1], "the file has 1,999,999 bytes where 2,000,000 were planned"),
        (lambda content: content + b"!", "the file has 2,000,001 bytes where 2,000,000 were planned"),
        (lambda content: b"!" + content[1:], "the file's content is no longer what was planned"),
    ],
)
@pytest.mark.parametrize("conditions", [True, False])
def test_without_etags_or_conditions_a_changed_file_never_arrives_whole_either(
    change: Callable[[bytes], bytes], said: str, conditions: bool, site: Web
) -> None:
    content = glb("lamp", size=2_000_000)
    site.conditions = conditions
    if conditions:
        site.etag = lambda content: None
        etag = None
    else:
        etag, said = etag_of(content), "the file is no longer what was planned: its ETag is another"
    url = site.put("/lamp.glb", change(content))

    async def main() -> None:
        async with receiving() as receiver:
            with pytest.raises(FileChanged, match="was broken off") as raised:
                await send(receiver, planned(content, url, etag))
        assert said in str(raised.value)
        assert not any(whole for _, _, whole in receiver.received)

    run(main)


def test_an_upload_that_is_asked_again_streams_again_from_the_beginning(bucket: Bucket) -> None:
    content = glb("lamp", size=3_000_000)
    file = planned(content, bucket.put("lamp.glb", content), etag_of(content))

    async def main() -> None:
        async with receiving(None, 500, 200) as receiver:
            await send(receiver, file)
        whole = (len(content), file.planned.sha256, True)
        assert receiver.received[1:] == [whole, whole]
        assert receiver.received[0][0] < len(content)

    run(main)
    assert bucket.gets() == ["lamp.glb"] * 3


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda site: site.files.clear(), "the file does not exist there (404)"),
        (lambda site: setattr(site, "signature", "another"), "the file may not be read; its signature may have expired (403)"),
        (lambda site: setattr(site, "cut", 2_000_000), "the file cannot be read: the connection broke off"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_any_more_is_told_without_its_signature(
    harm: Callable[[Web], None], said: str, site: Web
) -> None:
    content = glb("lamp", size=3_000_000)
    url = f"{site.put('/lamp.glb', content)}?sig=s1gn"
    harm(site)

    async def main() -> None:
        async with receiving() as receiver:
            with pytest.raises(FileChanged) as raised:
                await send(receiver, planned(content, url, shown=f"{site.origin}/lamp.glb?…"))
        assert said in str(raised.value)
        assert f"ploading {site.origin}/lamp.glb?… failed" in str(raised.value)
        assert "s1gn" not in str(raised.value)
        assert not any(whole for _, _, whole in receiver.received)

    run(main)


def test_a_specs_files_are_found_on_disk_or_where_they_were_hashed(bucket: Bucket, tmp_path: Path) -> None:
    url = bucket.put("a/lamp.glb", glb())
    (tmp_path / "oak.obj").write_bytes(b"o oak")
    (tmp_path / "glossi.yaml").write_text(
        f"version: 1\nworkspace: shop\nmodels:\n  lamp: {{file: '{url}'}}\n  oak: {{file: oak.obj}}\n"
    )
    spec = read_spec(tmp_path / "glossi.yaml", env={})
    find = model_files(spec, hash_models(spec, {}).remote)
    lamp, oak = find("model.lamp"), find("model.oak")
    assert (str(lamp), lamp.name, lamp.size()) == (url, "lamp.glb", None)
    assert (str(oak), oak.name, oak.size()) == (str(tmp_path / "oak.obj"), "oak.obj", 5)


def test_finished_renders_come_home_from_a_bucket(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("done/a/front view.png", b"picture" * 200_000)
    source = source_of(Downloads(tmp_path, source=f"{bucket.url}/done"), None)  # type: ignore[arg-type]

    async def main() -> None:
        brought = await source.fetch("/a/front view.png", tmp_path / "front.png")
        assert (brought.size, brought.sha256) == (1_400_000, hashlib.sha256(b"picture" * 200_000).hexdigest())
        with pytest.raises(OSError, match=r"/done/a/back\.png does not exist there \(404\)$"):
            await source.fetch("a/back.png", tmp_path / "back.png")

    run(main)
    assert (tmp_path / "front.png").read_bytes() == b"picture" * 200_000
    assert [path.name for path in tmp_path.iterdir()] == ["front.png"]


def test_a_bucket_that_cannot_be_opened_is_told_before_any_file(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ALLOW_HTTP", "perhaps")
    with pytest.raises(NoSource, match=r"^downloads\.from: s3://\S+ cannot be read") as raised:
        source_of(Downloads(tmp_path, source=bucket.url), None)  # type: ignore[arg-type]
    assert SECRET not in str(raised.value)
