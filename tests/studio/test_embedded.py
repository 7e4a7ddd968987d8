"""The embedded studio: a child that ends with its owner, and that several owners may share."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from studio_client import client_of_embedded, ok
from studio_processes import drawing, gone

from glossi_sync.service import wire
from glossi_sync.studio import embedded
from glossi_sync.studio.embedded import EmbeddedStudio, StudioError

ENGINE = "small_engines:DrawingEngine"


def studio_at(data: Path) -> EmbeddedStudio:
    return EmbeddedStudio(data, workers=1, engine=ENGINE)


def pid_at(data: Path) -> int:
    """The process id of the server that uses the folder."""
    return int(json.loads((data / "address").read_text(encoding="utf-8"))["pid"])


def test_it_answers_on_loopback_and_ends_with_the_block(tmp_path: Path) -> None:
    with client_of_embedded(studio_at(tmp_path)) as api:
        assert api.url.startswith("http://127.0.0.1:") and api.url.endswith(wire.API_PREFIX)
        assert len(ok(api.get("/templates"))["templates"]) >= 3
        server = pid_at(tmp_path)
    assert gone(server)
    assert not (tmp_path / "address").exists()


def test_two_owners_share_one_and_the_last_takes_it_along(tmp_path: Path) -> None:
    first, second = studio_at(tmp_path), studio_at(tmp_path)
    first.__enter__()
    with client_of_embedded(second) as api:
        assert second.url == first.url
        server = pid_at(tmp_path)
        model_id = api.upload()
        first.__exit__(None, None, None)
        assert api.processed(model_id)["status"] == "READY", "the one who started it has left"
        assert pid_at(tmp_path) == server
    assert gone(server)


def test_a_served_studio_is_used_and_left_running(tmp_path: Path) -> None:
    with drawing(tmp_path) as served:
        with client_of_embedded(studio_at(tmp_path)) as api:
            assert api.url == served.url
            ok(api.get("/templates"))
        with client_of_embedded(studio_at(tmp_path)) as api:
            assert api.url == served.url


@pytest.mark.skipif(os.name != "posix", reason="kills a process by signal")
def test_it_ends_with_an_owner_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from glossi_sync.studio.embedded import EmbeddedStudio\n"
        f"with EmbeddedStudio(Path(sys.argv[1]), workers=1, engine={ENGINE!r}):\n"
        "    print('ready', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None and owner.stdout.readline() == b"ready\n"
        server = pid_at(tmp_path)
        owner.send_signal(signal.SIGKILL)
    assert gone(server)


def test_an_address_that_a_killed_server_left_behind_does_not_mislead(tmp_path: Path) -> None:
    with drawing(tmp_path) as served:
        url = served.url
        served.end(signal.SIGKILL)
    assert (tmp_path / "address").exists()
    with client_of_embedded(studio_at(tmp_path)) as api:
        assert api.url != url
        ok(api.get("/templates"))


def test_a_start_that_fails_says_why_and_where_the_log_is(tmp_path: Path) -> None:
    (tmp_path / "records.db").write_bytes(b"something else entirely, and long enough to be looked at" * 10)
    with pytest.raises(StudioError) as failed, studio_at(tmp_path):
        pass
    assert "file is not a database" in str(failed.value)
    assert str(tmp_path / "studio.log") in str(failed.value)
    assert "Traceback" not in str(failed.value)


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StudioError, match="cannot be made"), studio_at(tmp_path / "file" / "data"):
        pass


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda name: None if name == "uvicorn" else find_spec(name))
    with (
        pytest.raises(StudioError, match=r"missing: uvicorn.*pip install 'glossi-sync\[studio\]'"),
        studio_at(tmp_path),
    ):
        pass
