"""YAML files that follow a published schema: read whole, every mistake named with its line and column at once.

For templates and faults. Not for the reconciler's specs, which are several files with variables (``spec.document``).
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from glossi_sync.errors import UserError
from glossi_sync.schema_files import load_schema


class FileMistakes(UserError):
    """A file that cannot be used; the message lists every mistake as ``file:line:column: where: what``."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong, and the keys and indices that lead there; ``key`` names a key of that place itself."""

    path: tuple[str | int, ...]
    message: str
    key: str | None = None

    def __str__(self) -> str:
        place = ""
        for part in self.path:
            place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
        return f"{place}: {self.message}" if place else self.message


def read(
    path: Path,
    schema: str,
    *,
    begins_with: str,
    sense: Callable[[Any], Iterable[Mistake]] = lambda _: (),
    better: Callable[[Mistake, Any], Mistake] = lambda mistake, _: mistake,
) -> Any:
    """The document in a file.

    Args:
        schema: which of the published schemas it follows.
        begins_with: what stands in a message about a file that is no mapping: "a template is a mapping that …".
        sense: mistakes that no schema can tell, of a document that follows it.
        better: a schema's mistake in better words; given the document, too.

    Raises:
        FileMistakes: the file cannot be read, is no YAML, or does not follow its schema.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise FileMistakes(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FileMistakes(f"{path}: is not UTF-8 text: {error}") from error
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        document: Any = None if root is None else loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        # What is never closed is noticed at the file's end, and mended where it begins.
        unclosed = "end of stream" in (error.problem or "") or "<stream end>" in (error.problem or "")
        mark = (unclosed and error.context_mark) or error.problem_mark or error.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        what = " ".join(part for part in (error.context, error.problem) if part)
        raise FileMistakes(f"{path}{place}: {what}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise FileMistakes(f"{path}: is not valid YAML: {error}") from error
    if not isinstance(document, dict):
        raise FileMistakes(_listed(path, root, [Mistake((), begins_with)]))
    mistakes = [better(mistake, document) for mistake in _schema_mistakes(document, schema)] or [*sense(document)]
    if mistakes:
        raise FileMistakes(_listed(path, root, mistakes))
    return document


def _listed(path: Path, root: yaml.Node | None, mistakes: Iterable[Mistake]) -> str:
    placed = sorted((_position(root, mistake), str(mistake)) for mistake in mistakes)
    return "\n".join(f"{path}:{line}:{column}: {text}" for (line, column), text in placed)


class _Loader(yaml.SafeLoader):
    """YAML without surprises: a key given twice is an error, not a silent last-one-wins; numbers are finite."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    seen: set[str] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(None, None, "a key must be text", key_node.start_mark)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key '{key}' is given twice", key_node.start_mark)
        seen.add(key)
    return {str(key): value for key, value in loader.construct_mapping(node, deep=True).items()}


def _number(loader: _Loader, node: yaml.ScalarNode) -> float:
    value = float(loader.construct_yaml_float(node))
    if not math.isfinite(value):
        raise yaml.constructor.ConstructorError(None, None, f"{node.value} is not a number", node.start_mark)
    return value


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_constructor("tag:yaml.org,2002:float", _number)


def _schema_mistakes(document: Any, schema: str) -> Iterator[Mistake]:
    for error in jsonschema.Draft202012Validator(load_schema(schema)).iter_errors(document):
        best = error
        while best.context:  # Of the ways to write a value, the one that was nearly met says the most.
            best = min(best.context, key=lambda e: (e.validator == "type", len(e.absolute_path)))
        path = tuple(best.absolute_path)
        if best.validator != "additionalProperties":
            yield Mistake(path, best.message)
            continue
        known = list(best.schema["properties"])
        for key in (key for key in best.instance if key not in known):
            near = difflib.get_close_matches(key, known, 1)
            advice = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}"
            yield Mistake(path, f"the key '{key}' is unknown; {advice}", key)


def _position(root: yaml.Node | None, mistake: Mistake) -> tuple[int, int]:
    """Line and column, from 1, of the last thing on the way to a mistake that the file does have."""
    node, mark = root, root.start_mark if root else None
    for part in (*mistake.path, *([mistake.key] if mistake.key is not None else [])):
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            mark = node.start_mark
        elif isinstance(node, yaml.MappingNode):
            entry = next(((key, value) for key, value in node.value if key.value == part), None)
            if entry is None:
                break
            node, mark = entry[1], entry[0].start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)
