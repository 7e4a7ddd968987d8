"""Rows of a CSV file: every value comes out as it went in, and every place is where it is said to be."""

from __future__ import annotations

import csv
import io
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from glossi_sync.spec.rows import ColumnName, Flaw, RowsError
from glossi_sync.spec.rows.csv_rows import CsvRows

# What CSV is about, often; and any other character, now and then.
values = st.text(st.one_of(st.sampled_from("\",\n\r;\t 'a"), st.characters(exclude_categories=["Cs"])), max_size=8)
titles = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6).map(str.strip).filter(bool),
    min_size=1,
    max_size=5,
    unique=True,
)
endings = st.sampled_from(["\n", "\r\n", "\r"])


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    """A header, and rows of as many values."""
    header = draw(titles)
    return header, draw(st.lists(st.lists(values, min_size=len(header), max_size=len(header)), max_size=6))


def read(rows: CsvRows, header: list[str]) -> list[list[str]]:
    """All rows, which must be good."""
    found = []
    for row in rows.read([ColumnName(title, False) for title in header]):
        assert not isinstance(row, Flaw), row
        found.append(list(row)[: len(header)])
    return found


# Python's writer leaves a lone carriage return without quotes, unless lines end with one.
@given(
    tables(),
    st.sampled_from([("\r\n", csv.QUOTE_MINIMAL), ("\n", csv.QUOTE_ALL), ("\r", csv.QUOTE_ALL)]),
    st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_rows_are_read_as_they_were_written(
    table: tuple[list[str], list[list[str]]], dialect: tuple[str, int], bom: bool
) -> None:
    header, body = table
    ending, quoting = dialect
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=ending, quoting=quoting).writerows([header, *body])
    rows = CsvRows("p.csv", text.getvalue().encode("utf-8-sig" if bom else "utf-8"))
    assert read(rows, header) == body
    assert read(rows, header) == body, "and a second time"


class Spelled(NamedTuple):
    """A CSV text with the place of each field, worked out while it was written."""

    text: str
    places: list[list[tuple[int, int]]]


def spell(records: list[list[str]], quoted: list[list[bool]], ending: str, blanks: list[int]) -> Spelled:
    """Spell records; a field that needs quotes gets them, others may. Blank lines stand before some records."""
    text, places, line, column = "", [], 1, 1
    for number, record in enumerate(records):
        for _ in range(blanks[number]):
            text, line = text + ending, line + 1
        places.append([])
        for index, value in enumerate(record):
            needs = any(sign in value for sign in '",\r\n') or (len(record) == 1 and not value)
            field = '"' + value.replace('"', '""') + '"' if needs or quoted[number][index] else value
            places[-1].append((line, column))
            for at, character in enumerate(field):
                if character == "\n" or (character == "\r" and field[at + 1 : at + 2] != "\n"):
                    line, column = line + 1, 1
                else:
                    column += 1
            text, column = text + field + ",", column + 1
        text, line, column = text[:-1] + ending, line + 1, 1
    return Spelled(text, places)


@given(tables(), endings, st.data())
@settings(max_examples=200, deadline=None)
def test_every_field_stands_where_it_is_said_to_stand(
    table: tuple[list[str], list[list[str]]], ending: str, data: st.DataObject
) -> None:
    header, body = table
    records = [header, *body]
    flags = [[data.draw(st.booleans()) for _ in record] for record in records]
    blanks = [data.draw(st.integers(0, 2)) for _ in records]
    text, places = spell(records, flags, ending, blanks)
    rows = CsvRows("p.csv", text.encode())
    assert read(rows, header) == body
    wanted = [(row, title, f"{row}/{title}") for row in range(len(body)) for title in header]
    wanted = data.draw(st.permutations(wanted))
    for problem, (row, title, message) in zip(rows.places(wanted), wanted, strict=True):
        place = places[row + 1][header.index(title)]
        assert (problem.file, problem.line, problem.column, problem.message) == ("p.csv", *place, message)


@given(st.text(st.sampled_from('a",\n\r '), max_size=20))
@settings(max_examples=500, deadline=None)
@example('"a""')
@example('a\n"b" ,c')
@example('a,b\n"x\ry"\r"z",')
def test_the_scanner_and_the_reader_agree_on_any_text(text: str) -> None:
    """What the reader reads has its place, and where the reader breaks off, the scanner says where."""
    text = f"a,b\n{text}"
    try:
        rows = CsvRows("p.csv", text.encode())
    except RowsError:
        pytest.fail("the header is good")
    read_rows = list(rows.read([ColumnName("a", False), ColumnName("b", False)]))
    for number, row in enumerate(read_rows):
        if isinstance(row, Flaw) and row.fatal:
            with pytest.raises(csv.Error):
                list(csv.reader(io.StringIO(text, newline=""), strict=True))
            assert number == len(read_rows) - 1
        where = row.where if isinstance(row, Flaw) else "b"
        [problem] = rows.places([(number, where, "")])
        line = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[problem.line - 1]
        assert 1 <= problem.column <= len(line) + 1
        if not isinstance(row, Flaw):
            field = line[problem.column - 1 :]
            first_line = row[1].replace('"', '""').partition("\r")[0].partition("\n")[0]
            assert field[1:].startswith(first_line) if field.startswith('"') else field.partition(",")[0] == row[1]


def opened(content: str | bytes) -> str:
    """What is wrong with a CSV file, that cannot be read at all."""
    with pytest.raises(RowsError) as caught:
        CsvRows("p.csv", content if isinstance(content, bytes) else content.encode())
    return "\n".join(map(str, caught.value.problems))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "p.csv: this file is empty (0 bytes)"),
        ("\ufeff", "p.csv: this file is empty; a CSV file's first row names its columns"),
        ("\n\r\n", "p.csv: this file is empty; a CSV file's first row names its columns"),
        ("a,b,a,c,b\n", "p.csv:1:5: the header has the column 'a' twice\np.csv:1:9: the header has the column 'b' twice"),
        ('a," a"\n', "p.csv:1:3: the header has the column 'a' twice"),
        ("sku,title\nx,Théière\n".encode("latin-1"), "p.csv:2:5: byte 0xe9 is not UTF-8; save the file as UTF-8"),
        ("\ufeffé\r\nü,ü,".encode() + b"\xff", "p.csv:2:5: byte 0xff is not UTF-8; save the file as UTF-8"),
        ("a,b\n".encode("utf-16"), "p.csv:1:1: this file is UTF-16; save it as UTF-8"),
        ('a,"b\nx,y\n', "p.csv:1:3: this field's quotes are never closed, or text follows them; a quote inside of a quoted field is doubled"),
    ],
)  # fmt: skip
def test_a_file_without_a_usable_header_is_refused_at_the_place(content: str | bytes, said: str) -> None:
    assert opened(content) == said


def flaws(text: str, *titles: str) -> list[str]:
    """What is wrong with the rows of a CSV text."""
    rows = CsvRows("p.csv", text.encode())
    found = []
    for number, row in enumerate(rows.read([ColumnName(title, False) for title in titles])):
        if isinstance(row, Flaw):
            found += rows.places([(number, row.where, row.message)])
    return list(map(str, found))


def test_a_row_with_more_or_fewer_fields_is_told_where_they_go_wrong_and_the_others_are_read() -> None:
    text = 'a,b\n1,2\n"3\n3",4,5\n6\n\n7,8\n,\n9,,,\n'
    assert flaws(text, "a") == [
        "p.csv:4:6: this row has 3 fields, the header 2",
        "p.csv:5:1: this row has 1 field, the header 2",
        "p.csv:9:4: this row has 4 fields, the header 2",
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [('a,b\n1,2\n3,"4\n5,6\n', "3:3"), ('a,b\n"1" ,2\n', "2:1"), ('a,b\n"x\ny",""z"\n', "3:4")],
)
def test_broken_quoting_is_told_at_the_field_that_breaks_it(text: str, place: str) -> None:
    [flaw] = flaws(text, "a")
    assert flaw.startswith(f"p.csv:{place}: this field's quotes are never closed, or text follows them")


def test_a_header_alone_has_no_rows() -> None:
    for text in ("a,b", "a,b\n", "\ufeffa,b\r\n\r\n"):
        assert list(CsvRows("p.csv", text.encode()).read([ColumnName("b", False)])) == []


def test_a_quote_inside_of_an_unquoted_field_is_a_quote() -> None:
    assert read(CsvRows("p.csv", b'a,b\n5" pipe, "x"\n'), ["a", "b"]) == [['5" pipe', ' "x"']]


def test_a_field_may_be_as_long_as_it_likes() -> None:
    huge = 'x",\n' * 1_000_000
    text = f'a,b\n1,"{huge.replace(chr(34), chr(34) * 2)}"\n2,3\n'
    rows = CsvRows("p.csv", text.encode())
    assert read(rows, ["b"]) == [[huge], ["3"]]
    [problem] = rows.places([(1, "b", "")])
    assert (problem.line, problem.column) == (1_000_003, 3)


@pytest.mark.parametrize(
    ("header", "column", "said"),
    [
        ("sku,title", "titel", "p.csv has no column 'titel'; did you mean 'title'?"),
        ("sku,title", "zzz", "p.csv has no column 'zzz'; it has sku, title"),
        ("sku;title", "sku", "p.csv separates its fields by ';'; CSV separates them by commas"),
        ("sku\ttitle", "sku", "p.csv separates its fields by tabs; CSV separates them by commas"),
        ("sku,,", "", "p.csv has no column ''; it has sku"),
    ],
)
def test_a_column_that_is_not_there_is_refused_with_what_is(header: str, column: str, said: str) -> None:
    rows = CsvRows("p.csv", header.encode())
    assert rows.refusal(ColumnName(column, True)) == said
    assert rows.refusal(ColumnName("sku", False)) is None or ";" in said
