"""``state show --format json``: everything a state holds, and no secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from bucket_in_memory import bucket_state

from glossi_sync.resources import Kind, Phase
from glossi_sync.state import (
    AddStray,
    Bind,
    Download,
    Intend,
    Intent,
    MemoryState,
    Object,
    PutDownload,
    PutObject,
    PutRun,
    RenderedFile,
    Run,
    State,
    Stray,
    Subject,
    describe,
    open_state,
)

BIG = 2**63 - 1
URL = "https://bucket.example/lamp.glb?X-Signature=abc"


@pytest.fixture(params=["file", "memory", "postgresql", "bucket"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[State]:
    state: State = MemoryState(service="local")
    if request.param == "file":
        state = open_state(tmp_path / "a.db", service="local")
    elif request.param == "postgresql":
        state = open_state(request.getfixturevalue("state_url"), service="local")
    elif request.param == "bucket":
        state = bucket_state()
    yield state
    state.close()


def test_it_shows_all_but_the_secrets(state: State) -> None:
    front = RenderedFile("f-1", "Front View", "out/front.png", "PNG", False)
    state.write(
        [
            PutObject(
                Object(BIG, Kind.MODEL, "d" * 64, Phase.RECORDED, "Desk Lamp", "m-1", (), 10.0, 3610.0),
                inputs={"file": "lamp.glb"},
                upload_url=URL,
            ),
            PutObject(Object(2, Kind.RENDER, "e" * 64, Phase.COMPLETED, None, "j-1", (BIG,), 20.0), files=[front]),
            Bind("model.lamp", BIG),
            Intend(Intent(BIG - 1, 3, "upload", "PUT upload", (Subject("model.lamp", "d" * 64),), 11.0)),
            AddStray(Stray(Kind.PROJECT, "p-1", "in doubt", 12.0)),
            PutRun(Run(3, "glossi-sync apply", 9.0, None, None, {"record": 1}, {"POST /models": 1})),
            PutDownload(Download("lamp/web/Front View.png", "j-1", 123)),
        ]
    )
    shown = json.loads(json.dumps(describe(state)))
    assert URL not in json.dumps(shown)
    assert "X-Signature" not in json.dumps(shown)
    assert shown == {
        "format": 1,
        "location": state.location,
        "service": "local",
        "lineage": state.lineage,
        "serial": 1,
        "bindings": {"model.lamp": str(BIG)},
        "objects": [
            {
                "oid": str(BIG),
                "kind": "model",
                "phase": "recorded",
                "label": "Desk Lamp",
                "remoteId": "m-1",
                "digest": "d" * 64,
                "parents": [],
                "since": 10.0,
                "expires": 3610.0,
                "attempts": 0,
                "error": None,
                "addresses": ["model.lamp"],
                "inputs": {"file": "lamp.glb"},
                "files": [],
            },
            {
                "oid": "2",
                "kind": "render",
                "phase": "completed",
                "label": None,
                "remoteId": "j-1",
                "digest": "e" * 64,
                "parents": [str(BIG)],
                "since": 20.0,
                "expires": None,
                "attempts": 0,
                "error": None,
                "addresses": [],
                "inputs": None,
                "files": [
                    {
                        "id": "f-1",
                        "name": "Front View",
                        "filePath": "out/front.png",
                        "fileType": "PNG",
                        "isVideo": False,
                    }
                ],
            },
        ],
        "inDoubt": [
            {
                "callId": str(BIG - 1),
                "runId": "3",
                "step": "upload",
                "call": "PUT upload",
                "subjects": [{"address": "model.lamp", "digest": "d" * 64}],
                "at": 11.0,
            }
        ],
        "strays": [{"kind": "project", "remoteId": "p-1", "reason": "in doubt", "at": 12.0}],
        "downloads": [{"path": "lamp/web/Front View.png", "renderId": "j-1", "size": 123, "sha256": None}],
        "runs": [
            {
                "runId": "3",
                "command": "glossi-sync apply",
                "started": 9.0,
                "ended": None,
                "outcome": None,
                "steps": {"record": 1},
                "calls": {"POST /models": 1},
            }
        ],
    }


def test_every_key_is_spelled_as_in_the_other_documents(state: State) -> None:
    front = RenderedFile("f-1", "Front View", "out/front.png", "PNG", False)
    state.write(
        [
            PutObject(Object(1, Kind.RENDER, "e" * 64, Phase.COMPLETED, None, "j-1"), files=[front]),
            Intend(Intent(2, 3, "start", "POST /renders", (Subject("render.lamp/web", "d" * 64),), 11.0)),
            AddStray(Stray(Kind.PROJECT, "p-1", "in doubt", 12.0)),
            PutRun(Run(3, "glossi-sync apply", 9.0, None, None)),
            PutDownload(Download("lamp/web/Front View.png", "j-1", 123)),
        ]
    )
    shown = describe(state)
    assert [key for key in _keys(shown) if "_" in key] == []


def _keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _keys(part)


def test_an_upload_url_goes_with_its_phase_even_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    state = open_state(path, service="local")
    state.write([PutObject(Object(1, Kind.MODEL, "d", Phase.RECORDED), upload_url=URL)])
    assert state.upload_urls([1]) == {1: URL}
    state.write([PutObject(Object(1, Kind.MODEL, "d", Phase.UPLOADED))])
    assert state.upload_urls([1]) == {}
    state.close()
    assert b"X-Signature" not in path.read_bytes()
