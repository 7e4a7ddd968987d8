"""Variables in a spec's text: ``${env:NAME}`` is replaced from the environment, ``$${`` stands for ``${``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from glossi_sync.spec.problems import near

_EXPRESSION = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Substituted(str):
    """Text in which variables were replaced. Messages show ``written`` only: what came from outside may be secret.

    ``problem`` says why nothing could be put in place of a variable, and ``unset`` that the environment merely lacks
    it; the text is then as written.
    """

    __slots__ = ("problem", "unset", "written")
    written: str
    problem: str | None
    unset: bool


def substitute(written: str, env: Mapping[str, str]) -> Substituted:
    """Replace the variables in ``written``."""
    missing: list[_Missing] = []

    def value(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        found = _variable(match[1], env)
        if isinstance(found, str):
            return found
        missing.append(found)
        return match[0]

    text = Substituted(_EXPRESSION.sub(value, written))
    text.written = written
    text.problem = missing[0].message if missing else None
    text.unset = bool(missing) and missing[0].unset
    return text


@dataclass(frozen=True, slots=True)
class _Missing:
    message: str
    unset: bool = False


def _variable(expression: str | None, env: Mapping[str, str]) -> str | _Missing:
    if expression is None:
        return _Missing("'${' is not closed: write ${env:NAME} for a variable, or $${ for the characters themselves")
    source, _, name = expression.partition(":")
    if source != "env" or not _NAME.fullmatch(name):
        return _Missing(
            f"${{{expression}}} is no variable: write ${{env:NAME}}, or $${{ where the characters themselves are meant"
        )
    if name not in env:
        hint = near(name, [known for known in env if known.startswith("GLOSSI_")])
        return _Missing(f"the environment variable {name} is not set{hint}", unset=True)
    return env[name]
