"""Variables and filters: what stands for what, which of several givers counts, and what is said where nothing does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spec_documents import written

from glossi_sync.cli import main
from glossi_sync.spec import Given, Spec, SpecError, read_given, read_spec
from glossi_sync.spec.variables import Variables, substitute

HEAD = "version: 1\nworkspace: shop\n"
fixtures = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


def spec_of(folder: Path, text: str, **options: Any) -> Spec:
    """A spec of this text, after its head."""
    return read_spec(written(folder, HEAD + text), files=False, **{"env": {}, **options})


def refused(folder: Path, text: str, **options: Any) -> list[str]:
    """What is wrong with a spec of this text, each as ``line:column: message``."""
    with pytest.raises(SpecError) as caught:
        spec_of(folder, text, **options)
    return [f"{one.line}:{one.column}: {one.message}" for one in caught.value.problems]


def named(name: str) -> str:
    """A spec in which a text is a template's name, as YAML quotes it."""
    return f"templates: {{t: {{name: {json.dumps(name, ensure_ascii=False)}}}}}\n"


@pytest.mark.parametrize(
    ("value", "filters", "result"),
    [
        ("Desk Lamp", "lower", "desk lamp"),
        ("Desk Lamp", "upper", "DESK LAMP"),
        ("  Desk Lamp\t", "trim", "Desk Lamp"),
        ("Desk Lamp", "slug", "desk-lamp"),
        ("Ünder № 2: Crème brûlée!", "slug", "under-no-2-creme-brulee"),
        ("STRASSE Straße", "slug", "strasse-strasse"),
        ("--a__b..c--", "slug", "a-b-c"),
        ("日本", "slug", ""),
        ("", "default:none at all", "none at all"),
        ("x", "default:none", "x"),
        ("", "default:", ""),
        ("", "default:a:b", "a:b"),
        ("  ", "trim|default:Blank|upper", "BLANK"),
        ("日本", "slug|default:japan", "japan"),
        ("Desk Lamp", " lower | slug ", "desk-lamp"),
    ],
)  # fmt: skip
def test_filters_do_what_the_table_says(value: str, filters: str, result: str) -> None:
    text = substitute(f"<${{env:X|{filters}}}>", Variables({"X": value}))
    assert (text, text.problem) == (f"<{result}>", None)


@given(st.text(max_size=30))
def test_a_slug_is_fit_for_a_key_and_stays_what_it_is(value: str) -> None:
    slug = str(substitute("${env:X|slug}", Variables({"X": value})))
    if not slug.startswith("${"):  # where the text is none that an environment can hold
        assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert not slug.startswith("-")
        assert substitute("${env:X|slug}", Variables({"X": slug})) == slug


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("${env:X|lowr}", "${env:X|lowr}: unknown filter 'lowr'; did you mean 'lower'?"),
        ("${env:X|zzz}", "${env:X|zzz}: unknown filter 'zzz'; known: lower, upper, trim, slug, default:TEXT"),
        ("${env:X|}", "${env:X|}: unknown filter ''; known: lower, upper, trim, slug, default:TEXT"),
        ("${env:X|default}", "${env:X|default}: the filter 'default' needs a text: default:TEXT"),
        ("${env:X|lower:x}", "${env:X|lower:x}: the filter 'lower' takes no text"),
        ("${var:nme}", "the variable nme is not set; did you mean 'name'?"),
        ("${var:other}", "the variable other is not set: give it with --var other=VALUE, or a default in 'variables'"),
        ("${var:}", "${var:} is no variable: write ${env:NAME} or ${var:NAME}, or $${ where the characters themselves are meant"),
        ("${row.sku}", "${row.…} is a value of a catalogue's row; it means nothing here"),
        ("${row:sku}", "${row:sku} is no variable: write ${env:NAME} or ${var:NAME}, or $${ where the characters themselves are meant; did you mean ${row.sku}?"),
    ],
)  # fmt: skip
def test_what_stands_for_nothing_is_told_at_its_place(tmp_path: Path, expression: str, said: str) -> None:
    options = {"env": {"X": "x"}, "given": Given(files={"name": "n"})}
    assert refused(tmp_path, named(expression), **options) == [f"3:23: {said}"]


def test_a_row_is_meant_nowhere_but_in_a_catalogue_even_by_alias(tmp_path: Path) -> None:
    text = """\
catalogues:
  - rows: "*.obj"
    key: &key ${row.path|slug}
    model: {file: "${row.path}"}
templates: {t: {name: *key}}
"""
    (tmp_path / "a.obj").write_text("o")
    assert refused(tmp_path, text) == ["7:23: ${row.…} is a value of a catalogue's row; it means nothing here"]


@given(st.fixed_dictionaries({}, optional={"spec": texts, "file": texts, "option": texts}))
@fixtures
def test_an_option_beats_a_file_which_beats_the_spec(tmp_path: Path, givers: dict[str, str]) -> None:
    text = named("${var:brand|default:nobody}")
    if "spec" in givers:
        text += f"variables: {{brand: {json.dumps(givers['spec'].replace('${', '$${'), ensure_ascii=False)}}}\n"
    paths = []
    if "file" in givers:
        paths = [
            written(tmp_path, "brand: earlier"),
            written(tmp_path, json.dumps({"brand": givers["file"]}), "v.json"),
        ]
        paths[0] = paths[0].rename(tmp_path / "early.txt")
    options = ["brand=earlier", f"brand={givers['option']}"] if "option" in givers else []
    spec = spec_of(tmp_path, text, given=read_given(options, paths))
    first = next((givers[name] for name in ("option", "file", "spec") if name in givers), "nobody")
    assert spec.templates["t"].name == first


def test_defaults_count_wherever_in_the_spec_they_stand(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, named("${var:a}-${var:b}-${var:c}") + "variables: {a: x, b: 7, c: true}\n")
    assert spec.templates["t"].name == "x-7-true"
    written(tmp_path, HEAD + named("${var:a}"), "glossi.yaml")
    written(tmp_path, "variables: {a: from another file}\n", "more.yaml")
    assert read_spec(tmp_path, env={}).templates["t"].name == "from another file"


def test_a_default_may_name_the_environment_but_no_other_variable(tmp_path: Path) -> None:
    text = named("${var:a}") + "variables: {a: '${env:HOME}/x'}\n"
    assert spec_of(tmp_path, text, env={"HOME": "/home"}).templates["t"].name == "/home/x"
    assert refused(tmp_path, text) == ["4:16: the environment variable HOME is not set"]
    assert spec_of(tmp_path, text, given=Given({"a": "given"})).templates["t"].name == "given"
    other = named("${var:a}") + "variables: {b: x, a: '${var:b}'}\n"
    assert refused(tmp_path, other) == ["4:22: a variable's default may name the environment, but no other variable"]


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{a b: x}", "4:13: the key 'a b' is not well formed: it may hold letters, digits, '_' and '-', and starts with a letter or '_'"),
        ("{a: 1.5}", "4:16: 'a' must be text or a whole number or true or false, not 1.5; unquoted, this is a number to YAML: quote it: \"1.5\""),
        ("{a: [x]}", "4:16: 'a' must be text or a whole number or true or false, not a list"),
        ("{a: x, a: y}", "4:19: the key 'a' is already defined at {path}:4:13"),
        ("[a]", "4:12: 'variables' must be a mapping (key: value), not a list"),
    ],
)  # fmt: skip
def test_wrong_defaults_are_told_at_their_place_once(tmp_path: Path, section: str, said: str) -> None:
    use = named("${var:a|default:x}")
    assert refused(tmp_path, f"{use}variables: {section}\n") == [said.replace("{path}", str(tmp_path / "glossi.yaml"))]


@given(texts)
@fixtures
def test_what_a_variable_holds_is_not_looked_into(tmp_path: Path, value: str) -> None:
    tricky = f"${{env:SECRET}}{value}${{row.x}}$${{"
    spec = spec_of(tmp_path, named("${var:a}"), given=Given({"a": tricky}))
    assert spec.templates["t"].name == tricky


def test_a_file_of_variables_says_what_is_written_in_it(tmp_path: Path) -> None:
    yaml = written(tmp_path, "a: 1.10\nb: 007\nc: no\nd: 2024-01-02\ne: 12\nf: true\ng: '${x}'\n", "v.yaml")
    assert read_given([], [yaml]).files == {
        "a": "1.10",
        "b": "007",
        "c": "no",
        "d": "2024-01-02",
        "e": "12",
        "f": "true",
        "g": "${x}",
    }
    as_json = written(tmp_path, '{"a": 1.10, "b": "x", "c": false}', "v.json")
    assert read_given([], [as_json]).files == {"a": "1.10", "b": "x", "c": "false"}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("v.yaml", "a: x\nb: [1]\n", ":2:4: b must be text, a number, true or false"),
        ("v.yaml", "a:\n", ":1:3: a must be text, a number, true or false"),
        ("v.yaml", "a b: x\n", ":1:6: the variable 'a b' is not well formed: it may hold letters, digits, '_' and '-', and starts with a letter or '_'"),
        ("v.yaml", "- a\n", ":1:1: this file must be a mapping (key: value); a file of variables has lines like 'name: value'"),
        ("v.yaml", "", ":1:1: this file is empty; a file of variables has lines like 'name: value'"),
        ("v.yaml", "a: x\na: y\n", ":2:1: the key 'a' is already defined at {path}:1:1"),
        ("v.json", '{"a": }', ":1:7: this is not JSON: Expecting value"),
        ("v.json", "[]", ":1:1: a file of variables maps names to values"),
        ("v.json", '{"a": null}', ": a must be text, a number, true or false"),
        ("v.json", '{"a": "\\ud800"}', ": a must be text, a number, true or false"),
        ("none.yaml", None, ": the variables cannot be read: there is no such file"),
    ],
)  # fmt: skip
def test_a_wrong_file_of_variables_is_told_in_a_sentence(
    tmp_path: Path, name: str, text: str | None, said: str
) -> None:
    path = tmp_path / name if text is None else written(tmp_path, text, name)
    with pytest.raises(SpecError) as caught:
        read_given([], [path])
    assert [str(one) for one in caught.value.problems] == [f"{path}{said}".replace("{path}", str(path))]


def test_wrong_options_are_told_all_at_once(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read_given(["a", "1=x", "=y", "b=\udcff"], [])
    assert [str(one) for one in caught.value.problems] == [
        "--var: write --var NAME=VALUE, unlike 'a'",
        "--var: the variable '1' is not well formed: it may hold letters, digits, '_' and '-', and starts with a letter or '_'",
        "--var: the variable '' is not well formed: it may hold letters, digits, '_' and '-', and starts with a letter or '_'",
        "--var: the value of b holds bytes that are not UTF-8",
    ]


def test_an_option_that_the_spec_has_no_use_for_is_a_mistake_and_a_files_is_none(tmp_path: Path) -> None:
    text = named("${var:brand|default:x}") + "variables: {unused: y}\n"
    spec_of(tmp_path, text, given=Given({"brand": "a", "unused": "b"}, {"for-another-spec": "c"}))
    assert refused(tmp_path, text, given=Given({"brnad": "a"})) == [
        "0:0: the spec uses no variable brnad; did you mean 'brand'?"
    ]


def test_the_fingerprint_covers_what_variables_stand_for_and_tells_nothing_of_it(tmp_path: Path) -> None:
    text = named("${var:a} ${env:B}") + "service: {apiKey: '${env:KEY}'}\n"

    def fingerprint(a: str, b: str, key: str, **more: str) -> str:
        return spec_of(tmp_path, text, env={"B": b, "KEY": key, **more}, given=Given({"a": a})).fingerprint

    first = fingerprint("s3cret", "b", "k")
    assert first == fingerprint("s3cret", "b", "k", OTHER="x")
    assert len({first, fingerprint("other", "b", "k"), fingerprint("s3cret", "c", "k")}) == 3
    assert first == fingerprint("s3cret", "b", "another key")
    assert "s3cret" not in first


def test_every_command_that_reads_a_spec_takes_variables(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + named("${var:a}${var:b}"))
    more = written(tmp_path, "b: x\n", "more.txt")
    for command in (["validate"], ["state", "list"], ["history"]):
        words = [*command, "-f", str(path)]
        assert "the variable a is not set" in CliRunner().invoke(main, words).output
        done = CliRunner().invoke(main, [*words, "--var", "a=1", "--var-file", str(more)])
        assert done.exit_code == 0, done.output
        wrong = CliRunner().invoke(main, [*words, "--var", "a"])
        assert (wrong.exit_code, wrong.output) == (1, "--var: write --var NAME=VALUE, unlike 'a'\n")
    done = CliRunner().invoke(main, ["validate", "-f", str(path), "--var", "a=1"], env={"GLOSSI_VAR_FILE": str(more)})
    assert done.exit_code == 0, done.output
