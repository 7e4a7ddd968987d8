"""A studio with its records in PostgreSQL and its files in a bucket: killed, replaced, started wrongly."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from remote_places import Bucket
from small_glb import box
from studio_client import ok, worker_at
from studio_processes import client_at, drawing, gone, served

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills processes by signal")


@dataclass(frozen=True)
class Elsewhere:
    options: tuple[str, ...]
    environment: Mapping[str, str]


@pytest.fixture
def elsewhere(new_database: Callable[[], str], new_bucket: Callable[[], Bucket]) -> Iterator[Elsewhere]:
    bucket = new_bucket()
    yield Elsewhere(("--records", new_database(), "--storage", f"{bucket.url}/studio"), bucket.environment)


def test_a_kill_loses_nothing_and_another_machine_goes_on(elsewhere: Elsewhere, tmp_path: Path) -> None:
    data, next_data, go = tmp_path / "data", tmp_path / "next", tmp_path / "go"
    with drawing(data, *elsewhere.options, **elsewhere.environment) as studio, client_at(studio, data) as api:
        finished = api.finished(api.start(api.project(api.ready("done"))))
        (uploaded,) = api.create("uploaded")
        assert api.put(uploaded["uploadUrl"], box()).status_code == 200
        # One worker: what follows this job waits in the queue.
        rendering = api.start(api.project(api.ready(f"wait for {go}")))
        worker = worker_at(go)
        queued = api.start(finished["projectId"])
        confirmed = api.upload("confirmed")
        studio.end(signal.SIGKILL)
        assert gone(worker), "workers end with their server"
        assert any((data / "working").iterdir())

    with drawing(next_data, *elsewhere.options, **elsewhere.environment) as studio, client_at(studio, next_data) as api:
        assert api.render(finished["jobId"]) == finished
        for render in finished["renders"]:
            assert api.get(f"/files/{render['filePath']}").content.startswith(b"\x89PNG")
        assert api.processed(confirmed)["status"] == "READY"
        go.touch()
        assert api.finished(rendering)["status"] == api.finished(queued)["status"] == "COMPLETED"
        ok(api.confirm(uploaded["modelId"]))
        assert api.processed(uploaded["modelId"])["status"] == "READY"
        assert not any((next_data / "working").iterdir())

        # Nobody else takes part as long as this one lives.
        with served(tmp_path / "third", *elsewhere.options, **elsewhere.environment) as third:
            status, said, errors = third.ended()
        assert (status, third.first_line + said) == (1, "")
        assert (
            errors.count("\n") == 1
            and f"in use by another studio (glossi-studio, process {studio.popen.pid} " in errors
        )


def test_a_database_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    url = "postgresql://studio:secret@127.0.0.1:1/studio"
    with served(tmp_path / "data", "--records", url) as studio:
        status, _, errors = studio.ended()
    assert status == 1 and "127.0.0.1:1/studio cannot be opened" in errors
    assert "Traceback" not in errors and "secret" not in errors
