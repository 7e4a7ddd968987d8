"""The ``download`` command: a look first, a part of it, elsewhere, and what nothing wants any more."""

from __future__ import annotations

import json
from pathlib import Path

from shop import Ran, Shop

LAMP, OAK = "lamp/web/Front View - Lámpara de mesa 灯.png", "chairs/oak/web/Front View - Oak Chair.png"


def lines(ran: Ran) -> list[dict[str, object]]:
    told = [json.loads(line) for line in ran.out.splitlines()]
    assert all(one.pop("time") for one in told)
    return told


def test_a_dry_run_says_what_would_be_fetched_and_a_target_fetches_a_part_of_it(made: Shop) -> None:
    home = made.renders()
    for path in (LAMP, OAK):
        (made.folder / "pictures" / path).unlink()
    had = made.renders()
    *due, end = lines(made.run("download", "--dry-run", "--format", "json"))
    assert {(one["event"], one["address"], one["path"], one["why"]) for one in due} == {
        ("due", "render.lamp/web", LAMP, "missing"),
        ("due", "render.chairs/oak/web", OAK, "missing"),
    }
    assert end == {"event": "summary", "due": 2, "prunable": 0, "altered": []}
    assert made.renders() == had
    one, end = lines(made.run("download", "--target", "project.l*", "--format", "json"))
    assert (one["event"], one["path"]) == ("downloaded", str(made.folder / "pictures" / LAMP))
    assert end["downloads"] == {"fetched": 1, "bytes": len(home[LAMP]), "failed": {}}
    assert (
        made.run("download", "--dry-run").out
        == f"  + {OAK}  (render.chairs/oak/web; missing)\nFiles: 1 to bring home.\n"
    )
    assert "did you mean 'render.lamp/web'" in made.run("download", "--target", "render.lamp/wbe", code=1).sentence


def test_what_no_render_wants_any_more_is_removed_only_when_it_is_asked_for(made: Shop, tmp_path: Path) -> None:
    home = made.renders()
    del made.spec["projects"]["chairs"]
    made.save()
    (made.folder / "pictures" / OAK).write_bytes(b"retouched")
    made.run("apply", "--yes", "--allow-large-change", "--no-download")
    kept = {path: content for path, content in home.items() if path.startswith("lamp/")} | {OAK: b"retouched"}
    unwanted = len(home) - len(kept)
    assert set(made.renders()) == set(home)
    assert "run `download --prune --yes`" in made.run("download", "--prune", code=1).sentence
    ran = made.run("download", "--prune", "--yes")
    assert ran.out == f"Removed: {unwanted}.\nLeft alone, since they were altered here: {OAK}.\n"
    assert made.renders() == kept
    elsewhere = tmp_path / "elsewhere"
    assert made.run("download", "--to", str(elsewhere)).out == f"Brought home: {len(kept) - 1}.\n"
    assert (elsewhere / LAMP).read_bytes() == kept[LAMP]


def test_the_report_of_a_run_shows_what_it_touched(made: Shop) -> None:
    """The quick studio's pictures are no pictures; what is to be shown of them is told all the same."""
    before = made.renders()[LAMP]
    made.spec["projects"]["lamp"]["renders"] = {"web": {"revision": 2}, "film": {}}
    made.save()
    made.run("apply", "--yes", "--format", "json")
    run = json.loads(made.run("state", "show", "--format", "json").out)["runs"][0]["runId"]
    ran = made.run("report", "--run", run[:9], "--out", "reports/latest.html")
    assert ran.out.startswith("reports/latest.html: 1 product, ") and ran.err == ""
    page = (made.folder / "reports/latest.html").read_text(encoding="utf-8")
    assert 'id="project.lamp"' in page and 'id="project.chairs/oak"' not in page
    assert page.count("cannot be shown: it is neither a picture nor a video") >= 4
    assert "3 more products were not touched by this run." in page
    assert str(made.folder) not in page and made.studio.key not in page
    (previous,) = (made.folder / "state").glob("*.previous")
    assert before in [path.read_bytes() for path in previous.iterdir()]
