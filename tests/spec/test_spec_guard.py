"""How much a plan may take away is the spec's to say, within bounds."""

from __future__ import annotations

from pathlib import Path

import pytest
from spec_documents import written

from glossi_sync.schema_files import load_schema
from glossi_sync.spec import Guard, SpecError, read_spec

HEAD = "version: 1\nworkspace: shop\n"


@pytest.mark.parametrize(
    ("text", "guard"),
    [
        ("", Guard(30, 10)),
        ("guard: {}", Guard(30, 10)),
        ("guard: {percent: 0}", Guard(0, 10)),
        ("guard: {existing: 0, percent: 100}", Guard(100, 0)),
    ],
)
def test_the_guard_is_what_the_spec_says(tmp_path: Path, text: str, guard: Guard) -> None:
    assert read_spec(written(tmp_path, HEAD + text), env={}).guard == guard


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("guard: {percent: 101}", "3:18: 'percent' must be a whole number from 0 to 100, not 101"),
        ("guard: {percent: -1}", "3:18: 'percent' must be a whole number from 0 to 100, not -1"),
        ("guard: {existing: -1}", "3:19: 'existing' must be a whole number at least 0, not -1"),
        ("guard: {percent: half}", "3:18: 'percent' must be a whole number, not 'half'"),
        ("guard: {percnt: 1}", "3:9: unknown key 'percnt'; did you mean 'percent'?"),
    ],
)
def test_a_guard_out_of_bounds_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, HEAD + text)
    with pytest.raises(SpecError) as caught:
        read_spec(path, env={})
    assert [str(problem) for problem in caught.value.problems] == [f"{path}:{said}"]


def test_the_schema_tells_the_guards_defaults() -> None:
    fields = load_schema("spec")["properties"]["guard"]["properties"]
    assert Guard(**{name: field["default"] for name, field in fields.items()}) == Guard()


def test_files_of_a_folder_agree_on_the_guard(tmp_path: Path) -> None:
    written(tmp_path, f"{HEAD}guard: {{percent: 5}}\n", "a.yaml")
    written(tmp_path, "guard: {percent: 5, existing: 7}\n", "b.yaml")
    assert read_spec(tmp_path, env={}).guard == Guard(5, 7)
    written(tmp_path, "guard: {percent: 6}\n", "c.yaml")
    with pytest.raises(SpecError, match="guard.percent is already defined at"):
        read_spec(tmp_path, env={})
