"""Variables in a spec's text: ``${env:NAME}`` and ``${var:NAME}`` are replaced, ``$${`` stands for ``${``.

``${row.NAME}`` is a variable too, but one that every row of a catalogue replaces anew: a text that has any is taken
apart here and put together in ``catalogues.py``. Filters may follow each (see ``filters.py``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from glossi_sync.spec.filters import Filter, UnknownFilter, compile_filters
from glossi_sync.spec.problems import near

_EXPRESSION = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
VARIABLE_NAME = r"[A-Za-z_][A-Za-z0-9_-]*"
_VAR_NAME = re.compile(VARIABLE_NAME)
_ESCAPE = "${env:NAME} or ${var:NAME}, or $${ where the characters themselves are meant"


@dataclass(frozen=True, slots=True)
class Variables:
    """What the variables stand for: ``env`` is the environment, ``given`` what ``${var:…}`` finds.

    ``used`` gathers what was put into a text, by ``env:NAME`` and ``var:NAME``.
    """

    env: Mapping[str, str]
    given: Mapping[str, str] = field(default_factory=dict)
    used: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Literal:
    """A part of a text that is the same in every row; ``written`` is what messages show in its place."""

    text: str
    written: str


@dataclass(frozen=True, slots=True)
class Column:
    """A part of a text that a row's value replaces: ``${row.NAME|filter}``, as ``written``.

    ``optional`` where a filter puts a default in place of a value that is missing.
    """

    name: str
    filters: tuple[Filter, ...]
    optional: bool
    written: str


class Substituted(str):
    """Text in which variables were replaced. Messages show ``written`` only: what came from outside may be secret.

    ``problem`` says why nothing could be put in place of a variable, and ``unset`` that it merely has no value; the
    text is then as written. ``parts`` are what a text with values of a row consists of, and empty for every other.
    """

    __slots__ = ("parts", "problem", "unset", "written")
    written: str
    problem: str | None
    unset: bool
    parts: tuple[Literal | Column, ...]


def substitute(written: str, variables: Variables) -> Substituted:
    """Replace the variables in ``written``, but for those of a row."""
    parts: list[Literal | Column] = []
    missing: list[_Missing] = []
    end = 0
    for match in _EXPRESSION.finditer(written):
        plain = written[end : match.start()]
        parts.append(Literal(plain, plain))
        end = match.end()
        try:
            parts.append(Literal("${", "$${") if match[0] == "$${" else _part(match[1], variables))
        except _Missing as error:
            missing.append(error)
            parts.append(Literal(match[0], match[0]))
    parts.append(Literal(written[end:], written[end:]))
    text = Substituted("".join(part.text if isinstance(part, Literal) else part.written for part in parts))
    text.written = written
    text.problem = str(missing[0]) if missing else None
    text.unset = bool(missing) and missing[0].unset
    text.parts = tuple(parts) if any(isinstance(part, Column) for part in parts) else ()
    return text


def names_in(written: str) -> set[str]:
    """The variables that a text names, as ``env:NAME`` and ``var:NAME``."""
    inner = (match[1] for match in _EXPRESSION.finditer(written) if match[1] is not None)
    return {name for name in (text.partition("|")[0].strip() for text in inner) if not name.startswith("row.")}


class _Missing(Exception):
    def __init__(self, message: str, *, unset: bool = False) -> None:
        super().__init__(message)
        self.unset = unset


def _part(inner: str | None, variables: Variables) -> Literal | Column:
    """What stands between ``${`` and ``}``. Raises _Missing where it stands for nothing."""
    if inner is None:
        raise _Missing("'${' is not closed: write ${env:NAME} for a variable, or $${ for the characters themselves")
    written = f"${{{inner}}}"
    name, *words = (part.strip() for part in inner.split("|"))
    try:
        filters, optional = compile_filters(words)
    except UnknownFilter as error:
        raise _Missing(f"{written}: {error}") from None
    if name.startswith("row."):
        if name == "row.":
            raise _Missing(f"{written} names no column: write ${{row.NAME}}")
        return Column(name.removeprefix("row."), filters, optional, written)
    value = _value(name, written, variables, optional)
    variables.used[name] = value
    for one in filters:
        value = one(value)
    return Literal(value, written)


def _value(variable: str, written: str, variables: Variables, optional: bool) -> str:
    source, _, name = variable.partition(":")
    if source == "env" and _ENV_NAME.fullmatch(name):
        if name in variables.env:
            return _utf8(variables.env[name], name)
        if optional:
            return ""
        hint = near(name, [known for known in variables.env if known.startswith("GLOSSI_")])
        raise _Missing(f"the environment variable {name} is not set{hint}", unset=True)
    if source == "var" and _VAR_NAME.fullmatch(name):
        if name in variables.given:
            return variables.given[name]
        if optional:
            return ""
        hint = near(name, variables.given) or f": give it with --var {name}=VALUE, or a default in 'variables'"
        raise _Missing(f"the variable {name} is not set{hint}", unset=True)
    hint = f"; did you mean ${{row.{name}}}?" if source == "row" and name else ""
    raise _Missing(f"{written} is no variable: write {_ESCAPE}{hint}")


def _utf8(value: str, name: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _Missing(f"the environment variable {name} holds bytes that are not UTF-8") from None
    return value
