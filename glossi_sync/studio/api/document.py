"""The OpenAPI document: FastAPI's, and what it cannot tell from the endpoints, because it happens before them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

from glossi_sync.service import wire

_ERROR = {"$ref": "#/components/schemas/ErrorAnswer"}

_BEFORE_A_BODY_IS_READ = {
    "413": "The body is too large, or its list too long.",
    "415": "The body does not say that it is JSON.",
}


class DocumentedApp(FastAPI):
    """FastAPI with a whole document, and with an ``Allow`` that names every method of a path."""

    def openapi(self) -> dict[str, Any]:
        """The document; made when it is first asked for."""
        made = self.openapi_schema is not None
        document = super().openapi()
        if not made:
            _complete(document)
        return document

    def allowed_methods(self, path: str) -> list[str]:
        """The methods that a path takes, of all the endpoints that it has. FastAPI names those of the first."""
        paths = self.openapi()["paths"]
        items = (
            [paths[path]] if path in paths else [item for at, item in paths.items() if path_pattern(at).fullmatch(path)]
        )
        return sorted({method.upper() for item in items for method in item})


def path_pattern(path: str) -> re.Pattern[str]:
    """What matches the paths that an OpenAPI path with ``{parameters}`` stands for."""
    # Two of the parameters go on over slashes, which OpenAPI has no way to say.
    pattern = re.escape(path).replace(r"\{file_path\}", ".+").replace(r"\{upload_key\}", ".+")
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", pattern))


def _complete(document: Mapping[str, Any]) -> None:
    for path, item in document["paths"].items():
        for operation in item.values():
            if "requestBody" in operation and path.startswith(wire.API_PREFIX):
                for status, description in _BEFORE_A_BODY_IS_READ.items():
                    refusal = {"description": description, "content": {"application/json": {"schema": _ERROR}}}
                    operation["responses"].setdefault(status, refusal)
