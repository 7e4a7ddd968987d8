"""Rows that are files: a pattern's named parts, in the order of the paths."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glossi_sync.spec.rows import ColumnName, Flaw, RowsError
from glossi_sync.spec.rows.glob_rows import GlobRows

words = st.from_regex(r"[A-Za-z0-9_é ][A-Za-z0-9_.é -]{0,5}", fullmatch=True)


def put(folder: Path, paths: Iterable[str]) -> None:
    """Empty files."""
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()


def rows(folder: Path, pattern: str) -> list[dict[str, str]]:
    """All rows of a pattern, by column."""
    found = GlobRows(pattern, pattern, folder, folder)
    columns = [name for name in ("path", "a", "b", "c") if found.refusal(ColumnName(name, False)) is None]
    listed = []
    for row in found.read([ColumnName(name, False) for name in columns]):
        assert not isinstance(row, Flaw), row
        listed.append(dict(zip(columns, row, strict=False)))
    return listed


def paths(folder: Path, pattern: str) -> list[str]:
    """The files that a pattern finds."""
    return [row["path"] for row in rows(folder, pattern)]


@given(st.sets(st.tuples(words, words), min_size=1, max_size=8))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_parts_are_what_the_folders_and_files_are_called(
    tmp_path_factory: pytest.TempPathFactory, parts: set[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("glob")
    put(folder, [f"models/{a}/x-{b}.glb" for a, b in parts])
    put(folder, ["models/x-stray.glb", "models/deep/er/x-y.glb", "models/deep/y.glb", "models/deep/x-y.glb.txt"])
    expected = sorted(
        ({"path": f"models/{a}/x-{b}.glb", "a": a, "b": b} for a, b in parts), key=lambda row: row["path"]
    )
    assert rows(folder, "models/{a}/x-{b}.glb") == expected


def test_of_several_parts_in_a_name_each_takes_as_little_as_it_can_from_the_left(tmp_path: Path) -> None:
    put(tmp_path, ["chair-oak-red.glb", "lamp-.glb", "-x.glb"])
    assert rows(tmp_path, "{a}-{b}.glb") == [{"path": "chair-oak-red.glb", "a": "chair", "b": "oak-red"}]


def test_a_part_that_is_named_again_stands_for_the_same(tmp_path: Path) -> None:
    put(tmp_path, ["lamp/lamp.glb", "chair/lamp.glb", "x/x-x.glb"])
    assert paths(tmp_path, "{a}/{a}.glb") == ["lamp/lamp.glb"]
    assert paths(tmp_path, "{a}/{a}-{a}.glb") == ["x/x-x.glb"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.glb", ["a.glb", "b[1].glb"]),
        ("?.glb", ["a.glb"]),
        ("b[1].gl*", ["b[1].glb"]),
        ("*/*.glb", ["m/c.glb"]),
        ("**/*.glb", ["a.glb", "b[1].glb", "m/c.glb", "m/n/d.glb"]),
        ("**/**/*.glb", ["a.glb", "b[1].glb", "m/c.glb", "m/n/d.glb"]),
        ("m/**/{a}.glb", ["m/c.glb", "m/n/d.glb"]),
        ("m/**/n/{a}.glb", ["m/n/d.glb"]),
        ("./m/../m/{a}.glb", ["./m/../m/c.glb"]),
        (".{a}.glb", [".hidden.glb"]),
        (".h/{a}.glb", [".h/e.glb"]),
        ("{a}/d.glb", []),
    ],
)
def test_wildcards_are_as_in_a_shell(tmp_path: Path, pattern: str, found: list[str]) -> None:
    put(tmp_path, ["a.glb", "b[1].glb", "m/c.glb", "m/n/d.glb", ".hidden.glb", ".h/e.glb", "m/.h/f.glb", "a.glb.bak"])
    (tmp_path / "folder.glb").mkdir()
    if found:
        assert paths(tmp_path, pattern) == found
    else:
        with pytest.raises(RowsError, match="no file is like"):
            GlobRows(pattern, pattern, tmp_path, tmp_path)


def test_an_absolute_pattern_begins_where_it_says(tmp_path: Path) -> None:
    put(tmp_path, ["m/a.glb"])
    assert rows(tmp_path / "elsewhere", f"{tmp_path}/m/{{a}}.glb") == [{"path": f"{tmp_path}/m/a.glb", "a": "a"}]


def test_links_are_followed_but_never_round_in_circles(tmp_path: Path) -> None:
    put(tmp_path, ["m/a.glb"])
    (tmp_path / "link").symlink_to("m")
    (tmp_path / "m" / "up").symlink_to("..")
    (tmp_path / "m" / "b.glb").symlink_to("a.glb")
    (tmp_path / "m" / "dead.glb").symlink_to("nowhere")
    assert paths(tmp_path, "{b}/{a}.glb") == ["link/a.glb", "link/b.glb", "m/a.glb", "m/b.glb"]
    assert paths(tmp_path, "**/{a}.glb") == ["m/a.glb", "m/b.glb"]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("models/{sku}.glb", "no file is like models/{sku}.glb"),
        ("modles/{sku}.glb", "no file is like modles/{sku}.glb: there is no folder modles; did you mean 'models'?"),
        ("models/x/{sku}.glb", "no file is like models/x/{sku}.glb: there is no folder models/x"),
        ("{sku}{b}.glb", "nothing stands between {b} and the part before it"),
        ("{a b}.glb", "a named part is like {sku}, unlike {a b}"),
        ("{}.glb", "a named part is like {sku}, unlike {}"),
        ("{path}.glb", "the part {path} is there already: it is the file itself"),
        ("{sku.glb", "the pattern has a { without its partner"),
        ("{sku}}.glb", "the pattern has a } without its partner"),
        ("models/a**/x.glb", "** stands for whole folders: a/**/b"),
        ("models/**", "** stands for whole folders: a/**/b"),
    ],
)
def test_a_pattern_that_finds_nothing_or_means_nothing_is_told(tmp_path: Path, pattern: str, said: str) -> None:
    (tmp_path / "models").mkdir()
    with pytest.raises(RowsError) as caught:
        GlobRows(pattern, pattern, tmp_path, tmp_path)
    assert [one.message for one in caught.value.problems] == [said]


def test_a_part_that_is_not_there_is_refused_with_what_is(tmp_path: Path) -> None:
    put(tmp_path, ["m/x.glb"])
    found = GlobRows("{template}/{sku}.glb", "{template}/{sku}.glb", tmp_path, tmp_path)
    assert found.refusal(ColumnName("sku", False)) is None
    assert (
        found.refusal(ColumnName("skuu", True))
        == "the pattern {template}/{sku}.glb has no part 'skuu'; did you mean 'sku'?"
    )
    assert (
        found.refusal(ColumnName("zzz", False))
        == "the pattern {template}/{sku}.glb has no part 'zzz'; it has path, template, sku"
    )


def test_a_name_that_is_not_utf8_is_told_of_its_file(tmp_path: Path) -> None:
    try:
        put(tmp_path, ["caf\udce9.glb", "tea.glb"])
    except OSError:
        pytest.skip("this file system has names in UTF-8 only")
    found = GlobRows("{a}.glb", "{a}.glb", tmp_path, Path("shop"))
    flaw, tea = found.read([ColumnName("a", False)])
    assert isinstance(flaw, Flaw)
    assert tea[0] == "tea"
    assert [str(one) for one in found.places([(0, flaw.where, flaw.message)])] == [
        "shop/caf\udce9.glb: this file's name is not UTF-8; rename it"
    ]
