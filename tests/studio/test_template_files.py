"""Template files: what the studio brings along, what it reads of a user's own, and what it says of a broken one."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from glossi_sync.schema_files import load_schema
from glossi_sync.studio import template as template_room
from glossi_sync.studio.template import (
    Checks,
    Keyframe,
    Template,
    TemplateError,
    View,
    bundled_templates,
    load_template,
    load_templates,
)

BUNDLED = sorted((Path(template_room.__file__).parent / "templates").glob("*.yaml"))

MINIMAL = """\
templateId: 6d0a5b8e-4f0f-4d6f-9a56-0c2f6f5a1e77
name: Our Corner
environment:
  gradient:
    - {elevation: 0, color: [0.5, 0.5, 0.5]}
backdrop:
  sweep:
    - {at: 0, color: "#ffffff"}
bookmarks:
  - {name: Front View}
"""


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """A file with the given text, ``own.yaml``."""

    def write(text: str) -> Path:
        (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
        return tmp_path / "own.yaml"

    return write


Written = Callable[[str], Path]


def mistakes(path: Path) -> list[str]:
    """What is said about a template file, line by line, without the path."""
    with pytest.raises(TemplateError) as raised:
        load_template(path)
    lines = str(raised.value).splitlines()
    assert all(line.startswith(f"{path}:") for line in lines)
    return [line.removeprefix(f"{path}:") for line in lines]


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.stem)
def test_each_template_of_the_package_follows_the_schema(path: Path) -> None:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(load_schema("template")).validate(document)
    named = path.read_text(encoding="utf-8").splitlines()[0]
    assert named == "# yaml-language-server: $schema=../../../schemas/template.schema.json"


def test_the_package_brings_the_services_templates() -> None:
    names = ["Colour Pop", "Dark Luxe", "Outdoor Scene", "Studio Light", "Warm Interior", "White Catalogue"]
    assert [template.name for template in bundled_templates()] == names
    assert len({template.template_id for template in bundled_templates()}) == 6


@pytest.mark.parametrize("template", bundled_templates(), ids=lambda template: template.name)
def test_each_template_of_the_package_can_be_worked_with(template: Template) -> None:
    names = [bookmark.name for bookmark in template.bookmarks]
    assert {"Front View", "Three Quarter", "Top View", "Detail"} <= set(names)
    assert template.floor.shadow > 0, "a floor that takes no shadow is none"
    assert template.lights, "without a light there is no shadow with an edge"
    spin, push = (next(shot for shot in template.shots if shot.name == name) for name in ("360 Spin", "Push In"))
    assert push.view.fill < push.path[-1].view.fill <= 0.85, "it comes closer, and shows the product whole"
    assert not push.loops
    assert spin.turn == 360
    assert spin.loops
    assert spin.frames == 96
    assert template.description
    whole = [bookmark.view.fill for bookmark in template.bookmarks if bookmark.name != "Detail"]
    assert all(0.7 <= fill <= 0.85 for fill in [*whole, spin.view.fill])


def test_the_schema_describes_every_field() -> None:
    def undescribed(schema: Any, place: str) -> list[str]:
        if not isinstance(schema, dict):
            return []
        found = []
        for name, entry in schema.get("properties", {}).items():
            found += [] if entry.get("description") else [f"{place}.{name}"]
            found += undescribed(entry, f"{place}.{name}")
        return found + undescribed(schema.get("items"), f"{place}[]")

    schema = load_schema("template")
    jsonschema.Draft202012Validator.check_schema(schema)
    assert undescribed(schema, "") == []


def test_the_defaults_of_the_schema_are_those_of_the_reader(written: Written) -> None:
    """Editors show the schema's defaults; a file that spells them all out is the same template."""
    schema = load_schema("template")
    document = yaml.safe_load(MINIMAL) | {"shots": [{"name": "360 Spin"}]}
    document["environment"]["softBoxes"] = [{"azimuth": 0, "elevation": 5, "width": 3, "height": 4, "radiance": 1}]
    document["lights"] = [{"name": "key", "azimuth": 0, "elevation": 5, "illuminance": 1}]
    document["floor"] = {"reflection": {"strength": 0.5}, "grain": {"strength": 0.1}}

    def spelled_out(value: Any, schema: Any) -> Any:
        if "$ref" in schema:
            return value
        if isinstance(value, list):
            return [spelled_out(entry, schema["items"]) for entry in value]
        if not isinstance(value, dict):
            return value
        properties = schema["properties"]
        whole = {name: entry["default"] for name, entry in properties.items() if "default" in entry} | value
        return {name: spelled_out(entry, properties[name]) for name, entry in whole.items()}

    short = load_template(written(yaml.safe_dump(document)))
    explicit = spelled_out(document, schema)
    assert explicit["bookmarks"][0].keys() == {"name", "azimuth", "elevation", "fieldOfView", "fill", "aim"}
    assert load_template(written(yaml.safe_dump(explicit))) == short


def test_a_users_folder_is_read_in_the_order_of_its_files(tmp_path: Path) -> None:
    for stem, name in (("b", "Second"), ("a", "First")):
        text = MINIMAL.replace("Our Corner", name).replace("6d0a5b8e", f"6d0a5b8{stem}")
        (tmp_path / f"{stem}.yml").write_text(text, encoding="utf-8")
    (tmp_path / "notes.txt").write_text("not a template", encoding="utf-8")
    assert [template.name for template in load_templates(tmp_path)] == ["First", "Second"]


def test_two_files_may_not_be_one_template(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(MINIMAL, encoding="utf-8")
    (tmp_path / "b.yaml").write_text(MINIMAL.replace("Our Corner", "Other"), encoding="utf-8")
    (tmp_path / "c.yaml").write_text(MINIMAL.replace("6d0a5b8e", "6d0a5b8f"), encoding="utf-8")
    with pytest.raises(TemplateError) as raised:
        load_templates(tmp_path)
    text = str(raised.value)
    assert f"{tmp_path / 'b.yaml'}: templateId: 6d0a5b8e-4f0f-4d6f-9a56-0c2f6f5a1e77 is already taken" in text
    assert f"{tmp_path / 'c.yaml'}: name: 'Our Corner' is already taken by {tmp_path / 'a.yaml'}" in text


def test_every_broken_file_of_a_folder_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: A\n", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("name: [\n", encoding="utf-8")
    with pytest.raises(TemplateError) as raised:
        load_templates(tmp_path)
    assert {line.split(":")[0] for line in str(raised.value).splitlines()} == {
        str(tmp_path / "a.yaml"),
        str(tmp_path / "b.yaml"),
    }


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="no such folder of templates"):
        load_templates(tmp_path / "none")


def test_all_mistakes_of_a_file_come_at_once_with_their_places(written: Written) -> None:
    text = """\
templateId: not-a-uuid
name: Our Corner
enviroment: {}
environment:
  gradient:
    - {elevation: 95, color: "#12345"}
lights:
  - {name: key, azimuth: 1, elevation: 2, illuminance: bright, siz: 3}
backdrop:
  sweep: []
bookmarks:
  - {name: Front View, fill: 9}
"""
    assert [mistake.partition(": ")[::2] for mistake in mistakes(written(text))] == [
        ("1:1", "templateId: 'not-a-uuid' is no UUID; make one with python -c 'import uuid; print(uuid.uuid4())'"),
        ("3:1", "the key 'enviroment' is unknown; did you mean 'environment'?"),
        ("6:8", "environment.gradient[0].elevation: 95 is greater than the maximum of 90"),
        ("6:23", "environment.gradient[0].color: '#12345' does not match '^#[0-9a-fA-F]{6}$'"),
        ("8:43", "lights[0].illuminance: 'bright' is not of type 'number'"),
        ("8:64", "lights[0]: the key 'siz' is unknown; did you mean 'size'?"),
        ("10:3", "backdrop.sweep: [] should be non-empty"),
        ("12:24", "bookmarks[0].fill: 9 is greater than the maximum of 4"),
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("- {name: Front View}", "- {name: A}\n  - {name: A}"), "11:6: bookmarks[1].name: 'A' is already taken"),
        (("bookmarks:\n  - {name: Front View}\n", ""), "1:1: a template needs at least one bookmark or one shot"),
        (('- {at: 0, color: "#ffffff"}', '- {at: 1, color: "#ffffff"}\n    - {at: 0, color: "#ffffff"}'), "7:3: backdrop.sweep: the stops must go upwards in at"),
        (("name: Our Corner", "name: Our Corner\nname: Other"), "3:1: the key 'name' is given twice"),
        (("elevation: 0,", "elevation: .nan,"), "5:19: .nan is not a number"),
        (("elevation: 0,", "elevation: .inf,"), "5:19: .inf is not a number"),
        (("name: Our Corner", "1: Our Corner"), "2:1: a key must be text"),
        (("name: Our Corner", "? [a]\n: b"), "2:3: a key must be text"),
        (("name: Our Corner", "name: 'Our Corner"), "2:7: "),
        (("  gradient:\n    - {elevation: 0, color: [0.5, 0.5, 0.5]}", "  intensity: 2"), "3:1: environment: what surrounds the product is said by 'gradient' or by 'file'"),
        (("  gradient:", "  file: sky.hdr\n  gradient:"), "3:1: environment: what surrounds the product is said by 'gradient' or by 'file'"),
        (("  gradient:\n    - {elevation: 0, color: [0.5, 0.5, 0.5]}", "  intensity: 2\n  file: sky.hdr"), "5:3: environment.file: "),
        (("bookmarks:", "shots:\n  - {name: A, path: [{at: 0.5}], to: {azimuth: 5}}\nbookmarks:"), "10:34: shots[0]: where the camera goes is said by 'to' or by 'path'"),
        (("bookmarks:", "shots:\n  - {name: A, path: [{at: 1}, {at: 0.5}]}\nbookmarks:"), "10:15: shots[0].path: the stops must go upwards in at"),
        (("bookmarks:", "shots:\n  - {name: A, path: [{at: 1, easing: slow}]}\nbookmarks:"), "10:30: shots[0].path[0].easing: 'slow' is not one of"),
        (("name: Our Corner", "name: &a [*a]"), "2:7: "),
        (("name: Our Corner", "---\nname: Our Corner"), "2:1: expected a single document"),
    ],
)  # fmt: skip
def test_a_mistake_has_its_line_and_column(written: Written, change: tuple[str, str], said: str) -> None:
    assert change[0] in MINIMAL
    first, *_ = mistakes(written(MINIMAL.replace(*change)))
    assert first.startswith(said)


def test_what_is_no_mapping_is_no_template(written: Written) -> None:
    for text in ("", "[1]", "just words"):
        assert mistakes(written(text)) == ["1:1: a template is a mapping that begins with templateId and name"]


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TemplateError, match="is not UTF-8 text"):
        load_template(tmp_path / "own.yaml")
    (tmp_path / "own.yaml").write_bytes(b"name: a\x00b")
    with pytest.raises(TemplateError, match="is not valid YAML"):
        load_template(tmp_path / "own.yaml")


def test_a_colour_is_given_as_seen_or_in_linear_light(written: Written) -> None:
    template = load_template(written(MINIMAL.replace('"#ffffff"', '"#808080"')))
    (stop,) = template.backdrop.sweep
    assert stop.color == pytest.approx((0.21586,) * 3, abs=1e-5), "sRGB's middle grey, decoded"
    assert template.environment.gradient[0].color == (0.5, 0.5, 0.5)


def test_a_place_of_a_path_keeps_what_it_does_not_change(written: Written) -> None:
    text = """\
shots:
  - name: Round
    azimuth: 10
    fill: 0.5
    path: [{at: 0.5, azimuth: 90, easing: out}, {at: 1, elevation: 40, fill: 0.8}]
  - {name: Straight, fill: 0.5, to: {fill: 0.8, easing: linear}}
  - {name: Around, azimuth: -180, to: {azimuth: 180}}
"""
    around, straight = (View(azimuth, 10, 24, fill, (0, 0)) for azimuth, fill in ((90, 0.5), (0, 0.8)))
    first, second, third = load_template(written(MINIMAL + text)).shots
    assert first.path == (
        Keyframe(0.5, around, "out"),
        Keyframe(1, replace(around, elevation=40, fill=0.8), "smooth"),
    )
    assert second.path == (Keyframe(1, straight, "linear"),)
    assert (first.loops, second.loops, third.loops) == (False, False, True)


def test_checks_are_the_usual_ones_but_for_what_a_file_says(written: Written) -> None:
    assert load_template(written(MINIMAL)).checks == Checks()
    relaxed = load_template(written(MINIMAL + "checks: {fill: 0, magenta: 1}\n")).checks
    assert relaxed == replace(Checks(), fill=0, magenta=1)


_keys = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(data=st.data())
def test_whatever_stands_in_a_file_it_is_a_template_or_a_template_error(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    document = copy.deepcopy(yaml.safe_load(BUNDLED[0].read_text(encoding="utf-8")))
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
            places.append((value, key))
            walk(value[key])

    walk(document)
    holder, key = data.draw(st.sampled_from(places))
    holder[key] = data.draw(_keys)
    path = tmp_path_factory.getbasetemp() / f"{uuid.uuid4()}.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    try:
        assert isinstance(load_template(path), Template)
    except TemplateError as error:
        assert str(error).startswith(f"{path}:")
    finally:
        path.unlink()
