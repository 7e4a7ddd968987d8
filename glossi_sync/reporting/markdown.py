"""Markdown for the comments of the large forges: how much fits into one, how it is found again, and how text of others
is shown in it as it is written: it makes no markup, mentions nobody and links nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from urllib.parse import quote

MOST_BYTES = 60_000
"""The large forges' comments end at 65,536 characters. Counted are bytes: never fewer than characters, however they are
counted, and a job's summary at GitHub is measured in bytes."""

_MOST_IN_A_NAME = 200
_MOST_IN_A_CELL = 400

_SPECIAL = re.compile(r"[&<>|`*_\\\[\]~$]")
_CALLING = re.compile(r"(?<=[@#])(?=\w)|(?<=GH)(?=-\d)|(?<=:)(?=//)|(?<=www)(?=\.)", re.IGNORECASE)
"""Within mentions, references and links, which the forges look for in what is shown, not in what is written."""
_BREAK = "\u200b"
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")
"""Line ends, controls and marks that turn the order of characters around."""
_WITHIN_BACKTICKS = re.compile(r"(?=.*\S)[^`|]+")
"""What means nothing else there, not even in a table."""
_CODE = re.compile(r"`([^`]+)`")


def marker(workspace: str) -> str:
    """The comment by which a pipeline finds what it said about a workspace before: invisible, and always the same."""
    return f"<!-- glossi-sync: {re.sub(r'[^A-Za-z0-9._]+', '-', workspace)[:_MOST_IN_A_NAME]} -->"


def byte_size(text: str | Iterable[str]) -> int:
    """Bytes, with the ends of lines."""
    if isinstance(text, str):
        return len(text.encode("utf-8", "surrogatepass")) + 1
    return sum(map(byte_size, text))


def shown(text: str, most: int = _MOST_IN_A_CELL) -> str:
    """Text that shows as it is; what stands in backticks as code."""
    parts = _CODE.split(_cut(text, most))
    return "".join(code(part) if number % 2 else _spelled(part) for number, part in enumerate(parts))


def code(text: str) -> str:
    """A name as code."""
    name = _cut(text, _MOST_IN_A_NAME)
    return f"`{name}`" if _WITHIN_BACKTICKS.fullmatch(name) else f"<code>{_spelled(name)}</code>"


def _cut(text: str, most: int) -> str:
    text = _UNSEEN.sub(" ", text).strip()
    return text if len(text) <= most else text[: most - 1] + "…"


def _spelled(text: str) -> str:
    return _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", _CALLING.sub(_BREAK, text))


def link(path: str) -> str:
    """A path or URL, for an attribute in double quotes."""
    return escape(quote(path, safe="/:%?=~", errors="replace"))
