"""Files of the studio, by the filePath of an answer: whole, in ranges, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_glb import box
from studio_client import Api, InProcess, refused

from glossi_sync.service import wire

CONTENT = box()


@pytest.fixture(scope="module")
def path(api: Api) -> str:
    """The path of a file with CONTENT."""
    (model,) = api.create("box")
    assert api.put(model["uploadUrl"], CONTENT).status_code == 200
    return f"/files/{model['uploadKey']}"


def test_a_render_is_downloaded_by_its_file_path(api: Api) -> None:
    for render in api.finished(api.start(api.project(api.ready()), renderShots=True))["renders"]:
        answer = api.get(f"/files/{render['filePath']}")
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == ("video/mp4" if render["isVideo"] else "image/png")
        assert int(answer.headers["Content-Length"]) == len(answer.content) > 0
        assert answer.content.startswith(b"\0\0\0\x18ftyp" if render["isVideo"] else b"\x89PNG")


def test_head_and_etag_spare_the_bytes(api: Api, path: str) -> None:
    whole, head = api.get(path), api.http.head(api.url + path)
    assert whole.content == CONTENT
    assert head.headers["Content-Length"] == str(len(CONTENT)) and head.content == b""
    assert head.headers["ETag"] == whole.headers["ETag"]
    known = api.get(path, headers={"If-None-Match": whole.headers["ETag"]})
    assert (known.status_code, known.content) == (304, b"")
    assert api.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


positions = st.integers(0, 2 * len(CONTENT))


@given(first=st.none() | positions, last=st.none() | positions)
@settings(deadline=None, max_examples=60)
def test_a_range_is_the_slice_that_it_names(api: Api, path: str, first: int | None, last: int | None) -> None:
    asked = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    size = len(CONTENT)
    if first is not None:
        expected = range(first, size if last is None else min(last + 1, size))
    else:
        expected = range(max(0, size - (last or 0)), size)
    answer = api.get(path, headers={"Range": asked})
    if (first is None and last is None) or (first is not None and last is not None and last < first):
        assert (answer.status_code, answer.content) == (200, CONTENT), "what is no range is not heeded"
    elif not expected:
        refused(answer, 416, "range_not_satisfiable")
        assert answer.headers["Content-Range"] == f"bytes */{size}"
    elif len(expected) == size:
        assert (answer.status_code, answer.content) == (200, CONTENT)
    else:
        assert (answer.status_code, answer.content) == (206, CONTENT[expected.start : expected.stop])
        assert answer.headers["Content-Range"] == f"bytes {expected[0]}-{expected[-1]}/{size}"


def test_a_download_that_was_broken_off_goes_on_only_with_the_same_file(api: Api, path: str) -> None:
    etag = api.get(path).headers["ETag"]
    rest = api.get(path, headers={"Range": "bytes=100-", "If-Range": etag})
    assert (rest.status_code, rest.content) == (206, CONTENT[100:])
    anew = api.get(path, headers={"Range": "bytes=100-", "If-Range": '"another"'})
    assert (anew.status_code, anew.content) == (200, CONTENT)


@pytest.mark.parametrize(
    "elsewhere",
    [
        "",
        "records.db",
        "workspaces",
        "workspaces/{workspace}",
        "workspaces/{workspace}/models",
        "workspaces/{workspace}/models/nobody/model.glb",
        "workspaces/{workspace}/../../../records.db",
        "workspaces/{workspace}/%2e%2e/%2e%2e/%2e%2e/api-key",
        "workspaces/{workspace}/%2e%2e%2f%2e%2e%2f%2e%2e%2fapi-key",
        "workspaces/{workspace}/..%5c..%5capi-key",
        "workspaces/{workspace}//api-key",
        "%2fetc/passwd",
        "/etc/passwd",
        "workspaces/{workspace}/%00",
        "workspaces/neighbour/models",
    ],
)
def test_no_other_path_leads_to_a_file(api: Api, path: str, elsewhere: str) -> None:
    workspace = path.split("/")[3]
    target = f"{wire.API_PREFIX}/files/{elsewhere.format(workspace=workspace)}"
    status, answer = api.verbatim("GET", target)
    assert (status, answer["error"]["code"]) == (404, "file_not_found")


def test_what_the_client_names_its_files_never_reaches_the_disk(inside: InProcess, tmp_path: Path) -> None:
    names = ["../../escaped", "/etc/passwd", "a/b\\c", "C:\\x", "model.glb/../../../escaped", "." * 300]
    body = {"models": [{"name": name, "fileName": name, "fileType": "glb"} for name in names]}
    models = inside.api.post("/models", body).json()["models"]
    for model in models:
        assert inside.api.put(model["uploadUrl"], CONTENT).status_code == 200
    stored = [path for path in tmp_path.rglob("*") if path.is_file() and "records" not in path.name]
    key = re.compile(r"files/workspaces/workspace/models/[0-9a-f-]{36}/model\.glb")
    assert len(stored) == len(names)
    assert all(key.fullmatch(path.relative_to(tmp_path).as_posix()) for path in stored)
