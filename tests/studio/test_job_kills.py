"""A job under kills: the server ends before or after each of its transactions in turn, and starts again.

The whole application runs in this process on a virtual clock, so that each of its moments can be tried. Between two
transactions nothing is decided, so that these are all the moments there are.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from studio_client import DelayWorkshop, ok
from virtual_time import run_in_virtual_time

from glossi_sync.service import wire
from glossi_sync.studio import records as rows
from glossi_sync.studio.api.context import Templates
from glossi_sync.studio.app import create_app
from glossi_sync.studio.processing import ModelFacts, ProcessedModel, ProcessingError
from glossi_sync.studio.records import Records
from glossi_sync.studio.storage import FolderStorage
from glossi_sync.studio.tasks import ProcessingTask
from glossi_sync.studio.template import bundled_templates

KEY = "glsi_mortal"


FACTS = ModelFacts(12, 1, 0, 0, (), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


class Killed(BaseException):
    """The server is no more."""


class Workshop(DelayWorkshop):
    """A delay for each piece of work; a file that says so is no model."""

    def __init__(self) -> None:
        super().__init__(seconds=1.0, capacity=2)

    async def process(self, task: ProcessingTask) -> ProcessedModel:
        await super().process(task)
        return task.carry_out(_look)


def _look(path: Path, _: str, __: Path) -> ProcessedModel:
    if path.read_bytes() == b"no model":
        raise ProcessingError("it says so itself")
    return ProcessedModel(FACTS)


@dataclass
class World:
    """What outlives a server: its folder, its client's memory, and the webhook's endpoint."""

    folder: Path
    kill_at: int | None = None
    kill_after: bool = False
    commits: int = 0
    dead: bool = False
    job: dict[str, Any] | None = None
    heard: list[bytes] = field(default_factory=list)

    async def life(self) -> dict[str, Any] | None:
        """One server, and its client as long as it lives. The finished job, or None where it was killed before."""
        self.dead = False
        records = Records(f"sqlite:///{self.folder / 'records.db'}", run=_inline)
        records.write = self._mortal(records.write)  # type: ignore[method-assign]
        loop = asyncio.get_running_loop()
        app = create_app(
            records=records,
            storage=FolderStorage(self.folder, run=_inline),
            workshop=Workshop(),
            templates_=Templates(bundled_templates(), {}),
            signing_secret=b"s" * 32,
            clock=lambda: 1_800_000_000.0 + loop.time(),
            webhook_transport=httpx.MockTransport(self._hear),
        )
        try:
            async with app.router.lifespan_context(app):
                transport = httpx.ASGITransport(app)
                headers = {wire.API_KEY_HEADER: KEY}
                async with httpx.AsyncClient(transport=transport, base_url="http://studio", headers=headers) as client:
                    return await self._client(client)
        except Killed:
            return None
        finally:
            records.close()

    async def _client(self, client: httpx.AsyncClient) -> dict[str, Any]:
        api = wire.API_PREFIX
        if self.job is None:
            template_id = bundled_templates()[0].template_id
            files = [{"name": name, "fileName": "model.glb", "fileType": "glb"} for name in ("Chair", "Dent")]
            body = {"models": files, "templateId": template_id, "renderSettings": {}}
            self.job = ok(await client.post(f"{api}/jobs", json=body))
        for model, content in zip(self.job["models"], (b"a model", b"no model"), strict=True):
            put = await client.put(
                model["uploadUrl"], content=content, headers={"Content-Type": wire.FILE_TYPES["glb"]}
            )
            assert put.status_code in (200, 409), put.text
        ok(await client.post(f"{api}/jobs/{self.job['jobId']}/confirm"))
        while True:
            job: dict[str, Any] = ok(await client.get(f"{api}/jobs/{self.job['jobId']}"))
            listed = ok(await client.get(api + wire.DELIVERIES_PATH))["deliveries"]
            if job["status"] in ("COMPLETE", "FAILED") and all(each["status"] == "DELIVERED" for each in listed):
                return job
            await asyncio.sleep(0.5)
            if self.dead:
                raise Killed
            assert asyncio.get_running_loop().time() < 600, (job, listed)

    def _mortal(self, write: Callable[[Any], Any]) -> Callable[[Any], Any]:
        async def until_killed(work: Any) -> Any:
            if self.dead:
                raise Killed
            turn = self.commits
            self.commits += 1
            if turn == self.kill_at and not self.kill_after:
                self.dead = True
                raise Killed
            outcome = await write(work)
            if turn == self.kill_at:
                self.dead = True
                raise Killed
            return outcome

        return until_killed

    async def _hear(self, request: httpx.Request) -> httpx.Response:
        self.heard.append(await request.aread())
        await asyncio.sleep(0.05)
        return httpx.Response(200)

    def begin(self) -> None:
        self.folder.mkdir()
        records = Records(f"sqlite:///{self.folder / 'records.db'}")
        records.now(lambda c: rows.ensure_workspace(c, "w", "w", 0.0))
        records.now(lambda c: rows.set_key(c, "w", "folder", KEY, 0.0))
        hook = rows.Webhook("w", "h", "http://shop.example/", "secret", list(wire.EVENTS), True, None, 0.0, 0.0)
        records.now(lambda c: rows.put_webhook(c, hook))
        records.close()

    def check(self, job: dict[str, Any]) -> None:
        """Everything happened, and happened once."""
        assert job["status"] == "FAILED" and "Dent" in job["errorMessage"]
        assert [(each["model"]["name"], each["render"]["status"]) for each in job["results"]] == [
            ("Chair", "COMPLETED"),
        ]
        records = Records(f"sqlite:///{self.folder / 'records.db'}")
        made = {
            table: records.now(lambda c, t=table: c.exec_driver_sql(f"SELECT count(*) FROM {t}").scalar_one())
            for table in ("projects", "render_jobs")
        }
        told = records.now(lambda c: rows.deliveries(c, "w", limit=100))
        records.close()
        assert made == {"projects": 1, "render_jobs": 1}
        assert Counter(each.event for each in told) == {
            "model.processed": 1,
            "model.failed": 1,
            "project.created": 1,
            "render.complete": 1,
            "job.failed": 1,
        }
        times = Counter(self.heard)
        assert set(times) == {each.body.encode() for each in told}, "each is heard, at least once"
        assert all(json.loads(body)["data"] for body in times)


async def _inline(work: Callable[[], Any]) -> Any:
    return work()


def live(world: World) -> int:
    """How many lives it took."""
    world.begin()
    for lives in range(1, 4):
        job = run_in_virtual_time(world.life())
        if job is not None:
            world.check(job)
            return lives
    raise AssertionError("it was killed once, and should have lived")


def test_without_a_kill_each_event_is_heard_once(tmp_path: Path) -> None:
    world = World(tmp_path / "studio")
    assert live(world) == 1
    assert set(Counter(world.heard).values()) == {1}
    assert world.commits > 12


def test_a_kill_at_any_transaction_loses_nothing_and_does_nothing_twice(tmp_path: Path) -> None:
    counting = World(tmp_path / "counting")
    live(counting)
    # The records after one transaction are those before the next: what differs is what was heard of it, which matters
    # to the client's own calls.
    moments = [(turn, True) for turn in range(counting.commits)] + [(turn, False) for turn in (0, 1, 2, 3, 7)]
    killed = 0
    for turn, after in moments:
        world = World(tmp_path / f"{turn}-{after}", kill_at=turn, kill_after=after)
        killed += live(world) - 1
    assert killed >= len(moments) - 2, "but for the last moments, in which the client may have seen all it waits for"
