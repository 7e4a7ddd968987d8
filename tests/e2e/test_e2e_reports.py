"""What the commands say: to people, to programs, in files; and what none of them ever says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from counting_studio import Studio
from shop import Applied, Shop


def test_every_command_has_help_and_is_found_from_the_first_one(made: Shop) -> None:
    def help_of(words: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
        return words, made.run(*words, "--help").out

    helps: dict[tuple[str, ...], str] = {}
    todo: list[tuple[str, ...]] = [()]
    with ThreadPoolExecutor(2) as pool:
        while todo:
            found = dict(pool.map(help_of, todo))
            helps |= found
            todo = []
            for words, said in found.items():
                listed = re.split(r"\n  -h, --help.*\n", said)[-1]
                todo += [(*words, name) for name in re.findall(r"^  ([a-z][a-z-]*) ", listed, re.MULTILINE)]
    for words, said in helps.items():
        assert said.startswith(" ".join(("Usage: glossi-sync", *words)) + " ")
        assert re.match("  [A-Z]", said.split("\n\n")[1]), f"{words} does not say what it is for"
    contract = {"validate", "plan", "apply", "status", "templates", "download", "state list", "state show", "schema"}
    assert contract | {"studio serve"} <= {" ".join(words) for words in helps}
    assert made.run("--version").out.startswith("glossi-sync, version ")


def test_a_plan_for_programs_tells_by_its_exit_code_whether_there_are_changes(made: Shop, tmp_path: Path) -> None:
    assert made.run("plan", "--detailed-exitcode").code == 0
    del made.spec["projects"]["room"]
    made.spec["projects"]["lamp"]["renders"] = {"web": {"revision": 2}, "film": {}}
    made.save()
    saved = tmp_path / "plan.json"
    text = made.run("plan", "--detailed-exitcode", "--calls", "--out", str(saved), code=2).out
    assert "Plan: 1 to replace, 1 to forget; 9 unchanged." in text
    assert "Calls, at most: POST /renders 1." in text
    document = json.loads(saved.read_text(encoding="utf-8"))
    printed = json.loads(made.run("plan", "--format", "json").out)
    assert document | {"madeWith": None} == printed | {"madeWith": None}
    assert document["madeWith"] | {"at": ""} == printed["madeWith"] | {"at": ""}
    assert [one["address"] for one in document["changes"]] == ["render.lamp/web", "project.room"]
    assert document["state"] == {key: made.plan()["state"][key] for key in ("lineage", "serial")}
    markdown = made.run("plan", "--format", "markdown").out
    assert "| `~`&nbsp;replace | `render.lamp/web` | start<br>`revision`: 1 → 2 |" in markdown
    assert "Expected: 4 pictures; about" in markdown


def test_the_events_of_an_apply_tell_each_step_of_each_address_in_its_order(first: tuple[Shop, Applied]) -> None:
    _, applied = first
    told: dict[str, list[str]] = {}
    for one in applied.events[1:-1]:
        what = one.get("step") or one.get("phase") if one["event"] in ("step-taken", "reached") else one["event"]
        if one["event"] in ("step-taken", "reached", "uploading"):
            told.setdefault(one["address"], []).append(str(what))
    assert told["model.lamp"] == ["record", "uploading", "upload", "confirm", "ready"]
    assert told["project.lamp"] == ["create", "created"]
    assert told["render.lamp/film"] == ["start", "completed"]
    fetched = {one["path"] for one in applied.happened("downloaded")}
    assert len(fetched) == 14 and all(Path(path).is_file() for path in fetched)


def test_status_tells_every_address_with_its_phase_and_id(first: tuple[Shop, Applied], made: Shop) -> None:
    ids = {one["address"]: one["remoteId"] for one in first[1].happened("step-taken")}
    rows = json.loads(made.run("status", "--format", "json").out)
    assert {one["address"]: one["remoteId"] for one in rows} == ids
    assert {one["phase"] for one in rows} == {"ready", "created", "completed"}
    assert all(one["complete"] and one["error"] is None and one["age"] >= 0 for one in rows)
    made.model("new", "new")
    made.save()
    text = made.run("status").out
    assert all(address in text and remote_id in text for address, remote_id in ids.items())
    assert "model.new" in text and "not realised" in text


def test_templates_lists_what_a_spec_can_name(made: Shop) -> None:
    listed = json.loads(made.run("templates", "--format", "json").out)
    names = {"Colour Pop", "Dark Luxe", "Outdoor Scene", "Studio Light", "Warm Interior", "White Catalogue"}
    assert {one["name"] for one in listed} == names
    text = made.run("templates", "--public").out
    assert all(one["name"] in text and one["templateId"] in text for one in listed)
    assert json.loads(made.run("templates", "--workspace", "--format", "json").out) == []
    made.spec["templates"]["light"] = {"name": "Studio Lihgt"}
    made.save()
    sentence = made.run("plan", code=1).sentence
    assert sentence.startswith(
        "templates.light: the service has no template with the name 'Studio Lihgt'; did you mean"
    )


def test_the_state_is_read_whole_or_by_address(made: Shop, first: tuple[Shop, Applied]) -> None:
    listed = made.run("state", "list").out
    assert all(one["address"] in listed for one in first[1].plan["changes"])
    whole = json.loads(made.run("state", "show", "--format", "json").out)
    assert len(whole["bindings"]) == 11 and len(whole["objects"]) == 11
    assert whole["inDoubt"] == whole["strays"] == []
    assert whole["runs"][0]["steps"] == first[1].summary["steps"]
    one = json.loads(made.run("state", "show", "model.lamp", "--format", "json").out)
    assert one["label"] == "Lámpara de mesa 灯" and one["addresses"] == ["model.lamp"]
    assert "Lámpara de mesa 灯" in made.run("state", "show", "model.lamp").out
    assert "model.nothing is not bound" in made.run("state", "show", "model.nothing", code=1).sentence


def test_download_brings_home_what_is_missing_and_nothing_else(made: Shop) -> None:
    home = made.renders()
    gone = "chairs/oak/web/Detail - Oak Chair.png"
    (made.folder / "pictures" / gone).unlink()
    (made.folder / "pictures/lamp/film/360 Spin - Lámpara de mesa 灯.mp4").write_bytes(b"cut")
    reads = made.studio.reads()
    ran = made.run("download")
    assert ran.out == "Brought home: 2.\n"
    altered = "lamp/film/360 Spin - Lámpara de mesa 灯.mp4"
    *brought, note = sorted(ran.err.splitlines())
    assert brought == sorted(f"brought home {made.folder / 'pictures' / path}" for path in (gone, altered))
    told, _, kept = note.partition("; what it was lies in ")
    assert told == f"render.lamp/film: note: {altered} was not as it was brought home"
    assert Path(kept).read_bytes() == b"cut"
    assert made.renders() == home
    assert made.studio.reads() - reads == 3, "the templates and two files"
    assert made.run("download").out == "Everything is at home already.\n"


def test_the_environment_stands_in_for_the_options(made: Shop, tmp_path: Path) -> None:
    elsewhere = made.state.rename(tmp_path / "elsewhere.db")
    document = made.spec
    del document["service"]
    made.save()
    spec = made.folder / "glossi.yaml"
    other = Shop(tmp_path / "other", made.studio)
    variables = {"GLOSSI_SPEC": str(spec), "GLOSSI_ENDPOINT": made.studio.url, "GLOSSI_STATE": str(elsewhere)}
    assert "Plan: nothing to do; 11 unchanged." in other.run("plan", **variables).out


def test_neither_the_key_nor_a_signed_url_is_ever_told(new_shop: Callable[..., Shop], studio: Studio) -> None:
    shop = new_shop("secret")
    shop.model("lamp", "lamp")
    shop.save()
    shop.secrets.add("ignature=")  # the studio's, and S3's X-Amz-Signature
    # Killed between record and upload, the state knows an upload URL.
    studio.hold("PUT upload", "before")
    running = shop.start("apply", "--yes", "-v")
    studio.wait_until_held()
    running.signal(9)
    ran = running.finish()
    studio.let_go("lost")
    shop.check_secrets(ran.out, ran.err)
    assert b"ignature=" in shop.state.read_bytes() + shop.state.with_name(shop.state.name + "-wal").read_bytes()
    for command in (("state", "show"), ("state", "show", "--format", "json"), ("plan", "-v"), ("status", "-v")):
        shop.run(*command)
    shop.run("apply", "--yes", "-v")
    # Every other test looks for the key in all that is said and kept, too (``Shop.finish``, ``Shop.check_state``).
    shop.secrets = {studio.key}
    shop.check_state()


def test_names_of_all_scripts_are_told_where_the_output_cannot_spell_them(made: Shop) -> None:
    """As on Windows, where a pipe has the encoding of the country."""
    made.spec["models"]["lamp"]["name"] = "Tischlampe 🪔 für Zoë"
    made.model("new", "new")
    made.save()
    variables = {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}

    def said(*command: str) -> str:
        return made.run(*command, encoding="cp1252", **variables).out

    assert "record \\u2192 upload" in said("plan")
    assert "Lámpara de mesa \\u706f" in said("state", "show")
    document = json.loads(said("plan", "--format", "json"))
    assert "Tischlampe 🪔 für Zoë" in document["changes"][0]["note"]
