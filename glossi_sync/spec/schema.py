"""The spec's JSON Schema, compiled to checks that are quick and speak in the user's words.

The schema is the one description of a spec's shape: editors read it, the reference is made from it, and these checks
are compiled from it. A general validator takes some hundred microseconds for an entry, and its messages are about
schemas; a spec may have 200,000 entries, and its errors are for people. Only the keywords that the schema uses are
known here, and an unknown one is refused, so that none is passed over. That the checks accept what a general
validator accepts is a property test (tests/spec/test_spec_schema.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, Protocol

from glossi_sync.schema_files import load_schema
from glossi_sync.spec.problems import near
from glossi_sync.spec.variables import Substituted
from glossi_sync.spec.yaml_values import Map, Misread, Seq, plain_reading

Schema = Mapping[str, Any]
Container = Map | Seq


class Report(Protocol):
    """Takes a mistake: at the value (or the key) that ``container`` has under ``key``."""

    def __call__(
        self, container: Container, key: str | int, message: str, at: Literal["key", "value"] = "value"
    ) -> None: ...


Check = Callable[[Any, Any, Report], bool]
"""Checks ``container[key]``, reports what is wrong with it, and returns whether it is right."""

_ANNOTATIONS = frozenset(("$schema", "$id", "$defs", "title", "description", "default", "examples", "writeOnly"))
_MESSAGES = frozenset(("errorMessage", "patternErrorMessage"))
"""Not of JSON Schema, but known to editors: what a value that is refused should have been."""
_TYPES: dict[str, tuple[type, str]] = {
    "string": (str, "text"),
    "integer": (int, "a whole number"),
    "boolean": (bool, "true or false"),
    "object": (Map, "a mapping (key: value)"),
    "array": (Seq, "a list"),
    "null": (type(None), "empty"),
}
_MAX_SHOWN = 60
_API_KEY_PREFIX = "glsi_"


@cache
def spec_check() -> Check:
    """The check of a whole spec, compiled from ``spec.schema.json``."""
    schema = load_schema("spec")
    return compile_schema(schema, schema)


def show(value: Any) -> str:
    """A value as the user wrote it; never an API key, and never what a variable was replaced by."""
    if isinstance(value, Misread):
        return value.written
    if isinstance(value, str):
        text = value.written if isinstance(value, Substituted) else value
        if text.startswith(_API_KEY_PREFIX):
            return "an API key"
        return repr(text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…")
    if isinstance(value, Map | Seq):
        return "a mapping" if isinstance(value, Map) else "a list"
    return "nothing (it is empty)" if value is None else str(value).lower()


def subject(key: str | int) -> str:
    """What a message about a value begins with: its key, or that it is an item of a list."""
    return show(key) if isinstance(key, str) else "an item of this list"


def compile_schema(schema: Schema, root: Schema) -> Check:
    """Compile a schema. Raises ValueError for a keyword that is not known here."""
    checks: list[Check] = []
    known = set(_ANNOTATIONS | _MESSAGES)
    for keywords, build in _BUILDERS:
        known.update(keywords)
        if any(keyword in schema for keyword in keywords):
            checks.append(build(schema, root))
    if unknown := schema.keys() - known:
        raise ValueError(f"the schema uses keywords that its compiler does not know: {sorted(unknown)}")
    if len(checks) == 1:
        return checks[0]
    first, *others = checks

    def every(container: Any, key: Any, report: Report) -> bool:
        # The first check is the type's: where it fails, the others would speak of something that is not there.
        right = first(container, key, report)
        if right:
            for check in others:
                right &= check(container, key, report)
        return right

    return every


def _resolve(schema: Schema, root: Schema) -> Schema:
    target: Any = root
    for part in schema["$ref"].removeprefix("#/").split("/"):
        target = target[part]
    return target  # type: ignore[no-any-return]


def _ref(schema: Schema, root: Schema) -> Check:
    return compile_schema(_resolve(schema, root), root)


def _type(schema: Schema, root: Schema) -> Check:
    names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    types = tuple(_TYPES[name][0] for name in names)
    expected = " or ".join(_TYPES[name][1] for name in names)
    boolean_too = bool in types or int not in types
    secret = schema.get("writeOnly", False)

    def check(container: Any, key: Any, report: Report) -> bool:
        value = container[key]
        if isinstance(value, types) and (boolean_too or not isinstance(value, bool)):
            return True
        # What stands in the place of a secret may be one.
        found = "" if secret else f", not {show(value)}{_advice(value, types)}"
        report(container, key, f"{subject(key)} must be {expected}{found}")
        return False

    return check


def _advice(value: Any, types: tuple[type, ...]) -> str:
    """How to write what was probably meant."""
    if str in types and isinstance(value, Misread | bool | int):
        reading = value.reading if isinstance(value, Misread) else plain_reading(value)
        return f'; unquoted, this is {reading} to YAML: quote it: "{show(value)}"'
    if bool in types and isinstance(value, Misread) and value.reading == "true or false":
        return "; write true or false"
    if bool in types and isinstance(value, str) and value.lower() in ("true", "false"):
        return "; leave the quotes out"
    if int in types and isinstance(value, str) and value.isdecimal():
        return "; leave the quotes out"
    return ""


def _text(schema: Schema, root: Schema) -> Check:
    shortest, longest = schema.get("minLength", 0), schema.get("maxLength", 1 << 30)
    pattern = _pattern(schema) if "pattern" in schema else None
    expected = schema.get("patternErrorMessage", "")

    def check(container: Any, key: Any, report: Report) -> bool:
        value = container[key]
        if not shortest <= len(value) <= longest:
            message = "must not be empty" if not value else f"has more than {longest} characters"
            report(container, key, f"{subject(key)} {message}")
            return False
        if pattern is not None and not pattern.search(value):
            report(container, key, f"{subject(key)} {expected}, unlike {show(value)}")
            return False
        return True

    return check


def _pattern(schema: Schema) -> re.Pattern[str]:
    # In JSON Schema a final $ matches at the very end only; in Python also before a last line break.
    return re.compile(re.sub(r"\$(?=$|\|)", r"\\Z", schema["pattern"]))


def _range(schema: Schema, root: Schema) -> Check:
    low, high = schema.get("minimum"), schema.get("maximum")

    def check(container: Any, key: Any, report: Report) -> bool:
        value = container[key]
        if (low is None or value >= low) and (high is None or value <= high):
            return True
        bounds = f"at least {low}" if high is None else f"from {low} to {high}"
        report(container, key, f"{subject(key)} must be a whole number {bounds}, not {value}")
        return False

    return check


def _enum(schema: Schema, root: Schema) -> Check:
    words = tuple(schema["enum"])
    listed = ", ".join(words)

    def check(container: Any, key: Any, report: Report) -> bool:
        value = container[key]
        if isinstance(value, str) and value in words:
            return True
        hint = near(value, words) if isinstance(value, str) else ""
        if isinstance(key, str):
            report(container, key, f"{subject(key)} must be one of {listed}, not {show(value)}{hint}")
        else:
            report(container, key, f"{show(value)} is none of {listed}{hint}")
        return False

    return check


def _const(schema: Schema, root: Schema) -> Check:
    wanted = schema["const"]
    message = schema.get("errorMessage", f"must be {wanted}")

    def check(container: Any, key: Any, report: Report) -> bool:
        value = container[key]
        if type(value) is type(wanted) and value == wanted:
            return True
        report(container, key, f"{message}, not {show(value)}")
        return False

    return check


def _object(schema: Schema, root: Schema) -> Check:
    properties = {name: compile_schema(part, root) for name, part in schema.get("properties", {}).items()}
    others = schema.get("additionalProperties", True)
    other = compile_schema(others, root) if isinstance(others, dict) else None
    names = _resolve(schema["propertyNames"], root) if "propertyNames" in schema else {}
    name_pattern = _pattern(names) if names else None
    required = tuple(schema.get("required", ()))
    fewest, most = schema.get("minProperties", 0), schema.get("maxProperties", 1 << 30)
    count_message = schema.get("errorMessage", "must not be empty")

    def check(container: Any, key: Any, report: Report) -> bool:
        value = container[key]
        if not isinstance(value, Map):
            return True
        right = True
        for name in required:
            if name not in value:
                report(container, key, f"{subject(key) if key != '' else 'a spec'} needs the key {name!r}", "key")
                right = False
        for name in value:
            part = properties.get(name, other)
            if part is not None:
                right &= part(value, name, report)
            elif others is False:
                hint = near(name, properties) or f"; known here: {', '.join(properties)}"
                report(value, name, f"unknown key {show(name)}{hint}", "key")
                right = False
            if name_pattern is not None and not name_pattern.search(name):
                report(
                    value, name, f"the key {show(name)} is not well formed: it {names['patternErrorMessage']}", "key"
                )
                right = False
        if right and not fewest <= len(value) <= most:
            report(container, key, f"{subject(key)}: {count_message}", "key")
            right = False
        return right

    return check


def _array(schema: Schema, root: Schema) -> Check:
    item = compile_schema(schema.get("items", {}), root)
    fewest = schema.get("minItems", 0)
    unique = schema.get("uniqueItems", False)

    def check(container: Any, key: Any, report: Report) -> bool:
        value = container[key]
        if not isinstance(value, Seq):
            return True
        if len(value) < fewest:
            report(container, key, f"{subject(key)} must not be an empty list")
            return False
        right = True
        seen: set[str] = set()
        for index, one in enumerate(value):
            right &= item(value, index, report)
            if unique and isinstance(one, str):
                if one in seen:
                    report(value, index, f"{show(one)} stands in this list twice")
                    right = False
                seen.add(one)
        return right

    return check


def _not(schema: Schema, root: Schema) -> Check:
    refused = compile_schema(schema["not"], root)
    needed = tuple(schema["not"].get("required", ()))
    message = schema["errorMessage"]

    def check(container: Any, key: Any, report: Report) -> bool:
        value = container[key]
        # Nearly every entry is told apart by a key that it lacks, without spelling messages that nobody reads.
        if any(name not in value for name in needed) or not refused(container, key, _silent):
            return True
        report(container, key, message, "key")
        return False

    return check


def _silent(container: Container, key: str | int, message: str, at: Literal["key", "value"] = "value") -> None:
    pass


def _one_of(schema: Schema, root: Schema) -> Check:
    """Branches of different types: the value's type picks the one that speaks."""
    branches = [(_TYPES[part["type"]][0], compile_schema(part, root)) for part in schema["oneOf"]]
    expected = " or ".join(_TYPES[part["type"]][1] for part in schema["oneOf"])

    def check(container: Any, key: Any, report: Report) -> bool:
        value = container[key]
        for kind, branch in branches:
            if isinstance(value, kind):
                return branch(container, key, report)
        report(container, key, f"{subject(key)} must be {expected}, not {show(value)}")
        return False

    return check


_BUILDERS: tuple[tuple[tuple[str, ...], Callable[[Schema, Schema], Check]], ...] = (
    (("$ref",), _ref),
    (("type",), _type),
    (("oneOf",), _one_of),
    (("enum",), _enum),
    (("const",), _const),
    (("minLength", "maxLength", "pattern"), _text),
    (("minimum", "maximum"), _range),
    (
        ("properties", "additionalProperties", "propertyNames", "required", "minProperties", "maxProperties"),
        _object,
    ),
    (("items", "minItems", "uniqueItems"), _array),
    (("not",), _not),
)
