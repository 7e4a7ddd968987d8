"""What a job's files are called (guide, Step 5: ``Front View - Default``, ``Front View - Oak``)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glossi_sync.studio.engines.naming import display_name, file_name, variant_labels


@pytest.mark.parametrize(
    ("models", "labels"),
    [
        ([("Chair", ())], [["Default"]]),
        ([("Chair", ("Oak", "Walnut"))], [["Oak", "Walnut"]]),
        ([("Chair", ("Oak", "Oak", " "))], [["Oak", "Oak (2)", "Variant 3"]]),
        ([("Chair", ()), ("Stool", ())], [["Chair"], ["Stool"]]),
        ([("Chair", ("Oak",)), ("Stool", ())], [["Chair, Oak"], ["Stool"]]),
        ([("Chair", ()), ("Chair", ())], [["Chair"], ["Chair (2)"]]),
        ([("", ()), ("Stool", ())], [["Model"], ["Stool"]]),
    ],
)
def test_every_look_has_a_label_of_its_own(models: list[tuple[str, tuple[str, ...]]], labels: list[list[str]]) -> None:
    assert variant_labels(models) == labels


def test_a_name_is_camera_and_look() -> None:
    assert display_name("Front View", "Oak") == "Front View - Oak"


def test_file_names_are_plain() -> None:
    taken: set[str] = set()
    assert file_name("Front View - Oak", "png", taken) == "front-view-oak.png"
    assert file_name("Front View / Oak", "png", taken) == "front-view-oak-2.png"
    assert file_name("Vue d'été", "png", taken) == "vue-d-ete.png"
    assert file_name("正面", "png", taken) == "render.png"
    assert file_name("../../etc/passwd", "png", taken) == "etc-passwd.png"


@given(st.lists(st.text(max_size=200), max_size=20))
def test_whatever_a_camera_is_called_its_file_can_be_written_anywhere(names: list[str]) -> None:
    taken: set[str] = set()
    files = [file_name(name, "png", taken) for name in names]
    assert len({file.casefold() for file in files}) == len(files)
    assert all(re.fullmatch(r"[a-z0-9-]{1,100}\.png", file) for file in files)
