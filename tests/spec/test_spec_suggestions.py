"""Near misses: a slip of the finger is told what was probably meant, and what is far from everything is told nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from spec_documents import Document, as_block, documents, written

from glossi_sync.spec import SpecError, read_spec
from glossi_sync.spec.problems import near

keys = st.lists(st.sampled_from("abcdefghijklmnopqrstuvwxyz-0123456789"), min_size=4, max_size=12, unique=True).map(
    "".join
)
"""Words in which no letter stands twice: what is meant by 000, next to 0100, nobody can tell."""
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-"


@st.composite
def slips(draw: st.DrawFn, word: str) -> str:
    """The word with one letter more, less or other, or two neighbours swapped."""
    at = draw(st.integers(0, len(word) - 1))
    letter = draw(st.sampled_from(LETTERS))
    swapped = word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :]
    return draw(
        st.sampled_from([word[:at] + word[at + 1 :], word[:at] + letter + word[at:], word[:at] + letter + word[at + 1 :], swapped])
    )  # fmt: skip


def one_slip_apart(one: str, other: str) -> bool:
    """Whether two words differ by one letter more, less or other, or by two neighbours swapped."""
    if len(one) > len(other):
        one, other = other, one
    start = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))
    rest, longer = one[start:], other[start:]
    return (
        rest == longer[1:]
        or (rest[1:] == longer[1:] and len(one) == len(other))
        or (len(rest) > 1 and rest[1] + rest[0] + rest[2:] == longer)
    )


def suggested(message: str) -> str | None:
    found = re.fullmatch(r"; did you mean '(.*)'\?", message)
    assert found is not None or message == ""
    return None if found is None else found[1]


@given(st.lists(keys, min_size=1, max_size=6, unique=True), st.data())
def test_a_slip_is_told_a_word_that_exists(known: list[str], data: st.DataObject) -> None:
    word = data.draw(st.sampled_from(known).flatmap(slips))
    assert suggested(near(word, known)) in known


@given(st.integers(0, 4999).map("sku-{:05}".format).flatmap(lambda word: st.tuples(st.just(word), slips(word))))
def test_among_many_words_a_slip_is_told_one_that_is_a_slip_away(words: tuple[str, str]) -> None:
    known = {f"sku-{number:05}" for number in range(5000)}
    _, slip = words
    assume(slip not in known)
    found = suggested(near(slip, known))
    assert found in known and one_slip_apart(slip, found)


@pytest.mark.parametrize("many", [0, 5000])
def test_what_is_far_from_everything_is_told_nothing(many: int) -> None:
    known = {"lamp", "oak-chair", "ash-chair", *(f"sku-{number:05}" for number in range(many))}
    assert near("perfume", known) == near("", known) == near("???", known) == ""
    assert near("lamp", set()) == ""


def test_case_alone_is_a_near_miss() -> None:
    assert near("LAMP", ["lamp", "chair"]) == "; did you mean 'lamp'?"
    assert near("Renderbookmarks", ["renderShots", "renderBookmarks"]) == "; did you mean 'renderBookmarks'?"


FIELDS = {
    "models": ("name", "file", "fileType"),
    "renderSettings": ("renderBookmarks", "renderShots", "renderVariants", "imageQuality", "videoQuality", "videoResolution"),
    "projects": ("models", "template", "createPerModel", "renders"),
}  # fmt: skip


@given(documents(min_projects=1), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_misspelt_field_is_told_at_its_place_which_was_meant(
    tmp_path: Path, document: Document, data: st.DataObject
) -> None:
    section = data.draw(st.sampled_from(sorted(FIELDS)))
    entry = document[section][data.draw(st.sampled_from(sorted(document[section])))]
    field = data.draw(st.sampled_from(FIELDS[section]))
    slip = data.draw(slips(field))
    assume(slip not in FIELDS[section] and slip != "name")
    entry[slip] = entry.pop(field, True)
    text = as_block(document)
    with pytest.raises(SpecError) as caught:
        read_spec(written(tmp_path, text), env={}, files=False)
    (told,) = [problem for problem in caught.value.problems if problem.message.startswith("unknown key ")]
    assert told.message.startswith(f"unknown key '{slip}'; did you mean '{field}'?")
    assert text.splitlines()[told.line - 1][told.column - 1 :].startswith(f'"{slip}"')


@given(documents(min_projects=1), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_key_that_is_written_twice_is_told_at_its_second_place_and_where_the_first_is(
    tmp_path: Path, document: Document, data: st.DataObject
) -> None:
    lines = as_block(document).splitlines()
    keyed = [number for number, line in enumerate(lines) if re.match(r' *"[^"]*": *\S', line)]
    number = data.draw(st.sampled_from(keyed))
    indent = len(lines[number]) - len(lines[number].lstrip())
    key = lines[number].strip().split(":")[0].strip('"')
    # The same mapping goes on where no line before is indented less, or begins a list of the same indent.
    lines.insert(number + 1, lines[number])
    path = written(tmp_path, "\n".join(lines))
    with pytest.raises(SpecError) as caught:
        read_spec(path, env={}, files=False)
    twice = [problem for problem in caught.value.problems if "already defined" in problem.message]
    assert [(problem.line, problem.column) for problem in twice] == [(number + 2, indent + 1)]
    assert twice[0].message == f"the key {key!r} is already defined at {path}:{number + 1}:{indent + 1}"
