"""Every way in which a call can go wrong, as a server that does it, over real HTTP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from scripted_server import Answer, DropAfter, DropBefore, Reply, Silence, in_turn, serving

from glossi_sync.service import Glossi, NewModel, Patience, Timeouts

KEY = "glsi_2Qp0Zk7LxW_sEcReTsEcReT"

IMPATIENT = Patience(total=0.0, first_contact=0.0)
QUICK = Patience(total=60.0, first_contact=60.0, first_pause=0.001, longest_pause=0.001)

REPLIES: dict[str, Reply] = {
    "dropped before reading": DropBefore(),
    "dropped after reading": DropAfter(),
    "silence": Silence(),
    "400": Answer(400, b'{"error": {"code": "bad", "message": "nothing will do"}}'),
    "401": Answer(401, f'{{"message": "unknown key {KEY}"}}'.encode()),
    "403": Answer(403, b"forbidden for " + KEY.encode()),
    "404": Answer(404, b'{"error": "no such thing"}'),
    "409": Answer(409, b"<html>conflict</html>"),
    "413": Answer(413),
    "429": Answer(429, b'{"detail": "slow down"}', {"retry-after": "7"}),
    "429 without Retry-After": Answer(429),
    "500": Answer(500, b'{"message": "oops ' + KEY.encode() + b'"}', {"x-request-id": "req-1"}),
    "502": Answer(502, b"<html>Bad gateway</html>"),
    "503": Answer(503),
    "503 with Retry-After": Answer(503, headers={"retry-after": "3600"}),
    "504": Answer(504),
    "redirect": Answer(307, headers={"location": f"https://elsewhere.example/api?key={KEY}"}),
    "truncated": Answer(200, b'{"models": [', claims=500),
    "truncated error": Answer(500, b'{"message": "half', claims=500),
    "not JSON": Answer(200, b"<html>hello</html>", {"content-type": "text/html"}),
    "bottomless": Answer(200, b"[" * 100_000),
    "bad gzip": Answer(200, b"this is not gzip", {"content-encoding": "gzip"}),
    "empty": Answer(200, b""),
    "wrong shape": Answer(200, b'{"models": [{"modelId": 7}], "renders": 3, "projects": {}}'),
}

Call = Callable[[Glossi, str, Path], Awaitable[object]]


async def _upload(glossi: Glossi, origin: str, path: Path) -> None:
    url = f"{origin}/bucket/lamp.glb?X-Amz-Signature=s1gnature"
    await glossi.upload(url, path, file_type="glb", size=4, sha256=SHA256_OF_GLTF)


SHA256_OF_GLTF = "c74f919439792582aa4f0b188ec2a928675cdb3ba72797781ceb6dfaa86b313f"

CALLS: dict[str, Call] = {
    "POST /models": lambda glossi, origin, path: glossi.create_models([NewModel("Lamp", "lamp.glb", "glb")]),
    "PUT upload": _upload,
    "POST /models/{id}/confirm": lambda glossi, origin, path: glossi.confirm_model("m1", "glb"),
    "POST /models/status": lambda glossi, origin, path: glossi.model_statuses(["m1"]),
    "POST /projects": lambda glossi, origin, path: glossi.create_projects(["m1"], "t1"),
    "GET /templates": lambda glossi, origin, path: glossi.templates(),
    "GET /renders/{id}": lambda glossi, origin, path: glossi.render("j1"),
    "POST /renders/{id}/retry": lambda glossi, origin, path: glossi.retry_render("j1"),
    "GET file": lambda glossi, origin, path: glossi.download("a/b.png", path.with_name("b.png")),
}


@asynccontextmanager
async def failing(reply: Reply) -> AsyncIterator[tuple[Glossi, str]]:
    """An impatient client, and the origin of a server that always replies so."""
    async with serving(in_turn(reply)) as server, client(server.endpoint) as glossi:
        yield glossi, server.origin


def client(endpoint: str, patience: Patience = IMPATIENT, **options: object) -> Glossi:
    given = {"timeouts": Timeouts(connect=5, read=0.2, write=5), "rng": Random(1), **options}
    return Glossi(endpoint, KEY, patience=patience, **given)  # type: ignore[arg-type]


def closed_port() -> int:
    """A port where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await main()

    asyncio.run(whole())
