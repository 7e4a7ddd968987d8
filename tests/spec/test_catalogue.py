"""A catalogue makes what writing every entry down would make; its mistakes are told at the row's field."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from spec_documents import as_block, as_json, keys, written

from glossi_sync.schema_files import load_schema
from glossi_sync.spec import Spec, SpecError, hash_models, locate, read_spec
from glossi_sync.spec.schema import spec_check
from glossi_sync.spec.variables import Variables, substitute
from glossi_sync.spec.yaml_values import Map, parse

ROOT = Path(__file__).parents[2]
HEAD = """\
version: 1
workspace: shop
templates: {studio: {name: Studio Light}, luxe: {name: Dark Luxe}}
renderSettings: {web: {}, film: {}}
"""
SHOP = (
    HEAD
    + """\
catalogues:
  - rows: p.csv
    key: ${row.sku}
    model: {name: "${row.title}", file: "m/${row.file}.obj"}
    project: {name: "${row.title} in ${row.template}", template: "${row.template}", renders: [web, "${row.video}"]}
"""
)
COLUMNS = ("sku", "title", "file", "template", "video")
fixtures = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def table(*rows: Sequence[str], columns: Sequence[str] = COLUMNS, quoting: int = csv.QUOTE_MINIMAL) -> str:
    """A CSV text."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n", quoting=quoting).writerows([columns, *rows])
    return text.getvalue()


def shop(folder: Path, rows: str, text: str = SHOP, name: str = "p.csv") -> Path:
    """A folder with the file of a spec, that of its rows, and two models."""
    (folder / "m").mkdir(exist_ok=True)
    for model in ("a", "b"):
        (folder / "m" / f"{model}.obj").write_text("o")
    (folder / name).write_text(rows, encoding="utf-8", newline="")
    return written(folder, text)


def mistakes(path: Path, **options: Any) -> list[str]:
    """What is wrong with a spec; files are called by their names alone."""
    with pytest.raises(SpecError) as caught:
        read_spec(path, **{"env": {}, **options})
    return [str(dataclasses.replace(one, file=Path(one.file).name)) for one in caught.value.problems]


def plain(spec: Spec) -> tuple[Any, ...]:
    """All of a spec that does not tell how it was written."""
    return list(spec.models.items()), list(spec.projects.items()), spec.templates, spec.render_settings


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=10)
products = st.lists(
    st.tuples(keys, texts, st.sampled_from("ab"), st.sampled_from(["studio", "luxe"]), st.sampled_from(["", "film"])),
    max_size=6,
    unique_by=lambda row: row[0],
)


@given(products, st.sampled_from(["p.csv", "p.jsonl"]))
@fixtures
def test_a_catalogue_is_short_for_writing_every_entry_down(
    tmp_path: Path, rows: list[tuple[str, str, str, str, str]], name: str
) -> None:
    lines = [json.dumps(dict(zip(COLUMNS, row, strict=True))) for row in rows]
    content = table(*rows, quoting=csv.QUOTE_ALL) if name == "p.csv" else "\n".join(lines) + "\n"
    short = read_spec(shop(tmp_path, content, SHOP.replace("p.csv", name), name), env={})
    document = {
        "models": {sku: {"name": title.replace("${", "$${"), "file": f"m/{file}.obj"} for sku, title, file, _, _ in rows},
        "projects": {
            sku: {
                "name": f"{title} in {template}".replace("${", "$${"),
                "models": [sku],
                "template": template,
                "renders": ["web", video] if video else ["web"],
            }
            for sku, title, _, template, video in rows
        },
    }  # fmt: skip
    long = read_spec(written(tmp_path, HEAD + as_block(document), "long.yaml"), env={})
    assert plain(short) == plain(long)
    assert [type(entry.name) for entry in short.models.values()] == [str] * len(rows)


WRONG = {
    "sku": [("a b", "the key 'a b' is not well formed"), ("", "the key is empty"), ("-x", "the key '-x' is not")],
    "title": [("", "the name is empty; write ${row.title|default:TEXT}")],
    "file": [("c", "there is no file m/c.obj"), ("x/a", "there is no file m/x/a.obj, nor its folder")],
    "template": [("studoi", "names the template 'studoi', which 'templates' does not have; did you mean 'studio'?")],
    "video": [("flim", "names the render settings 'flim', which 'renderSettings' does not have; did you mean 'film'?"), ("web", "has the render settings 'web' twice")],
}  # fmt: skip


@given(products.filter(bool), st.data())
@fixtures
def test_a_wrong_value_is_told_at_its_line_and_column_and_nothing_else_is(
    tmp_path: Path, rows: list[Any], data: st.DataObject
) -> None:
    rows = [list(row) for row in rows]
    for row in rows:
        row[1] = data.draw(st.sampled_from(["T", 'two\nlines, "quoted"', "ü,ü"]))
    wrong: list[tuple[int, int, str]] = []
    for number, column in data.draw(
        st.sets(st.tuples(st.integers(0, len(rows) - 1), st.integers(0, 4)), min_size=1, max_size=4)
    ):
        value, said = data.draw(st.sampled_from(WRONG[COLUMNS[column]]))
        rows[number][column] = value
        wrong.append((number, column, said))
    expected = []
    for number, column, said in sorted(wrong):
        before = table(*rows[:number], [*rows[number][:column], "HERE"]).partition("HERE")[0]
        expected.append((before.count("\n") + 1, len(before) - before.rfind("\n"), said))
    told = mistakes(shop(tmp_path, table(*rows)))
    assert len(told) == len(expected)
    for problem, (line, place, said) in zip(told, expected, strict=True):
        assert problem.startswith(f"p.csv:{line}:{place}: ")
        assert said in problem


def test_the_first_column_of_a_text_is_where_its_mistakes_are_told(tmp_path: Path) -> None:
    text = SHOP.replace("m/${row.file}.obj", "m/${row.file}.${row.video}")
    rows = table(["x", "X", "a", "studio", "film"], ["y", "Y", "b", "luxe", "obj"])
    assert mistakes(shop(tmp_path, rows, text)) == [
        "p.csv:2:5: the suffix of 'm/a.film' names no file type of the service (glb, gltf, usdz, usd, fbx, obj, step, stp, stl)",
        "p.csv:3:12: project 'y' names the render settings 'obj', which 'renderSettings' does not have",
    ]


def test_a_mistake_of_every_row_is_told_once_in_the_spec(tmp_path: Path) -> None:
    text = """\
catalogues:
  - rows: p.csv
    key: ${row.sku}
    model: {file: m/a.objj, fileType: "${row.tpye}"}
    project: {template: studoi, renders: [web, wbe]}
    projects: {x: {template: luxe, renders: {flim: {}}}, y: {template: "${row.title|slg}"}}
  - {rows: prod.csv, key: same, model: {file: m/c.obj}}
  - {rows: none.csv, key: "${row.x}", model: {file: m/a.obj}}
  - {rows: p.txt, key: "${row.x}", model: {file: m/a.obj}}
  - {rows: "https://shop.example/p.csv", key: "${row.x}", model: {file: m/a.obj}}
  - {rows: "m/{sku}.glb", key: "${row.sku}", model: {file: "${row.path}"}}
  - {rows: "${row.x}.csv", key: "${row.sku}", model: {file: m/a.obj}}
"""
    path = shop(
        tmp_path, table(["x", "X", "a", "studio", ""], columns=("sku", "title", "file", "type", "video")), HEAD + text
    )
    (tmp_path / "prod.csv").write_text("sku\nx\n")
    assert mistakes(path) == [
        "glossi.yaml:8:39: ${row.tpye}: p.csv has no column 'tpye'; did you mean 'type'?",
        "glossi.yaml:9:25: project 'KEY' names the template 'studoi', which 'templates' does not have; did you mean 'studio'?",
        "glossi.yaml:9:48: project 'KEY' names the render settings 'wbe', which 'renderSettings' does not have; did you mean 'web'?",
        "glossi.yaml:10:46: project 'KEY.x' names the render settings 'flim', which 'renderSettings' does not have; did you mean 'film'?",
        "glossi.yaml:10:72: ${row.title|slg}: unknown filter 'slg'; did you mean 'slug'?",
        "glossi.yaml:11:27: the key is the same in every row; name a column: ${row.NAME}",
        "glossi.yaml:12:12: there is no file none.csv",
        'glossi.yaml:13:12: rows must be a .csv, .jsonl or .ndjson file, or a pattern such as "models/{sku}.glb"',
        "glossi.yaml:14:12: rows must be files on this machine",
        "glossi.yaml:15:12: no file is like m/{sku}.glb",
        "glossi.yaml:16:12: ${row.…} is a value of a catalogue's row; it means nothing here",
    ]


@pytest.mark.parametrize(
    ("catalogue", "said"),
    [
        ("{rows: p.csv, key: '${row.sku}'}", "6:5: an item of this list needs the key 'model'"),
        ("{rows: p.csv, key: '', model: {file: m/a.obj}}", "6:24: 'key' must not be empty"),
        ("{rows: p.csv, key: 1, model: {file: m/a.obj}}", "6:24: 'key' must be text, not 1; unquoted, this is a number to YAML: quote it: \"1\""),
        ("{rows: p.csv, key: k, model: m}", "6:34: 'model' must be a mapping (key: value), not 'm'"),
        ("{rows: p.csv, key: '${row.sku}', model: {file: m/a.obj}, projcet: {}}", "6:62: unknown key 'projcet'; did you mean 'project'?"),
        ("{rows: p.csv, key: '${row.sku}', model: {file: m/a.obj}, project: {template: luxe, renders: web}}", "6:97: 'renders' must be a list or a mapping (key: value), not 'web'"),
        ("{rows: p.csv, key: '${row.sku}', model: {file: m/a.obj}, project: {template: luxe, renders: {web: 1}}}", "6:103: 'web' must be a mapping (key: value) or empty, not 1"),
        ("{rows: p.csv, key: '${row.sku}', model: {file: m/a.obj}, projects: {a/b: {template: luxe}}}", "6:73: the key 'a/b' is not well formed"),
        ("x", "6:5: an item of this list must be a mapping (key: value), not 'x'"),
    ],
)  # fmt: skip
def test_a_catalogue_of_the_wrong_shape_is_told_as_everything_else_is(
    tmp_path: Path, catalogue: str, said: str
) -> None:
    told = mistakes(shop(tmp_path, table(), f"{HEAD}catalogues:\n  - {catalogue}\n"))
    assert len(told) == 1
    assert told[0].startswith(f"glossi.yaml:{said}")


def test_a_key_that_is_defined_twice_is_told_with_both_places(tmp_path: Path) -> None:
    text = (
        SHOP
        + """\
  - {rows: more.jsonl, key: "${row.sku|lower}", model: {file: "m/a.obj"}, projects: {b: {template: studio}, c: {template: luxe}}}
models: {spelled: {file: m/a.obj}}
projects: {p.b: {models: [spelled], template: studio}}
"""
    )
    rows = ["first", "spelled", 'multi\nline"', "first", "a.b"]
    content = table(*([sku, "X", "a", "studio", ""] for sku in rows if "\n" not in sku))
    (tmp_path / "more.jsonl").write_text(
        "\n".join(json.dumps({"sku": sku}) for sku in ["FIRST", "other", "Other", "p", "a"]) + "\n"
    )
    assert mistakes(shop(tmp_path, content, text)) == [
        "p.csv:3:1: the key 'spelled' is already defined at " + f"{tmp_path}/glossi.yaml:11:10",
        "p.csv:4:1: the key 'first' is already defined at " + f"{tmp_path}/p.csv:2:1",
        "more.jsonl:1:9: the key 'first' is already defined at " + f"{tmp_path}/p.csv:2:1",
        "more.jsonl:3:9: the key 'other' is already defined at " + f"{tmp_path}/more.jsonl:2:9",
        "more.jsonl:4:9: the project 'p.b' is already defined at " + f"{tmp_path}/glossi.yaml:12:12",
        "more.jsonl:5:9: the project 'a.b' is already defined at " + f"{tmp_path}/p.csv:5:1",
    ]


def test_one_model_on_several_templates(tmp_path: Path) -> None:
    text = f"""{HEAD}
catalogues:
  - rows: "m/{{sku}}.obj"
    key: ${{row.sku|upper}}
    model: {{file: "${{row.path}}"}}
    project: {{template: studio}}
    projects:
      dark: {{template: luxe, renders: {{web: {{revision: 3}}}}}}
      film: {{template: studio, renders: [film]}}
"""
    spec = read_spec(shop(tmp_path, "", text), env={})
    assert [(key, one.models, one.template, [(r.settings, r.revision) for r in one.renders]) for key, one in spec.projects.items()] == [
        ("A", ("A",), "studio", []),
        ("A.dark", ("A",), "luxe", [("web", 3)]),
        ("A.film", ("A",), "studio", [("film", 1)]),
        ("B", ("B",), "studio", []),
        ("B.dark", ("B",), "luxe", [("web", 3)]),
        ("B.film", ("B",), "studio", [("film", 1)]),
    ]  # fmt: skip
    assert [(one.name, one.file, one.path) for one in spec.models.values()] == [
        (name, f"m/{name.lower()}.obj", tmp_path / f"m/{name.lower()}.obj") for name in "AB"
    ]
    first, second = spec.projects["A.dark"].renders, spec.projects["B.dark"].renders
    assert first is second, "what rows have in common is kept once"


def test_what_a_catalogue_makes_and_what_is_spelled_know_each_other(tmp_path: Path) -> None:
    text = SHOP + "models: {own: {file: m/a.obj}}\nprojects: {set: {models: [x, own, y], template: luxe}}\n"
    rows = [["x", "X", "a", "studio", ""], ["y", "Y", "b", "luxe", ""]]
    spec = read_spec(shop(tmp_path, table(*rows), text), env={})
    assert list(spec.models) == ["own", "x", "y"]
    assert list(spec.projects) == ["set", "x", "y"]
    assert spec.projects["set"].models == ("x", "own", "y")
    told = mistakes(shop(tmp_path, table(*rows), text.replace("[x, own, y]", "[x, zz]")))
    assert told == ["glossi.yaml:11:30: project 'set' names the model 'zz', which 'models' does not have"]


def test_rows_that_cannot_be_read_make_no_reference_wrong(tmp_path: Path) -> None:
    text = SHOP + "projects: {set: {models: [x, y], template: luxe}}\n"
    for rows, place in ((table(["x"]), "2:1"), (table() + 'x,"', "2:3"), ("sku\nx\n", None), ("", None)):
        told = mistakes(shop(tmp_path, rows, text))
        assert not any("names the model" in one for one in told)
        assert place is None or [one.partition(": ")[0] for one in told] == [f"p.csv:{place}"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("", ["p.csv: this file is empty (0 bytes)"]),
        ("sku,sku\n", ["p.csv:1:5: the header has the column 'sku' twice"]),
        ("sku;title;file;template;video\n", None),
    ],
)
def test_rows_that_are_no_table_are_told(tmp_path: Path, rows: str, said: list[str] | None) -> None:
    told = mistakes(shop(tmp_path, rows))
    if said is None:
        assert (
            told[0] == "glossi.yaml:7:10: ${row.sku}: p.csv separates its fields by ';'; CSV separates them by commas"
        )
    else:
        assert [one.partition(f"{tmp_path}/")[2] or one for one in told] == said


def test_a_catalogue_without_rows_makes_nothing(tmp_path: Path) -> None:
    spec = read_spec(shop(tmp_path, table()), env={})
    assert (spec.models, spec.projects) == ({}, {})


def test_after_a_hundred_mistakes_of_a_catalogue_the_others_are_counted(tmp_path: Path) -> None:
    rows = table(*([f"x{number}", "X", "none", "studoi", "flim"] for number in range(1000)))
    text = SHOP + '  - {rows: "m/{sku}.obj", key: "${row.sku}", model: {file: "${row.path}", fileType: "${row.sku}"}}\n'
    with pytest.raises(SpecError) as caught:
        read_spec(shop(tmp_path, rows, text), env={})
    told = [str(dataclasses.replace(one, file=Path(one.file).name)) for one in caught.value.problems]
    assert told[0] == "glossi.yaml:6:11: p.csv: 2,900 more problems are not listed"
    assert sum(one.startswith("p.csv:") for one in told) == 100
    assert told[-2:] == [
        "a.obj: the file type 'a' is none of glb, gltf, usdz, usd, fbx, obj, step, stp, stl",
        "b.obj: the file type 'b' is none of glb, gltf, usdz, usd, fbx, obj, step, stp, stl",
    ]
    assert str(caught.value).count("\n") == len(told) - 1


def test_a_problem_that_is_found_while_hashing_is_told_at_the_rows_field(tmp_path: Path) -> None:
    rows = [["x", "two\nlines", "a", "studio", ""], ["y", "Y", "gone", "luxe", ""], ["z", "Z", "b", "luxe", ""]]
    text = SHOP + "models: {own: {file: m/lantern.obj}}\n"
    path = shop(tmp_path, table(*rows), text)
    spec = read_spec(path, env={}, files=False)
    with pytest.raises(SpecError) as caught:
        hash_models(spec, {})
    told = [str(dataclasses.replace(one, file=Path(one.file).name)) for one in caught.value.problems]
    assert told == ["glossi.yaml:10:22: there is no file m/lantern.obj", "p.csv:4:5: there is no file m/gone.obj"]
    shop(tmp_path, table(*reversed(rows)), text)
    [problem] = locate(spec, [(("models", "y", "file"), "gone")])
    assert (problem.file, problem.line) == (str(tmp_path / "p.csv"), 0), "the rows have changed since"


def test_a_problem_with_a_file_that_a_pattern_found_is_told_of_the_file(tmp_path: Path) -> None:
    text = HEAD + 'catalogues: [{rows: "m/{sku}.obj", key: "${row.sku}", model: {file: "${row.path}"}}]\n'
    spec = read_spec(shop(tmp_path, "", text), env={}, files=False)
    (tmp_path / "m/b.obj").write_bytes(b"")
    with pytest.raises(SpecError) as caught:
        hash_models(spec, {})
    assert str(caught.value) == f"{tmp_path}/m/b.obj: m/b.obj is empty (0 bytes)"


def test_what_is_the_same_in_every_row_is_located_in_the_spec(tmp_path: Path) -> None:
    text = HEAD + 'catalogues: [{rows: p.csv, key: "${row.sku}", model: {file: m/gone.obj}}]\n'
    spec = read_spec(shop(tmp_path, "sku\nx\ny\n", text), env={}, files=False)
    with pytest.raises(SpecError) as caught:
        hash_models(spec, {})
    assert str(caught.value) == f"{tmp_path}/glossi.yaml:5:61: there is no file m/gone.obj"


def test_many_problems_found_while_hashing_are_counted_too(tmp_path: Path) -> None:
    rows = table(*([f"x{number}", "X", f"none{number}", "luxe", ""] for number in range(250)))
    spec = read_spec(shop(tmp_path, rows), env={}, files=False)
    with pytest.raises(SpecError) as caught:
        hash_models(spec, {})
    assert len(caught.value.problems) == 101
    assert str(caught.value.problems[0]).endswith("p.csv: 150 more problems are not listed")


def test_files_are_looked_at_only_when_they_are_asked_for(tmp_path: Path) -> None:
    path = shop(tmp_path, table(["x", "X", "gone", "luxe", ""]))
    assert list(read_spec(path, env={}, files=False).models) == ["x"]
    assert mistakes(path) == ["p.csv:2:5: there is no file m/gone.obj"]
    wrong = shop(tmp_path, table(["x", "X", "gone", "lux", ""]))
    assert len(mistakes(wrong, files=False)) == 2, "with other mistakes they are, so that all are told at once"


@given(st.sampled_from(["rows", "key", "file", "name", "template", "renders"]))
@fixtures
def test_no_message_tells_what_a_variable_stands_for(tmp_path: Path, place: str) -> None:
    secret = "s3cr3t-K7f9QxVw"
    fields = {
        "rows": "p.csv",
        "key": "${row.sku}",
        "file": "m/${row.file}.obj",
        "name": "${row.title}",
        "template": "${row.template}",
        "renders": "${row.video}",
    }
    fields[place] = "${env:KEY} " + fields[place]
    text = f"""{HEAD}catalogues:
  - rows: "{fields["rows"]}"
    key: "{fields["key"]}"
    model: {{name: "{fields["name"]}", file: "{fields["file"]}"}}
    project: {{template: "{fields["template"]}", renders: ["{fields["renders"]}"]}}
"""
    path = shop(tmp_path, table(["x", "", "gone", "studoi", "wbe"], ["y", "Y", "a.b", "studio", "web"]), text)
    assert secret not in "\n".join(mistakes(path, env={"KEY": secret}))


def test_a_variable_may_stand_beside_a_rows_value(tmp_path: Path) -> None:
    text = SHOP.replace("m/${row.file}.obj", "${var:folder}/${row.file|lower}.obj") + "variables: {folder: m}\n"
    spec = read_spec(shop(tmp_path, table(["x", "X", "A", "luxe", ""]), text), env={})
    assert spec.models["x"].path == tmp_path / "m/a.obj"
    assert spec.models["x"].file == "${var:folder}/a.obj", "as it is written, for messages and diffs"


def test_an_escaped_expression_is_text(tmp_path: Path) -> None:
    text = SHOP.replace('name: "${row.title}"', 'name: "$${row.title} ${row.title} %s {}"')
    spec = read_spec(shop(tmp_path, table(["x", "${row.sku}", "a", "luxe", ""]), text), env={})
    assert spec.models["x"].name == "${row.title} ${row.sku} %s {}"


def test_half_a_character_is_refused(tmp_path: Path) -> None:
    text = HEAD + 'catalogues: [{rows: p.jsonl, key: "${row.k}", model: {name: "${row.n}", file: "m/${row.f}.obj"}}]\n'
    rows = '{"k": "x", "n": "\\ud800", "f": "a"}\n{"k": "y", "n": "Y", "f": "\\udfff"}\n'
    told = mistakes(shop(tmp_path, rows, text, "p.jsonl"))
    assert [one.partition(": ")[0] for one in told] == ["p.jsonl:1:17", "p.jsonl:2:27"]


def test_a_missing_value_is_told_at_its_row_and_a_default_takes_its_place(tmp_path: Path) -> None:
    text = HEAD + 'catalogues: [{rows: p.jsonl, key: "${row.k}", model: {name: "${row.n}", file: m/a.obj}}]\n'
    rows = '{"k": "x", "n": "X"}\n{"k": "y"}\n'
    assert mistakes(shop(tmp_path, rows, text, "p.jsonl")) == [
        "p.jsonl:2:1: this row has no 'n'; write ${row.n|default:TEXT} where it may be missing"
    ]
    spec = read_spec(shop(tmp_path, rows, text.replace("row.n}", "row.n|default:No name}"), "p.jsonl"), env={})
    assert spec.models["y"].name == "No name"
    assert mistakes(shop(tmp_path, rows, text.replace("row.n}", "row.naem}"), "p.jsonl"))[0].startswith(
        "glossi.yaml:5:61: ${row.naem}: no row of "
    )


def test_the_fingerprint_covers_the_rows(tmp_path: Path) -> None:
    row = ["x", "X", "a", "luxe", ""]
    first = read_spec(shop(tmp_path, table(row)), env={}).fingerprint
    assert read_spec(shop(tmp_path, table(row)), env={}).fingerprint == first
    assert read_spec(shop(tmp_path, table(row) + "\n"), env={}).fingerprint != first
    text = HEAD + 'catalogues: [{rows: "m/{sku}.obj", key: "${row.sku}", model: {file: "${row.path}"}}]\n'
    found = read_spec(shop(tmp_path, "", text), env={}).fingerprint
    (tmp_path / "m/c.obj").write_text("o")
    assert read_spec(shop(tmp_path, "", text), env={}).fingerprint != found


def test_catalogues_of_several_files_are_one_list(tmp_path: Path) -> None:
    folder = tmp_path / "spec"
    folder.mkdir()
    shop(folder, table(["x", "X", "a", "luxe", ""]), SHOP)
    written(
        folder, 'catalogues: [{rows: "m/{sku}.obj", key: "${row.sku}", model: {file: "${row.path}"}}]\n', "more.yaml"
    )
    spec = read_spec(folder, env={})
    assert list(spec.models) == ["x", "a", "b"]
    (folder / "m/a.obj").unlink()
    assert mistakes(folder) == ["p.csv:2:5: there is no file m/a.obj; did you mean 'b.obj'?"]
    (folder / "more.yaml").write_text('catalogues: [{rows: p.csv, key: "${row.sk}", model: {file: m/b.obj}}]\n')
    assert any(one.startswith("more.yaml:1:33: ${row.sk}: ") for one in mistakes(folder))


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("{settings}/{name}.{ext}", "the files of render.x/web and render.y/web would meet: add {project}"),
        ("{model}/{name}.{ext}", "the files of render.x/web and render.x/film would meet: add {settings}"),
        ("{model}/{settings}/{name}.{ext}", None),
        ("{project}/{settings}/{name}.{ext}", None),
    ],
)
def test_files_of_generated_renders_must_not_meet_either(tmp_path: Path, path: str, problem: str | None) -> None:
    rows = table(["x", "X", "a", "luxe", "film"], ["y", "Y", "a", "luxe", ""])
    spec = shop(tmp_path, rows, f'{SHOP}downloads: {{to: out, path: "{path}"}}\n')
    if problem is None:
        assert read_spec(spec, env={}).downloads is not None
    else:
        assert mistakes(spec) == [f"glossi.yaml:10:28: {problem}"]


def test_generated_and_spelled_renders_must_not_meet(tmp_path: Path) -> None:
    text = (
        SHOP
        + 'projects: {set: {models: [x], template: luxe, renders: [web]}}\ndownloads: {to: out, path: "{model}/{settings}/{name}.{ext}"}\n'
    )
    assert mistakes(shop(tmp_path, table(["x", "X", "a", "luxe", ""]), text)) == [
        "glossi.yaml:11:28: the files of render.set/web and render.x/web would meet: add {project}"
    ]


SCHEMA = Draft202012Validator(load_schema("spec"))
junk = st.sampled_from(
    [None, 1, True, "", "x", "${row.a}", [], ["web"], {}, {"web": {"revision": 1}}, {"web": None}, {"a": 1}, [1]]
)
projects = st.fixed_dictionaries(
    {"template": st.one_of(st.just("studio"), junk)}, optional={"name": junk, "renders": junk, "x": junk}
)
catalogues = st.fixed_dictionaries(
    {"rows": st.just("p.csv"), "key": st.just("${row.a}"), "model": st.fixed_dictionaries({"file": st.just("a.obj")}, optional={"name": junk, "fileType": junk, "x": junk})},
    optional={"project": projects, "projects": st.dictionaries(st.sampled_from(["a", "b/c", ""]), projects), "x": junk},
)  # fmt: skip
sections = st.fixed_dictionaries(
    {"catalogues": st.one_of(junk, st.lists(st.one_of(catalogues, junk), max_size=2))},
    optional={"variables": st.one_of(junk, st.dictionaries(st.sampled_from(["a", "b-c", "1", "a b"]), junk)), "guard": st.one_of(junk, st.fixed_dictionaries({}, optional={"percent": st.integers(-1, 101), "existing": junk}))},
)  # fmt: skip


@given(sections)
@settings(max_examples=200, deadline=None)
def test_the_shape_is_what_the_published_schema_says(document: dict[str, Any]) -> None:
    document = {"version": 1, "workspace": "w", **document}
    parsed = parse(as_json(document).encode(), 0, "spec", lambda text: substitute(text, Variables({})))
    assert parsed.root is not None
    whole = Map()
    whole.put("", parsed.root, 0, 0)
    messages: list[str] = []
    spec_check()(whole, "", lambda container, key, message, at="value": messages.append(message))
    assert (not messages) == SCHEMA.is_valid(document), messages


@given(sections)
@fixtures
def test_no_shape_ends_in_anything_but_a_sentence(tmp_path: Path, document: dict[str, Any]) -> None:
    path = shop(tmp_path, "a\nx\n", as_json({"version": 1, "workspace": "w", **document}))
    try:
        read_spec(path, env={})
    except SpecError as error:
        assert error.problems


def test_what_the_documents_show_is_good(tmp_path: Path) -> None:
    for document in ("README.md", "examples/catalogue/README.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        for block in re.findall(r"```yaml\n(?:catalogues:\n)?(  - rows: .*?)```", text, re.DOTALL):
            (tmp_path / "m/studio").mkdir(parents=True, exist_ok=True)
            (tmp_path / "m/studio/x.glb").touch()
            (tmp_path / "products.jsonl").write_text('{"sku": "X", "files": {"glb": "x.glb"}}\n')
            rows = table(["x", "X", "x", "studio", ""])
            catalogue = block.replace("models/{", "m/{")
            path = shop(tmp_path, rows, f"{HEAD}variables: {{models: m}}\ncatalogues:\n{catalogue}", "products.csv")
            assert list(read_spec(path, env={}, files=False).models) == ["x"]


def test_the_examples_mistake_is_told_as_its_readme_says(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("state", "renders"))
    rows = tmp_path / "examples/catalogue/products.csv"
    rows.write_text(rows.read_text(encoding="utf-8").replace(",chair,studio", ",chiar,studio"), encoding="utf-8")
    [told] = mistakes(tmp_path / "examples/catalogue/glossi.yaml")
    assert f"`{told}`" in (ROOT / "examples/catalogue/README.md").read_text(encoding="utf-8")


def test_the_example_is_a_good_spec() -> None:
    spec = read_spec(ROOT / "examples/catalogue/glossi.yaml", env={})
    assert len(spec.models) == len(spec.projects) == 6
    assert {project.template for project in spec.projects.values()} == {"studio", "luxe"}
    assert sum(len(project.renders) for project in spec.projects.values()) == 7
