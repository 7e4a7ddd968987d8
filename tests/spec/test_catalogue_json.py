"""Rows of a JSON Lines file: values come out as the text that stands in the file, each with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glossi_sync.spec.rows import ColumnName, Flaw, RowsError
from glossi_sync.spec.rows.json_rows import JsonRows

names = st.sampled_from(["sku", "title", "größe", "a b", "x"])
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = st.one_of(texts, st.integers(-(10**30), 10**30), st.booleans())
others = st.one_of(scalars, st.none(), st.lists(scalars, max_size=2), st.dictionaries(texts, scalars, max_size=2))


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """An object with values of all kinds, and one inside of it."""
    document = draw(st.dictionaries(names, others, max_size=4))
    document["size"] = draw(st.dictionaries(names, scalars, max_size=3))
    return document


def as_text(value: Any) -> str:
    """A value as a row has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def flat(document: dict[str, Any]) -> dict[str, str]:
    """The values that a row may name, by the names that it has for them."""
    found = {name: as_text(one) for name, one in document.items() if isinstance(one, str | int)}
    return {**found, **{f"size.{name}": as_text(one) for name, one in document["size"].items()}}


@given(st.lists(documents(), min_size=1, max_size=5), st.data())
@settings(max_examples=200, deadline=None)
def test_every_value_is_read_and_stands_where_it_is_said_to_stand(
    rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    lines, numbers = [], []
    for row in rows:
        lines += [" \t"] * data.draw(st.integers(0, 1))
        separators = data.draw(st.sampled_from([(",", ":"), (" ,\t", " :  "), (", ", ": ")]))
        indent = " " * data.draw(st.integers(0, 2))
        numbers.append(len(lines) + 1)
        lines.append(indent + json.dumps(row, ensure_ascii=data.draw(st.booleans()), separators=separators))
    ending = data.draw(st.sampled_from(["\n", "\r\n"]))
    bom = data.draw(st.sampled_from(["", "\ufeff"]))
    jsonl = JsonRows("p.jsonl", (bom + ending.join(lines)).encode())
    for name in {name for row in rows for name in flat(row)}:
        for number, (row, found) in enumerate(zip(rows, jsonl.read([ColumnName(name, True)]), strict=True)):
            expected = flat(row).get(name)
            [problem] = jsonl.places([(number, name, "m")])
            line = lines[numbers[number] - 1]
            assert problem.line == numbers[number]
            if expected is None:
                assert isinstance(found, Flaw) or found == ("",)
                continue
            assert found == (expected,)
            value, _ = json.JSONDecoder().raw_decode(line, problem.column - 1)
            assert as_text(value) == expected
            before = line[: problem.column - 1].rstrip()
            assert before.endswith(":")
            key = name.rpartition(".")[2]
            assert before[:-1].rstrip().endswith((json.dumps(key), json.dumps(key, ensure_ascii=False)))


def told(text: str, name: str, *, optional: bool = False) -> list[str]:
    """What is wrong with the rows of a text, of which one column is asked for."""
    rows = JsonRows("p.jsonl", text.encode())
    found = []
    for number, row in enumerate(rows.read([ColumnName(name, optional)])):
        if isinstance(row, Flaw):
            found += rows.places([(number, row.where, row.message)])
    return list(map(str, found))


def read(text: str, name: str, *, optional: bool = False) -> list[str]:
    """One column of rows that are good."""
    assert told(text, name, optional=optional) == []
    return [row[0] for row in JsonRows("p.jsonl", text.encode()).read([ColumnName(name, optional)])]


def test_a_number_is_the_text_that_stands_in_the_file() -> None:
    lines = ["1.10", "-0", "1e3", "123456789012345678901234567890", "true", "false", '"007"']
    assert read("\n".join(f'{{"a": {line}}}' for line in lines), "a") == [*lines[:-1], "007"]


def test_of_two_values_of_a_name_the_last_is_read_and_placed() -> None:
    text = '{"a": "first", "a": {"b": 1}, "a": {"b": 2, "b": [3]}}'
    assert told(text, "a.b") == [f"p.jsonl:1:{text.index('[') + 1}: 'a.b' must be text, a number, true or false"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"a": }', "2:7: this is not JSON: Expecting value"),
        ('{"a": 1} x', "2:10: this is not JSON: Extra data"),
        ('{"a": 1', "2:8: this is not JSON: Expecting ',' delimiter"),
        ('{"a": NaN}', "2:1: this is not JSON: NaN is no value of JSON"),
        ('[{"a": 1}]', "2:1: a row is an object: {…}"),
        ('  "a"', "2:3: a row is an object: {…}"),
        ('{"aa": 1}', "2:1: this row has no 'a'; did you mean 'aa'?"),
        ('{"other": 1}', "2:1: this row has no 'a'; write ${row.a|default:TEXT} where it may be missing"),
        ('{"b": 0, "a": null}', "2:15: 'a' is null; write ${row.a|default:TEXT} where it may be"),
        ('{"b": 0, "a": [1]}', "2:15: 'a' must be text, a number, true or false"),
        ('{"b": 0, "a": {}}', "2:15: 'a' must be text, a number, true or false"),
        ('{"a": ' + "[" * 100_000, "2:1: this is not JSON: it is nested too deeply"),
    ],
)
def test_a_line_that_is_no_row_is_told_and_the_others_are_read(line: str, said: str) -> None:
    text = f'{{"a": "x"}}\n{line}\n\n{{"a": "y"}}'
    assert told(text, "a") == [f"p.jsonl:{said}"]


def test_a_missing_value_is_empty_where_there_is_a_default() -> None:
    text = '{"a": "x"}\n{"b": 1}\n{"a": null}\n{"a": {"b": 1}}'
    assert told(text, "a", optional=True) == ["p.jsonl:4:7: 'a' must be text, a number, true or false"]
    assert read(text.rsplit("\n", 1)[0], "a", optional=True) == ["x", "", ""]
    assert read(text, "a.b", optional=True) == ["", "", "", "1"]


def test_a_column_that_no_row_has_is_refused_with_what_they_have() -> None:
    rows = JsonRows("p.jsonl", b'{"sku": 1, "size": {"height": 2}}\n{"sku": 1, "title": "x"}\nbroken\n[]\n')
    for good in ("sku", "title", "size.height"):
        assert rows.refusal(ColumnName(good, False)) is None
    for column, said in {
        "titel": "no row of p.jsonl has 'titel'; did you mean 'title'?",
        "size.heigt": "no row of p.jsonl has 'size.heigt'; did you mean 'size.height'?",
        "zzz": "no row of p.jsonl has 'zzz'; there are sku, size.height, title",
    }.items():
        assert rows.refusal(ColumnName(column, False)) == said
        assert rows.refusal(ColumnName(column, True)) is None


def test_only_a_line_feed_ends_a_row() -> None:
    assert read('{"a": "x\u2028y\u0085z"}\n{"a": "w"}', "a") == ["x\u2028y\u0085z", "w"]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "p.jsonl: this file is empty (0 bytes)"), (b'{}\n{"a": "\xe9"}', "p.jsonl:2:8: byte 0xe9 is not UTF-8; save the file as UTF-8")],
)  # fmt: skip
def test_a_file_that_is_empty_or_not_utf8_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(RowsError) as caught:
        JsonRows("p.jsonl", content)
    assert str(caught.value.problems[0]) == said


def test_blank_lines_alone_are_no_rows() -> None:
    assert read("\n \n", "a") == []
