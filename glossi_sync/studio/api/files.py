"""Files: finished renders, and models, by the ``filePath`` of an answer. The studio's own: see ``wire.FILES_PATH``."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from glossi_sync.service import wire
from glossi_sync.studio.api.context import TheStudio, TheWorkspace
from glossi_sync.studio.api.errors import Refusal, documented
from glossi_sync.studio.storage import MEDIA_TYPES, StoredFile

router = APIRouter(tags=["files"])

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.ASCII)

_CONTENT = {
    media_type: {"schema": {"type": "string", "format": "binary"}}
    for media_type in sorted({*MEDIA_TYPES.values(), "application/octet-stream"})
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": _CONTENT},
    206: {"description": "The range of the file that was asked for.", "content": _CONTENT},
    304: {"description": "The file is the one that the client has (If-None-Match)."},
    **documented(_404="No such file.", _416="The range lies beyond the end of the file."),
}

_PATH = wire.FILES_PATH.replace("{filePath}", "{file_path:path}")


@router.head(_PATH, include_in_schema=False)
@router.get(_PATH, response_class=StreamingResponse, responses=_ANSWERS)
async def get_file(file_path: str, request: Request, studio: TheStudio, workspace_id: TheWorkspace) -> Response:
    """A file of the workspace, whole or one range of it."""
    within = file_path.startswith(f"workspaces/{workspace_id}/")
    file = await studio.storage.find(file_path) if within else None
    if file is None:
        raise Refusal(404, "file_not_found", "there is no such file in this workspace")
    headers = {"ETag": file.etag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    start, end = _range(request, file)
    status = 200
    if (start, end) != (0, file.size):
        status = 206
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    headers["Content-Length"] = str(end - start)
    media_type = MEDIA_TYPES.get(file_path.rpartition(".")[2], "application/octet-stream")
    content = _nothing() if request.method == "HEAD" else studio.storage.read(file.key, start, end)
    return StreamingResponse(content, status, headers, media_type)


def _range(request: Request, file: StoredFile) -> tuple[int, int]:
    """The bytes to send, ``end`` not included: all of them unless one satisfiable range is asked for.

    Several ranges at once are answered with the whole file, as RFC 9110, section 14.2, allows.
    """
    match = _RANGE.fullmatch(request.headers.get("range", ""))
    if match is None or match[0] == "bytes=-" or request.headers.get("if-range", file.etag) != file.etag:
        return 0, file.size
    first, last = match[1], match[2]
    if not first:
        start, end = max(0, file.size - int(last)), file.size
    else:
        start, end = int(first), min(int(last) + 1, file.size) if last else file.size
        if last and int(last) < start:
            return 0, file.size
    if start >= file.size:
        raise Refusal(
            416,
            "range_not_satisfiable",
            f"the file has {file.size:,} bytes",
            {"Content-Range": f"bytes */{file.size}"},
        )
    return start, end


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
