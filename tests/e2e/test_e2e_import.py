"""`import`: what was made at the service without this state is bound to the spec's addresses, and not made again."""

from __future__ import annotations

import json
import shutil

import pytest
from counting_studio import Studio
from shop import Applied, Shop


def ids_of(shop: Shop) -> dict[str, str]:
    """What every address is at the studio, as a state that has made it tells."""
    document = json.loads(shop.run("state", "show", "--format", "json").out)
    remote = {one["oid"]: one["remoteId"] for one in document["objects"]}
    return {address: remote[oid] for address, oid in document["bindings"].items()}


def csv(shop: Shop, rows: dict[str, str], name: str = "ids.csv") -> str:
    lines = ["address,id", *(f"{address},{remote_id}" for address, remote_id in rows.items())]
    (shop.folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return name


@pytest.fixture
def ids(first: tuple[Shop, Applied]) -> dict[str, str]:
    return ids_of(first[0])


@pytest.fixture
def newcomer(made: Shop) -> Shop:
    """The made catalogue with nothing that tells that it was made."""
    shutil.rmtree(made.folder / "state")
    shutil.rmtree(made.folder / "pictures")
    return made


def test_what_was_imported_is_not_made_again(
    newcomer: Shop, first: tuple[Shop, Applied], ids: dict[str, str], studio: Studio
) -> None:
    before = studio.arrived()
    file = csv(newcomer, ids)
    document = json.loads(newcomer.run("import", file, "--dry-run", "--format", "json").out)
    assert {one["address"]: one["remoteId"] for one in document["imported"]} == ids
    assert not list((newcomer.folder / "state").glob("*.db"))
    ran = newcomer.run("import", file)
    assert f"Imported: 3 models, {sum(one.startswith('project') for one in ids)} projects" in ran.out
    assert newcomer.settled()
    assert ids_of(newcomer) == ids
    assert newcomer.run("history").out.count("import ids.csv") == 1
    newcomer.run("download")
    assert newcomer.renders() == first[0].renders()
    assert studio.arrived() == before, "nothing that changes anything was asked for"


def test_all_that_is_wrong_is_told_at_once_with_its_place_and_nothing_is_imported(
    newcomer: Shop, ids: dict[str, str]
) -> None:
    other = ids["render.chairs/oak/web"]
    rows = [
        ("model.lamp", "no-such-model"),
        ("model.lmap", "m"),
        ("lamp", "m"),
        ("model.oak", ids["model.oak"]),
        ("model.ash", ""),
        ("project.lamp", ids["project.lamp"]),
        ("render.lamp/web", other),
        ("render.lamp/film", "no-such-job"),
        ("project.lamp", "p"),
        ("webhook", "w"),
    ]
    text = "address,note,id\n" + "".join(f'{address},"a, b",{remote_id}\n' for address, remote_id in rows)
    (newcomer.folder / "ids.csv").write_text(text)
    ran = newcomer.run("import", "ids.csv", code=1)
    assert ran.err.splitlines() == [
        "ids.csv:2:19: the service knows no model no-such-model",
        "ids.csv:3:1: the spec has no model.lmap; did you mean 'model.lamp'?",
        "ids.csv:4:1: 'lamp' is no address; one is like model.lamp, project.lamp or render.lamp/web",
        "ids.csv:6:18: the id of model.ash is missing",
        "ids.csv:7:1: project.lamp is given 2 times",
        f"ids.csv:8:24: the render job {other} is of project {ids['project.chairs/oak']}; project.lamp is p",
        "ids.csv:9:25: the service knows no render job no-such-job",
        "ids.csv:10:1: project.lamp is given 2 times",
        "ids.csv:11:1: the webhook has no id to be imported by: an apply compares it field by field",
    ]
    assert "model." not in newcomer.run("state", "list").out
