"""The published JSON Schema and the checks compiled from it say the same; the schema explains every field."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from spec_documents import Document, as_json, documents, written

from glossi_sync.resources import EVENTS, FILE_TYPES, RenderSettings
from glossi_sync.resources.address import KEY_PATTERN
from glossi_sync.schema_files import load_schema
from glossi_sync.spec import Downloads, Service, SpecError, read_spec
from glossi_sync.spec.schema import compile_schema, spec_check
from glossi_sync.spec.variables import Variables, substitute
from glossi_sync.spec.yaml_values import Map, parse

SCHEMA = load_schema("spec")
ORACLE = Draft202012Validator(SCHEMA)

words = st.sampled_from(
    ["name", "file", "models", "renders", "revision", "createPerModel", "id", "keep", "render.complete", "glb", "web"]
    + ["", "a b", "é", "x" * 101, "${env:X}", "lamp\n", "-", "renderShots", "renderBookmarks", "path", "version"]
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 25), words),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=4,
)


def _containers(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return ([value] if isinstance(value, dict | list) else []) + [one for part in inner for one in _containers(part)]


@st.composite
def mutated(draw: st.DrawFn) -> Document:
    """A valid document with up to three random changes anywhere in it."""
    document = draw(documents())
    for _ in range(draw(st.integers(0, 3))):
        container = draw(st.sampled_from(_containers(document)))
        places = list(container) if isinstance(container, dict) else list(range(len(container)))
        change = draw(st.sampled_from(["set", "drop", "add", "rename", "repeat"]))
        if isinstance(container, dict):
            if change == "add" or not places:
                container[draw(words)] = draw(values)
            elif change == "drop":
                del container[draw(st.sampled_from(places))]
            elif change == "rename":
                container[draw(words)] = container.pop(draw(st.sampled_from(places)))
            else:
                container[draw(st.sampled_from(places))] = draw(values)
        elif change == "drop" and places:
            del container[draw(st.sampled_from(places))]
        elif change == "repeat" and places:
            container.append(container[draw(st.sampled_from(places))])
        elif change == "set" and places:
            container[draw(st.sampled_from(places))] = draw(values)
        else:
            container.append(draw(values))
    return document


def _accepts(document: Document) -> tuple[bool, list[str]]:
    parsed = parse(as_json(document).encode(), 0, "spec", lambda text: substitute(text, Variables({})))
    assert parsed.root is not None
    assert not parsed.problems
    messages: list[str] = []
    whole = Map()
    whole.put("", parsed.root, 0, 0)
    accepted = spec_check()(whole, "", lambda container, key, message, at="value": messages.append(message))
    return accepted, messages


def _ends_a_line(value: Any) -> bool:
    texts = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else [value]
    return any(_ends_a_line(part) if isinstance(part, dict | list) else str(part).endswith("\n") for part in texts)


# jsonschema takes Python's $, which matches before a last line break; JSON Schema's own regular expressions do not.
@given(mutated().filter(lambda document: not _ends_a_line(document)))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_the_compiled_checks_accept_exactly_what_jsonschema_accepts(document: Document) -> None:
    accepted, messages = _accepts(document)
    assert accepted == ORACLE.is_valid(document), messages
    assert accepted == (not messages)


@given(mutated())
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture],
)
def test_the_reader_accepts_nothing_that_the_schema_refuses_and_says_what_is_wrong(
    tmp_path: Path, document: Document
) -> None:
    """What it refuses beyond the schema are references, addresses and paths: see the tests of mistakes."""
    path = written(tmp_path, as_json(document))
    try:
        spec = read_spec(path, env={}, files=False)
    except SpecError as error:
        assert error.problems
        for problem in error.problems:
            assert (problem.file, problem.line) == (str(path), 1)
            assert 1 <= problem.column <= len(path.read_text(encoding="utf-8"))
    else:
        assert ORACLE.is_valid(document)
        assert list(spec.models) == list(document.get("models", {}))


@given(documents())
@settings(max_examples=50, deadline=None)
def test_valid_documents_are_valid_to_both(document: Document) -> None:
    ORACLE.validate(document)
    assert _accepts(document) == (True, [])


def test_a_line_break_at_the_end_of_a_key_is_refused() -> None:
    accepted, _ = _accepts({"version": 1, "workspace": "w", "models": {"lamp\n": {"file": "a.glb"}}})
    assert not accepted


def test_the_schema_is_a_valid_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_a_keyword_that_the_compiler_does_not_know_is_not_passed_over() -> None:
    with pytest.raises(ValueError, match="multipleOf"):
        compile_schema({"type": "integer", "multipleOf": 2}, {})


def _fields(schema: Any, path: str = "") -> list[tuple[str, Document]]:
    if isinstance(schema, list):
        return [field for part in schema for field in _fields(part, path)]
    if not isinstance(schema, dict):
        return []
    own = [(f"{path}.{name}", part) for name, part in schema.get("properties", {}).items()]
    inner = [field for name, part in schema.items() if name != "not" for field in _fields(part, f"{path}.{name}")]
    return own + inner


def test_every_field_is_described() -> None:
    fields = dict(_fields(SCHEMA))
    assert len(fields) >= 39
    for path, field in fields.items():
        target = SCHEMA["$defs"][field["$ref"].rpartition("/")[2]] if "$ref" in field else {}
        assert (field.get("description") or target.get("description", "")).endswith("."), path


def test_the_schema_speaks_of_the_same_words_and_defaults_as_the_program() -> None:
    definitions = SCHEMA["$defs"]
    assert definitions["model"]["properties"]["fileType"]["enum"] == list(FILE_TYPES)
    assert definitions["webhook"]["properties"]["events"]["default"] == list(EVENTS)
    assert definitions["webhook"]["properties"]["events"]["items"]["enum"] == list(EVENTS)
    assert definitions["key"]["pattern"] == f"^{KEY_PATTERN}$"
    group = definitions["renderSettings"]["properties"]
    assert [field["default"] for field in group.values()] == list(dataclasses.astuple(RenderSettings()))
    assert SCHEMA["properties"]["service"]["properties"]["endpoint"]["default"] == Service().endpoint
    defaults = {field.name: field.default for field in dataclasses.fields(Downloads)}
    assert definitions["downloads"]["properties"]["path"]["default"] == defaults["path"]
    assert definitions["downloads"]["properties"]["from"]["default"] == defaults["source"]
