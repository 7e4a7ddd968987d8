"""YAML as a spec may hold it: what is read, what is refused, and where it is said to stand."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from spec_documents import Document, as_block, as_json, documents

from glossi_sync.spec import yaml_values
from glossi_sync.spec.variables import Variables, substitute
from glossi_sync.spec.yaml_values import Map, Misread, Parsed, Seq, parse, read_plain, unpack


def read(content: str | bytes) -> Parsed:
    """A text as a file of its own."""
    raw = content.encode() if isinstance(content, str) else content
    return parse(raw, 0, "spec.yaml", lambda text: substitute(text, Variables({})))


def wrong(content: str | bytes) -> list[str]:
    """What is wrong with a text, as ``line:column: message``."""
    places = [(unpack(mark), message) for mark, message in read(content).problems]
    return [f"{place.line}:{place.column}: {message}" for place, message in places]


@given(documents(), st.sampled_from([as_block, as_json]))
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read(document: Document, spell: Any) -> None:
    parsed = read(spell(document))
    assert parsed.root == document
    assert not parsed.problems


@given(documents())
@settings(max_examples=20, deadline=None)
def test_pyyaml_without_libyaml_reads_the_same(document: Document) -> None:
    text = as_block(document)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml_values, "_LOADER", yaml.SafeLoader)
        slow = read(text)
    fast = read(text)
    assert slow.root == fast.root == document
    assert slow.root is not None
    assert fast.root is not None
    assert slow.root.marks == fast.root.marks


@given(documents())
@settings(max_examples=30, deadline=None)
def test_every_key_and_text_stands_where_it_is_said_to_stand(document: Document) -> None:
    text = as_block(document)
    lines = text.split("\n")

    def check(value: Any) -> None:
        places = [(mark, key) for key in value for mark in value.marks_of(key)[:1]] if isinstance(value, Map) else []
        places += list(zip(value.marks, value, strict=True)) if isinstance(value, Seq) else []
        for mark, expected in places:
            place = unpack(mark)
            if isinstance(expected, str):
                rest = lines[place.line - 1][place.column - 1 :]
                assert yaml.safe_load(rest.split(":")[0].removeprefix("? ")) == expected
        for part in value.values() if isinstance(value, Map) else value:
            if isinstance(part, Map | Seq):
                check(part)

    check(read(text).root)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "1:1: this file is empty; a spec starts with 'version: 1' and 'workspace: NAME'"),
        ("# nothing yet\n", "1:1: this file is empty; a spec starts with 'version: 1' and 'workspace: NAME'"),
        (
            "- a\n",
            "1:1: this file must be a mapping (key: value); a spec starts with 'version: 1' and 'workspace: NAME'",
        ),
        ("a: 1\n\tb: 2\n", "2:1: a tab cannot indent YAML; use spaces"),
        (b"a: 1\nb: \xff\n", "2:4: byte 0xff is not UTF-8; save the file as UTF-8"),
        ("a: é\nb: é".encode("latin-1"), "1:4: byte 0xe9 is not UTF-8; save the file as UTF-8"),
        ("a: 1\n".encode("utf-16"), "1:1: this file is UTF-16; save it as UTF-8"),
        ("a: 'b\x07'\n", "1:6: the control character U+0007 may not stand in YAML; delete it"),
        ("a: 1\n---\nb: 2\n", "2:1: a second document starts here; a spec file holds one (use a folder of files)"),
        ("a: 1\na: 2\n", "2:1: the key 'a' is already defined at spec.yaml:1:1"),
        ("x: {k: 1, 'k': 2}\n", "1:11: the key 'k' is already defined at spec.yaml:1:5"),
        ("a: *b\n", "1:4: no anchor &b stands before the alias *b"),
        ("a: &a [*a]\n", "1:8: no anchor &a stands before the alias *a"),
        ("<<: 1\n", "1:5: << merges a mapping, or a list of mappings, by alias: <<: *name"),
        ("a: !secret b\n", "1:4: the tag !secret has no meaning in a spec; leave it out"),
        ("a: !!set {b}\n", "1:4: the tag !!set has no meaning in a spec; leave it out"),
        ("? [a, b]\n: 1\n", "1:3: a key must be text; a text that starts with { or [ must be quoted"),
        ("[" * 100, "1:33: this is nested more than 32 levels deep"),
        ("on: 1\n", '1:1: the key on is true or false to YAML, not text; quote it: "on"'),
        ("a: {NO: 1}\n", '1:5: the key NO is true or false to YAML, not text; quote it: "NO"'),
        ("1.0: 1\n", '1:1: the key 1.0 is a number to YAML, not text; quote it: "1.0"'),
        ("00123: 1\n", '1:1: the key 00123 is a number to YAML, not text; quote it: "00123"'),
        ("2024-01-01: 1\n", '1:1: the key 2024-01-01 is a date to YAML, not text; quote it: "2024-01-01"'),
        ("~: 1\n", '1:1: the key ~ is nothing to YAML, not text; quote it: "~"'),
    ],
)
def test_what_no_spec_may_hold_is_refused_at_its_place(content: str | bytes, said: str) -> None:
    assert wrong(content) == [said]


@pytest.mark.parametrize(
    ("content", "at", "hint"),
    [
        ("a: b: c\n", "1:5", "a text with ': ' in it must be quoted"),
        ("a: @b\n", "1:4", "a text that starts with @ must be quoted"),
        ("a: {b: ${env:X}}\n", "1:9", "inside { } or [ ] a text with ${…} must be quoted"),
        ("a: [1, 2\n", "2:1", ""),
    ],
)
def test_broken_yaml_is_told_with_its_place_and_a_way_out(content: str, at: str, hint: str) -> None:
    (said,) = wrong(content)
    assert said.startswith(f"{at}: this is not YAML: ")
    assert hint in said


@pytest.mark.parametrize(
    ("text", "value"),
    [("", None), ("~", None), ("null", None), ("true", True), ("False", False), ("0", 0), ("-7", -7), ("12", 12)]
    + [(text, text) for text in ("lamp", "-a", "1a", "v1.0", "n", "y", "nope", "1-2", "2024-01", "a.b", ".hidden", "+")],
)  # fmt: skip
def test_plain_scalars_that_all_readers_agree_on(text: str, value: Any) -> None:
    assert read_plain(text) == value
    assert type(read_plain(text)) is type(value)


@pytest.mark.parametrize("text", ["no", "Yes", "ON", "1.0", "1_000", "0x1F", "0o17", "017", "1:30", "1e3", ".inf", "="])
def test_plain_scalars_that_readers_differ_on_fit_no_field(text: str) -> None:
    assert isinstance(read_plain(text), Misread)


@given(st.text("0123456789abcefxnoys.-+_:~=TN", max_size=6))
@settings(max_examples=500)
def test_no_scalar_that_pyyaml_takes_for_something_else_passes_as_text(text: str) -> None:
    node = yaml.SafeLoader("").resolve(yaml.ScalarNode, text, (True, False))
    if node != "tag:yaml.org,2002:str" and text != "<<":
        assert not isinstance(read_plain(text), str)


def test_quotes_make_anything_text() -> None:
    assert read("""{a: "no", b: '1.0', c: !!str 12, "on": "2024-01-01"}""").root == {
        "a": "no", "b": "1.0", "c": "12", "on": "2024-01-01",
    }  # fmt: skip


def test_aliases_and_merge_keys_stand_for_what_they_name() -> None:
    parsed = read(
        "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: *a\nd:\n  <<: [{z: 4, y: 5}, *a]\nk: &k lamp\nl: [*k, *k]\n*k : 1\n"
    )
    assert parsed.problems == []
    assert parsed.root == {
        "a": {"x": 1, "y": 2},
        "b": {"y": 3, "x": 1},
        "c": {"x": 1, "y": 2},
        "d": {"z": 4, "y": 5, "x": 1},
        "k": "lamp",
        "l": ["lamp", "lamp"],
        "lamp": 1,
    }
    assert unpack(parsed.root["b"].marks_of("x")[0])[1:] == (1, 8), "a merged key stands where it was written"


def test_a_billion_laughs_are_refused_quickly() -> None:
    lines = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    lines += [
        f"{name}: &{name} [{','.join(['*' + before] * 9)}]" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    (said,) = wrong("\n".join(lines))
    assert said.endswith("stand for far more than is written; write it out")


def test_a_byte_order_mark_is_no_mistake() -> None:
    assert read("\ufeffversion: 1\n").root == {"version": 1}


@given(st.binary(max_size=60))
@settings(max_examples=300)
def test_any_bytes_are_read_or_refused_and_never_crash(content: bytes) -> None:
    parsed = read(content)
    assert parsed.root is not None or parsed.problems


@given(st.text("ab:-[]{}&*!|>'\"%@`#,? \n\t<~$", max_size=40))
@settings(max_examples=500)
def test_any_punctuation_is_read_or_refused_and_never_crashes(content: str) -> None:
    parsed = read(content)
    assert parsed.root is not None or parsed.problems
