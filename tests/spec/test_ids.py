"""A file of ids: a CSV whose first row names the columns; what is wrong with it has a place."""

from __future__ import annotations

from pathlib import Path

import pytest

from glossi_sync.spec import SpecError
from glossi_sync.spec.ids import GivenId, IdsFile


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path("ids.csv")


def test_other_columns_and_spaces_do_not_matter(file: Path) -> None:
    file.write_bytes(b'\xef\xbb\xbfnote,id, address\r\n"a, b",i1 ,model.lamp\r\n\r\n,i2, model.cup\r\n')
    assert IdsFile(file).ids == (GivenId("model.lamp", "i1", 0), GivenId("model.cup", "i2", 1))


def test_a_complaint_is_told_at_its_field(file: Path) -> None:
    file.write_text('note,address,id\n"a\nb",model.lamp,i1\nc,model.cup,i2\n')
    error = IdsFile(file).complain([(1, "id", "not known"), (0, "address", "no such thing")])
    assert str(error) == "ids.csv:3:4: no such thing\nids.csv:4:13: not known"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("adress,id\n", "ids.csv:1:1: ids.csv has no column 'address'; did you mean 'adress'?"),
        ("address;id\n", "ids.csv:1:1: ids.csv separates its fields by ';'; CSV separates them by commas"),
        ("address,id\nmodel.lamp\n", "ids.csv:2:1: this row has 1 field, the header 2"),
        ('address,id\nmodel.lamp,"x\n', "ids.csv:2:12: this field's quotes are never closed"),
        ("", "ids.csv: this file is empty"),
    ],
)
def test_a_file_that_is_no_list_of_ids_is_refused(file: Path, text: str, sentence: str) -> None:
    file.write_text(text)
    with pytest.raises(SpecError) as refused:
        IdsFile(file)
    assert str(refused.value).splitlines()[0].startswith(sentence)


def test_a_file_that_is_not_there_is_told_of(file: Path) -> None:
    with pytest.raises(SpecError, match=r"ids\.csv: this file cannot be read: No such file"):
        IdsFile(file)
