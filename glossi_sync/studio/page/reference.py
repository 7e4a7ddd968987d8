"""The API's reference: the OpenAPI document as the page shows it, in place of a viewer that comes from a CDN."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a body, or a parameter."""

    name: str
    type: str
    required: bool
    description: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One call, as a person reads it."""

    anchor: str
    method: str
    path: str
    summary: str
    description: str
    parameters: tuple[Field, ...]
    body: tuple[Field, ...]
    answers: tuple[tuple[str, str], ...]
    """Status and what it means."""
    answer: tuple[Field, ...]
    """The fields of the good answer."""
    curl: str


def groups(document: Mapping[str, Any]) -> dict[str, list[Operation]]:
    """The calls of an OpenAPI document, by their tag, in its order."""
    found: dict[str, list[Operation]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            found.setdefault(operation.get("tags", ["other"])[0], []).append(
                _operation(document, path, method.upper(), operation)
            )
    return found


def _operation(document: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]) -> Operation:
    parameters = tuple(
        Field(one["name"], _type(document, one["schema"]), one.get("required", False), one.get("description", ""))
        for one in operation.get("parameters", ())
    )
    body = _schema(operation.get("requestBody"))
    good = next((answer for status, answer in operation["responses"].items() if status.startswith("2")), None)
    return Operation(
        anchor=f"{method}-{path.strip('/').replace('/', '-').translate({ord('{'): None, ord('}'): None})}".lower(),
        method=method,
        path=path,
        summary=operation["summary"],
        description=operation.get("description", ""),
        parameters=parameters,
        body=tuple(_fields(document, body)),
        answers=tuple((status, answer["description"]) for status, answer in sorted(operation["responses"].items())),
        answer=tuple(_fields(document, _schema(good))),
        curl=_curl(document, path, method, operation, body),
    )


def _schema(holder: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    content: Mapping[str, Any] = (holder or {}).get("content", {}).get("application/json", {})
    return content.get("schema")


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in schema:
        named: Mapping[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return named
    return schema


def _fields(document: Mapping[str, Any], schema: Mapping[str, Any] | None, within: str = "") -> Iterator[Field]:
    """The fields of an object, those of the objects in it after it: ``models[].name``."""
    if schema is None:
        return
    schema = _resolved(document, schema)
    for name, inner in schema.get("properties", {}).items():
        required = name in schema.get("required", ())
        yield Field(within + name, _type(document, inner), required, inner.get("description", ""))
        for deeper in (inner, *inner.get("anyOf", ())):
            if "$ref" in deeper:
                yield from _fields(document, deeper, f"{within}{name}.")
            elif "$ref" in deeper.get("items", {}):
                yield from _fields(document, deeper["items"], f"{within}{name}[].")


def _type(document: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(document, one) for one in schema["anyOf"])
    schema = _resolved(document, schema)
    if "enum" in schema or "const" in schema:
        return " | ".join(str(value) for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        of = _type(document, schema["items"])
        return "list" if of == "object" else f"list of {of}"
    text = str(schema.get("type", "anything"))
    if "minimum" in schema and "maximum" in schema:
        text += f" {schema['minimum']:g} to {schema['maximum']:g}"
    return f"{text}, {json.dumps(schema['default'])} if left out" if "default" in schema else text


def _curl(
    document: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any], body: Mapping[str, Any] | None
) -> str:
    lines = [f'curl{"" if method == "GET" else f" -X {method}"} "$STUDIO{path}"']
    if operation.get("security"):
        lines.append('-H "X-API-Key: $GLOSSI_API_KEY"')
    if body is not None:
        example = json.dumps(_example(document, body))
        lines += ['-H "Content-Type: application/json"', f"-d '{example}'"]
    return " \\\n  ".join(lines)


def _example(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    schema = _resolved(document, schema)
    if "anyOf" in schema and "properties" not in schema:
        return _example(document, schema["anyOf"][0])
    if "properties" in schema:
        return {
            name: _example(document, inner)
            for name, inner in schema["properties"].items()
            if name in schema.get("required", ())
        }
    if schema.get("type") == "array":
        return [_example(document, schema["items"])]
    if "enum" in schema:
        return schema["enum"][0]
    return {"string": "…", "integer": 1, "boolean": True}.get(str(schema.get("type")))
