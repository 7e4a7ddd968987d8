"""Where the published JSON Schemas lie: inside the package once installed, beside it in a checkout."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any


@cache
def load_schema(name: str) -> dict[str, Any]:
    """The JSON Schema called ``name`` (``spec`` reads ``spec.schema.json``), parsed; treat it as read-only.

    Raises:
        FileNotFoundError: there is no such schema, neither in the package nor in a checkout's ``schemas`` folder.
    """
    package = files("glossi_sync")
    wanted = f"{name}.schema.json"
    places = (package / "schemas" / wanted, package / ".." / "schemas" / wanted)
    for place in places:
        if _is_file(place):
            schema: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
            return schema
    raise FileNotFoundError(f"no schema {wanted}; looked at {' and '.join(str(place) for place in places)}")


def _is_file(place: Traversable) -> bool:
    try:
        return place.is_file()
    except OSError:
        return False
