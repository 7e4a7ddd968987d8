"""Workspaces and their keys: made, listed and revoked from the command line, also while a server runs."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from studio_client import Api, InProcess, client_of, eventually, ok, refused
from studio_processes import client_at, served

from glossi_sync.cli import main
from glossi_sync.studio import records as rows
from glossi_sync.studio.data_folder import DataFolder, StudioError
from glossi_sync.studio.keys import FOLDERS_KEY, Keys, keys_of


def studio(data: Path, *words: str, code: int = 0) -> str:
    """What ``glossi-sync studio …`` says on stdout or, where it fails, on stderr."""
    ran = CliRunner().invoke(main, ["studio", *words, "--data", str(data)])
    assert ran.exit_code == code, ran.output
    return ran.stdout if code == 0 else ran.stderr


def listed(data: Path, kind: str) -> list[dict[str, str]]:
    return list(json.loads(studio(data, kind, "list", "--format", "json")))


def status(api: Api) -> int:
    return api.get("/templates").status_code


def test_from_the_command_line_while_a_server_runs(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with served(data) as server, client_at(server, data) as own:
        studio(data, "workspace", "create", "shop")
        assert [one["name"] for one in listed(data, "workspace")] == ["default", "shop"]
        key = studio(data, "key", "create", "--workspace", "shop", "--label", "CI").strip()
        with client_of(server.url, key) as shop:
            eventually(lambda: status(shop) == 200)
            (model,) = shop.create("lamp")
            unknown = ok(own.post("/models/status", {"modelIds": [model["modelId"]]}))
            assert unknown["notFound"] == [model["modelId"]]

            [folders, shops] = listed(data, "key")
            assert (folders["workspace"], folders["label"]) == ("default", FOLDERS_KEY)
            assert (shops["workspace"], shops["label"]) == ("shop", "CI") and shops["lastUsed"]
            assert key.split("_")[1] == shops["id"]
            assert shops["id"] in studio(data, "key", "revoke", shops["id"])
            eventually(lambda: status(shop) == 401)
        assert status(own) == 200
        assert len(listed(data, "key")) == 1


def test_a_key_is_shown_once_and_stored_as_a_hash(tmp_path: Path) -> None:
    key = studio(tmp_path, "key", "create").strip()
    assert key.startswith("glsi_") and len(key) > 50
    secret = key.rpartition("_")[2]
    assert secret not in studio(tmp_path, "key", "list")
    with closing(sqlite3.connect(tmp_path / "records.db")) as connection:
        assert secret not in "\n".join(connection.iterdump())


def test_the_folders_own_key_gets_a_successor_when_it_is_revoked(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with served(data) as server, client_at(server, data) as old:
        assert status(old) == 200
        # By the key itself: whoever found it somewhere has nothing else in hand.
        studio(data, "key", "revoke", old.key)
        eventually(lambda: status(old) == 401)
        with client_at(server, data) as new:
            assert new.key != old.key and status(new) == 200
    with served(data) as server, client_at(server, data) as again:
        assert again.key == new.key and status(again) == 200


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("key", "create", "--workspace", "shop"),
            "there is no workspace 'shop': 'glossi-sync studio workspace create",
        ),
        (("key", "create", "--label", "folder"), "'folder' cannot label a key"),
        (("key", "revoke", "nothing"), "there is no such key"),
        (("workspace", "create", "../shop"), "'../shop' cannot name a workspace"),
    ],
)
def test_mistakes_are_sentences(tmp_path: Path, words: tuple[str, ...], sentence: str) -> None:
    assert sentence in studio(tmp_path, *words, code=1)


def test_a_workspace_is_made_once(tmp_path: Path) -> None:
    with keys_of(DataFolder(tmp_path)) as keys:
        keys.create_workspace("shop")
        with pytest.raises(StudioError, match="there is a workspace 'shop' already"):
            keys.create_workspace("shop")


def test_records_that_cannot_be_opened(tmp_path: Path) -> None:
    for url in ("not a URL", f"sqlite:///{tmp_path}/nowhere/records.db"):
        with pytest.raises(StudioError), keys_of(DataFolder(tmp_path), url):
            pass


def test_a_key_that_is_given_again_is_still_the_same_key(tmp_path: Path) -> None:
    with keys_of(DataFolder(tmp_path)) as keys:
        workspace_id = keys.create_workspace("shop").workspace_id
        for now in (1.0, 2.0):
            keys.records.now(lambda c, now=now: rows.set_key(c, workspace_id, FOLDERS_KEY, "glsi_a", now))
        assert [(key.label, key.created_at) for key in keys.all()] == [(FOLDERS_KEY, 1.0)]
        keys.records.now(lambda c: rows.set_key(c, workspace_id, FOLDERS_KEY, "glsi_b", 3.0))
        assert [key.created_at for key in keys.all()] == [3.0]
        keys.records.now(lambda c: rows.set_key(c, workspace_id, FOLDERS_KEY, None, 4.0))
        assert not keys.all()


def test_the_last_use_of_a_key_is_noted_once_a_minute(inside: InProcess, tmp_path: Path) -> None:
    def last_used() -> float | None:
        keys = Keys(inside.studio.records, DataFolder(tmp_path)).all()
        return next(key.last_used_at for key in keys if key.workspace == "workspace")

    began = inside.clock.now
    inside.api.template_id()
    assert last_used() == began
    inside.clock.now += 59
    inside.api.template_id()
    assert last_used() == began
    inside.clock.now += 1
    inside.api.template_id()
    assert last_used() == began + 60
    with inside.client("glsi_other") as stranger:
        refused(stranger.get("/templates"), 401, "unauthorized")


def test_each_workspace_has_templates_of_its_own(tmp_path: Path, workspace_templates: Path) -> None:
    data = tmp_path / "data"
    studio(data, "workspace", "create", "shop")
    key = studio(data, "key", "create", "--workspace", "shop").strip()
    with served(data, "--templates", f"shop={workspace_templates}") as server, client_at(server, data) as own:
        with client_of(server.url, key) as shop:
            (template,) = ok(shop.get("/templates", params={"public": "false"}))["templates"]
        assert ok(own.get("/templates", params={"public": "false"}))["templates"] == []
        model_id = own.ready()
        refused(
            own.post("/projects", {"modelIds": [model_id], "templateId": template["templateId"]}),
            404,
            "template_not_found",
        )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--templates", "shop=folder"], "there is no workspace 'shop' that the templates in folder could be for"),
        (["--templates", "default=a", "--templates", "b"], "two folders for the workspace default"),
    ],
)
def test_templates_for_nobody(tmp_path: Path, options: list[str], sentence: str) -> None:
    with served(tmp_path / "data", *options) as server:
        code, _, errors = server.ended()
    assert code == 1 and sentence in errors
