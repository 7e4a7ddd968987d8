"""``glossi-sync studio serve``: how it starts, what it says, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
from pathlib import Path

import pytest
from studio_client import Api, client_of, ok, refused, worker_at
from studio_processes import client_at, drawing, gone, served

from glossi_sync.studio.data_folder import StudioError
from glossi_sync.studio.records import Records
from glossi_sync.studio.serve import serve

posix = pytest.mark.skipif(os.name != "posix", reason="sends signals")


def test_it_says_where_it_answers_and_where_its_key_lies(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "data"
    with served(data) as studio, client_at(studio, data) as api:
        assert re.fullmatch(r"The studio answers at http://127\.0\.0\.1:\d+/api/v1\n", studio.first_line)
        assert len(ok(api.get("/templates"))["templates"]) >= 3
        status, said, errors = studio.end()
        assert (status, errors) == (0, "")
        assert str(data / "api-key") in said and "Ctrl-C stops it" in said
    assert (data / "api-key").stat().st_mode & 0o077 == 0
    assert data.stat().st_mode & 0o077 == 0


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_whatever_it_is_doing(tmp_path: Path, number: int) -> None:
    data, go = tmp_path / "data", tmp_path / "go"
    with drawing(data) as studio, client_at(studio, data) as api:
        api.start(api.project(api.ready(f"wait for {go}")))
        worker = worker_at(go)
        with api.http.stream("GET", api.url + "/attach") as unending:
            assert unending.status_code == 200
            # To all its processes at once, as a terminal sends Ctrl-C, and systemd SIGTERM.
            assert studio.end(number, group=True) == (0, "", "")
        assert gone(worker)
    assert not (data / "address").exists()


@posix
def test_it_stops_cleanly_before_its_workers_have_started(tmp_path: Path) -> None:
    with served(tmp_path / "data") as studio:
        status, _, errors = studio.end(signal.SIGINT, group=True)
        assert (status, errors) == (0, "")


def test_two_studios_on_one_folder_are_one_too_many(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with drawing(data) as first, client_at(first, data) as api:
        with served(data) as second:
            status, said, errors = second.ended()
        assert (status, second.first_line + said) == (1, "")
        assert errors == (
            f"the data folder {data} is in use by another studio, at {first.url}: stop that one, or give this one"
            " another folder\n"
        )
        assert api.processed(api.upload())["status"] == "READY"


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        says(tmp_path, f"cannot listen on 127.0.0.1 port {port}", "--port", str(port))


def says(data: Path, sentence: str, *options: str) -> None:
    """It does not start, and says why."""
    with served(data, *options) as studio:
        status, said, errors = studio.ended()
    assert (status, studio.first_line + said) == (1, "")
    assert sentence in errors and "Traceback" not in errors, errors


def test_a_file_in_the_data_folders_place(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    says(tmp_path / "file" / "data", "cannot be made")


def test_records_of_a_later_version(tmp_path: Path) -> None:
    records = Records(f"sqlite:///{tmp_path / 'records.db'}")
    records.now(lambda connection: connection.exec_driver_sql("UPDATE meta SET value = '99' WHERE name = 'schema'"))
    records.close()
    says(tmp_path, "of schema 99")


def test_a_template_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "own.yaml").write_text("name: nothing else\n", encoding="utf-8")
    says(tmp_path / "data", "own.yaml", "--templates", str(tmp_path / "templates"))


def test_a_key_of_ones_own_is_valid_until_another_is_given(tmp_path: Path) -> None:
    def tried(api: Api) -> int:
        return api.get("/templates").status_code

    data = tmp_path / "data"
    with served(data, "--api-key", "my-own-key") as studio, client_of(studio.url, "my-own-key") as api:
        assert tried(api) == 200
        with client_at(studio, data) as folders:
            assert tried(folders) == 200
    with served(data, GLOSSI_STUDIO_KEY="my-next-key") as studio:
        with client_of(studio.url, "my-own-key") as api:
            refused(api.get("/templates"), 401, "unauthorized")
        with client_of(studio.url, "my-next-key") as api:
            assert tried(api) == 200
    with pytest.raises(StudioError, match="visible ASCII"):
        serve(data, api_key="two words")


def test_behind_a_proxy_upload_urls_begin_with_the_public_address(tmp_path: Path) -> None:
    with served(tmp_path, "--public-url", "https://studio.example/") as studio, client_at(studio, tmp_path) as api:
        (model,) = api.create("box")
        assert model["uploadUrl"].startswith("https://studio.example/uploads/workspaces/")


@pytest.mark.skipif(sys.platform != "linux", reason="the line that mends it is Linux's")
@pytest.mark.parametrize(
    "failure", ["raise ImportError('libEGL.so.1: cannot open shared object file')", "import os; os.abort()"]
)
def test_without_opengl_it_names_the_line_that_mends_it_and_all_but_rendering_works(
    tmp_path: Path, failure: str
) -> None:
    (tmp_path / "filly.py").write_text(failure, encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])
    data = tmp_path / "data"
    mending = "apt-get install libgl1 libegl1 libgl1-mesa-dri libx11-6"
    with served(data, "--workers", "1", PYTHONPATH=path) as studio, client_at(studio, data) as api:
        failed = api.finished(api.start(api.project(api.ready())))
        assert failed["status"] == "FAILED" and mending in failed["errorMessage"]
        status, _, errors = studio.end()
    assert status == 0
    assert "this studio cannot render, everything else works" in errors and mending in errors
    assert "Traceback" not in errors
