"""Where a finished file goes: the placeholders of ``downloads.path``, and what they stand for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PureWindowsPath

from glossi_sync.spec.endpoint import url_problem
from glossi_sync.spec.problems import near

AUTO = "auto"
PLACEHOLDERS = ("project", "model", "settings", "variant", "name", "ext")
REQUIRED = ("name", "ext")
"""Without these two, the pictures of one render would meet in one file."""

_BUCKETS = ("s3", "gs", "az")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def path_problem(path: str) -> str | None:
    """Why a ``downloads.path`` is not accepted, or None where it is."""
    for name in _PLACEHOLDER.findall(path):
        if name not in PLACEHOLDERS:
            known = ", ".join(f"{{{known}}}" for known in PLACEHOLDERS)
            return f"path has an unknown placeholder {{{name}}}{near(name, PLACEHOLDERS)} (known: {known})"
    if missing := [name for name in REQUIRED if f"{{{name}}}" not in path]:
        return f"path needs {' and '.join(f'{{{name}}}' for name in missing)}, or a render's files meet in one place"
    bare = _PLACEHOLDER.sub("x", path)
    wrong = {
        "path has a { or } without its partner": "{" in bare or "}" in bare,
        "path must be relative: it lies below 'to'": bare.startswith("/") or PureWindowsPath(bare).anchor != "",
        "path must be written with /": "\\" in bare,
        "path must not hold '.', '..' or empty parts: it stays below 'to'": not {"", ".", ".."}.isdisjoint(
            bare.split("/")
        ),
    }
    return next((problem for problem, holds in wrong.items() if holds), None)


def source_problem(source: str) -> str | None:
    """Why a ``downloads.from`` is not accepted, or None where it is."""
    if source == AUTO:
        return None
    if "://" not in source:
        return "from must be 'auto', a bucket (s3://, gs://, az://) or an https:// URL"
    problem = url_problem(source, (*_BUCKETS, "https"))
    return None if problem is None else f"from {problem}"


def expand(path: str, values: Mapping[str, str]) -> str:
    """Fill in the placeholders that ``values`` has; the others stay, since they differ between one render's files."""
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), path)
