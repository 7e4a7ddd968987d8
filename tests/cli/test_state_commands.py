"""``state pull|push|migrate|mv|rm`` and ``unlock``, in process: on a file, and on PostgreSQL."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from glossi_sync.cli import main
from glossi_sync.resources import Kind, Phase
from glossi_sync.state import Bind, Holder, Object, PutObject, PutSecret, State, location_of, open_state

LAMP = Object(1, Kind.MODEL, "d" * 64, Phase.READY, "Desk Lamp", "m-1")
CHAIR = Object(2, Kind.MODEL, "e" * 64, Phase.RECORDED, "Chair", "m-2", since=1.0, expires=2.0)
URL = "https://bucket.example/chair.glb?X-Signature=abc"
HOLDER = Holder(7, "glossi-sync apply", "ana", "build-7", 4711, time.time())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("GLOSSI_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "glossi.yaml").write_text("version: 1\nworkspace: shop\nservice: {endpoint: local}\n")
    return tmp_path


@pytest.fixture(params=["file", "postgresql"])
def place(request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the state lies, as GLOSSI_STATE names it."""
    where = str(folder / "a.db") if request.param == "file" else request.getfixturevalue("state_url")
    monkeypatch.setenv("GLOSSI_STATE", where)
    with opened(where) as state:
        state.write([PutObject(LAMP), Bind("model.lamp", 1), PutObject(CHAIR, upload_url=URL), Bind("model.chair", 2)])
    return str(where)


@contextmanager
def opened(where: str) -> Iterator[State]:
    with closing(open_state(where, service="local")) as state:
        yield state


def ran(*arguments: str, code: int = 0, stdin: str | None = None) -> Result:
    result = CliRunner().invoke(main, arguments, input=stdin)
    assert result.exit_code == code, result.output
    return result


def test_a_pulled_state_is_pushed_back(place: str, folder: Path) -> None:
    pulled = ran("state", "pull").stdout
    assert "X-Signature" not in pulled and json.loads(pulled)["bindings"] == {"model.chair": "2", "model.lamp": "1"}
    ran("state", "pull", "--out", "state.json")
    assert (folder / "state.json").read_text() == pulled
    assert (folder / "state.json").stat().st_mode & 0o777 == 0o600
    ran("state", "push", "state.json")
    assert ran("state", "pull").stdout == pulled
    with opened(place) as state:
        assert state.upload_urls([2]) == {2: URL}
        state.write([Bind("model.b", 1)])
    refused = ran("state", "push", "-", stdin=pulled, code=1)
    assert "it is older (serial 1) than the state" in refused.stderr
    ran("state", "push", "-", "--force", stdin=pulled)
    with opened(place) as state:
        assert state.realised().bindings == {"model.lamp": 1, "model.chair": 2}
        assert [run.command for run in state.runs()] == ["state push"]


def test_what_is_no_json_is_not_pushed(place: str) -> None:
    assert "it is no JSON" in ran("state", "push", "-", stdin="nonsense", code=1).stderr


def test_without_a_state_there_is_nothing_to_pull(folder: Path) -> None:
    assert ran("state", "pull", code=1).stderr == f"there is no state at {folder / 'state' / 'shop@local.db'}\n"


def test_a_state_moves_into_a_database_and_out_again(folder: Path, state_database: str) -> None:
    url = state_database.replace("postgres:@", "postgres:hunter2@")
    with opened("first.db") as state:
        state.write(
            [PutObject(LAMP), Bind("model.lamp", 1), PutObject(CHAIR, upload_url=URL), PutSecret("w", "sealed")]
        )
        lineage = state.lineage
    told = ran("state", "migrate", url, "--state", "first.db").stdout
    assert "2 objects and 1 bindings are at postgresql://postgres@/" in told and "schema=shop@local" in told
    assert "hunter2" not in told
    assert f"copy that file to {folder / 'state' / 'shop@local.key'}" in told
    with opened(location_of(url, folder, "shop", "local")) as state:
        assert (state.lineage, state.serial, state.upload_urls([2])) == (lineage, 1, {2: URL})
    assert "a state lies there already" in ran("state", "migrate", url, "--state", "first.db", code=1).stderr
    ran("state", "migrate", "second.db", "--state", url)
    first, second = (ran("state", "pull", "--state", name).stdout for name in ("first.db", "second.db"))
    assert first == second


def test_a_binding_is_moved_and_forgotten_as_runs_of_the_history(place: str) -> None:
    ran("state", "mv", "model.lamp", "model.light")
    assert "model.lamp is not bound" in ran("state", "rm", "model.light", "model.lamp", code=1).stderr
    with opened(place) as state:
        assert state.realised().bindings == {"model.light": 1, "model.chair": 2}
    ran("state", "rm", "model.light", "model.chair")
    with opened(place) as state:
        assert state.realised().bindings == {}
        assert set(state.realised().objects) == {1, 2}
        runs = {run.command: run for run in state.runs()}
        assert set(runs) == {"state mv model.lamp model.light", "state rm model.light model.chair"}
        moved = runs["state mv model.lamp model.light"]
        assert state.bindings_after(moved.run_id) == {"model.light": 1, "model.chair": 2}
    ran("rollback", str(moved.run_id), "--yes")
    with opened(place) as state:
        assert state.realised().bindings == {"model.light": 1, "model.chair": 2}


@pytest.mark.parametrize(
    "arguments",
    [
        ("state", "push", "pulled.json"),
        ("state", "mv", "model.lamp", "model.b"),
        ("state", "rm", "model.lamp"),
        ("state", "migrate", "b.db"),
    ],
)
def test_what_changes_a_state_waits_for_nobody_and_disturbs_nobody(
    place: str, arguments: tuple[str, ...], folder: Path
) -> None:
    ran("state", "pull", "--out", "pulled.json")
    with opened(place) as state, state.lock(HOLDER):
        assert "held by `glossi-sync apply` of ana on build-7" in ran(*arguments, code=4).stderr
        assert state.realised().bindings == {"model.lamp": 1, "model.chair": 2}
        assert not (folder / "b.db").exists()


def test_nobody_to_unlock(place: str) -> None:
    assert re.fullmatch(r"Nobody holds the state \S+\.\n", ran("unlock", "--yes").stdout)


def test_a_database_is_unlocked_when_it_is_meant(folder: Path, state_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOSSI_STATE", state_url)
    with opened(state_url) as state, state.lock(HOLDER):
        refused = ran("unlock", code=1)
        assert re.match(r"run 7 +since .* ana on build-7, pid 4711  glossi-sync apply\n", refused.stdout)
        assert "run `unlock --yes`" in refused.stderr
        assert state.holders() == [HOLDER]
        assert "any more." in ran("unlock", "--yes").stdout
        assert state.holders() == []


HOLD = """
import os, sys, time
from glossi_sync.state import Holder, open_state
with open_state("a.db", service="local").lock(Holder(7, "glossi-sync apply", "ana", "build-7", os.getpid(), time.time())):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_file_is_unlocked_by_ending_its_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOSSI_STATE", "a.db")
    with opened("a.db"):
        pass
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None and run.stdout.readline() == "held\n"
        for arguments in (("unlock",), ("unlock", "--yes")):
            told = ran(*arguments, code=1)
            assert f"end it on build-7 with `kill {run.pid}`" in told.stderr
        run.kill()
        run.wait()
        assert "Nobody holds the state" in ran("unlock").stdout
