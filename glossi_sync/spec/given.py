"""What ``${var:…}`` stands for: ``--var`` beats ``--var-file``, which beats the spec's own ``variables``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from glossi_sync.spec.problems import Problem, SpecError, is_utf8, near
from glossi_sync.spec.schema import show
from glossi_sync.spec.variables import VARIABLE_NAME, Variables, substitute
from glossi_sync.spec.yaml_values import Map, Misread, parse, peek, unpack

SECTION = "variables"
OPTION = "--var"
_NAME_RULE = "may hold letters, digits, '_' and '-', and starts with a letter or '_'"


@dataclass(frozen=True, slots=True)
class Given:
    """The variables that stand outside of the spec: ``options`` are those of ``--var``, ``files`` of ``--var-file``."""

    options: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    def over(self, defaults: Mapping[str, str]) -> dict[str, str]:
        """The values, with the spec's own ``defaults`` where nothing else is given."""
        return {**defaults, **self.files, **self.options}


def read_given(assignments: Sequence[str] = (), paths: Sequence[Path] = ()) -> Given:
    """Read ``NAME=VALUE`` assignments, and files that map names to values (YAML, or JSON as ``*.json``).

    Of two that give a name, the later counts. A number is the text that the file has for it: ``1.10`` stays ``1.10``.

    Raises:
        SpecError: everything that is wrong with them, in a file with its place.
    """
    problems: list[Problem] = []
    options: dict[str, str] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            problems.append(Problem(OPTION, 0, 0, f"write {OPTION} NAME=VALUE, unlike {show(assignment)}"))
        elif not re.fullmatch(VARIABLE_NAME, name):
            problems.append(Problem(OPTION, 0, 0, f"the variable {show(name)} is not well formed: it {_NAME_RULE}"))
        elif not is_utf8(value):
            problems.append(Problem(OPTION, 0, 0, f"the value of {name} holds bytes that are not UTF-8"))
        options[name] = value
    files: dict[str, str] = {}
    for path in paths:
        files.update(_read_file(path, problems))
    if problems:
        raise SpecError(problems)
    return Given(options, files)


def defaults_in(contents: Iterable[bytes], env: Mapping[str, str]) -> dict[str, str]:
    """The spec's ``variables``, which are needed before the rest of it can be read.

    They may stand on the environment, not on one another. What is wrong with them is told with the rest of the spec.
    """
    defaults: dict[str, str] = {}
    for content in contents:
        section = peek(content, SECTION, partial(substitute, variables=Variables(env)))
        for name, value in (section or {}).items():
            defaults.setdefault(name, _text(value) or "")
    return defaults


def unused(given: Given, variables: Variables, defaults: Mapping[str, str]) -> list[Problem]:
    """A ``--var`` that the spec has no use for is a slip of the finger; a file may be shared by several specs."""
    known = {name.removeprefix("var:") for name in variables.used if name.startswith("var:")} | defaults.keys()
    return [
        Problem(OPTION, 0, 0, f"the spec uses no variable {name}{near(name, sorted(known))}")
        for name in given.options
        if name not in known
    ]


def _read_file(path: Path, problems: list[Problem]) -> dict[str, str]:
    name = str(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
        problems.append(Problem(name, 0, 0, f"the variables cannot be read: {reason}"))
        return {}
    values: dict[str, str] = {}
    for key, value, line, column in _entries(name, content, path.suffix == ".json", problems):
        text = _text(value)
        if not re.fullmatch(VARIABLE_NAME, key):
            problems.append(
                Problem(name, line, column, f"the variable {show(key)} is not well formed: it {_NAME_RULE}")
            )
        elif text is None:
            problems.append(Problem(name, line, column, f"{key} must be text, a number, true or false"))
        else:
            values[key] = text
    return values


def _entries(
    name: str, content: bytes, is_json: bool, problems: list[Problem]
) -> Iterable[tuple[str, object, int, int]]:
    """Each variable of a file, with the place of its value (0 where it is not known)."""
    if is_json:
        try:
            document: Any = json.loads(content, parse_int=str, parse_float=str)
        except json.JSONDecodeError as error:
            problems.append(Problem(name, error.lineno, error.colno, f"this is not JSON: {error.msg}"))
            return
        except (UnicodeDecodeError, RecursionError):
            problems.append(Problem(name, 0, 0, "this is not JSON in UTF-8 that maps names to values"))
            return
        if not isinstance(document, dict):
            problems.append(Problem(name, 1, 1, "a file of variables maps names to values"))
            return
        yield from ((key, value, 0, 0) for key, value in document.items())
        return
    parsed = parse(content, 0, name, None, "a file of variables has lines like 'name: value'")
    for mark, message in parsed.problems:
        problems.append(Problem(name, *unpack(mark)[1:], message))
    for key in parsed.root or ():
        root = parsed.root or Map()
        yield key, root[key], *unpack(root.marks_of(key)[1])[1:]


def _text(value: object) -> str | None:
    """A scalar as the text that was written, or None for anything else."""
    if isinstance(value, Misread):
        return value.written
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return str(value) if is_utf8(value) else None
    return str(value) if isinstance(value, int) else None
