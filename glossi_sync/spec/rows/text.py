"""The text of a file of rows: UTF-8, and where in it something stands."""

from __future__ import annotations

import io
from collections.abc import Iterable

from glossi_sync.spec.problems import Problem
from glossi_sync.spec.rows.protocol import RowsError

BOM = "\ufeff"


def check_text(name: str, content: bytes) -> None:
    """Refuse a file that is empty, or not UTF-8. Raises RowsError."""
    if not content:
        raise RowsError(Problem(name, 0, 0, "this file is empty (0 bytes)"))
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise RowsError(Problem(name, 1, 1, "this file is UTF-16; save it as UTF-8"))
    try:
        content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig")
        [place] = places_in(before, [len(before)])
        byte = content[error.start]
        raise RowsError(Problem(name, *place, f"byte 0x{byte:02x} is not UTF-8; save the file as UTF-8")) from None


def lines_of(content: bytes, newline: str) -> io.TextIOWrapper:
    """The lines of a checked file, decoded as they are needed; ``newline`` as for ``open``."""
    return io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline=newline)


def places_in(text: str, offsets: Iterable[int]) -> list[tuple[int, int]]:
    """Line and column, from 1, of each offset in a text; offsets ascend. Lines end with LF, CR or both."""
    places = []
    line, start, seen = 1, 0, 0
    for offset in offsets:
        ends = text.count("\n", seen, offset) + text.count("\r", seen, offset) - text.count("\r\n", seen, offset)
        if ends:
            line += ends
            start = max(text.rfind("\n", seen, offset), text.rfind("\r", seen, offset)) + 1
        seen = offset
        places.append((line, offset - start + 1))
    return places
