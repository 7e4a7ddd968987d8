"""Whatever is sent, the studio answers in JSON, and never with a 5xx."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from studio_client import InProcess, inside_studio

from glossi_sync.service import wire
from glossi_sync.studio.template import bundled_templates

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["glb", "GLB", "model.failed", "https://shop.example/", "\u0000", "x" * 1001, "\ud800", ""]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def nearly(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Bodies with the documented fields, each right, wrong or missing; and bodies that are something else."""
    return st.fixed_dictionaries({}, optional={name: field | json_values for name, field in fields.items()}) | (
        json_values
    )


booleans, qualities, ids = st.booleans(), st.integers(-1, 3), st.lists(st.sampled_from(["a", "b"]), max_size=3)
new_model = nearly(name=st.just("n"), fileName=st.just("n.glb"), fileType=st.sampled_from(["glb", "step", "exe"]))
render_settings = nearly(renderBookmarks=booleans, imageQuality=qualities, videoQuality=qualities)
requests = st.one_of(
    st.tuples(st.just(("POST", "/models")), nearly(models=st.lists(new_model, max_size=3))),
    st.tuples(st.just(("POST", "/models/a/confirm")), nearly(fileType=st.just("glb"))),
    st.tuples(st.just(("POST", "/models/status")), nearly(modelIds=ids)),
    st.tuples(
        st.just(("POST", "/projects")),
        nearly(name=st.just("n"), modelIds=ids, templateId=st.just("t"), createPerModel=booleans),
    ),
    st.tuples(st.just(("POST", "/renders")), nearly(projectIds=ids, settings=render_settings)),
    st.tuples(
        st.just(("POST", "/jobs")),
        nearly(
            models=st.lists(new_model, max_size=3),
            templateId=st.sampled_from(["t", bundled_templates()[0].template_id]),
            createProjects=booleans,
            renderSettings=render_settings,
        ),
    ),
    st.tuples(
        st.just(("PUT", "/webhooks")),
        nearly(url=st.just("https://shop.example/"), events=st.just(["model.failed"]), enabled=booleans),
    ),
)


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    with inside_studio(tmp_path_factory.mktemp("fuzz")) as studio:
        yield studio


def check(answer: httpx.Response) -> None:
    assert answer.status_code < 500
    body = answer.json()
    assert isinstance(body, dict)
    if answer.status_code >= 400:
        assert set(body) == {"error"} and set(body["error"]) == {"code", "message"} and all(body["error"].values())


@given(requests)
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_any_json_body(inside: InProcess, asked: tuple[tuple[str, str], Any]) -> None:
    (method, path), body = asked
    url = inside.api.url + path
    headers = {"Content-Type": "application/json"}
    check(inside.api.http.request(method, url, content=json.dumps(body), headers=headers))


@given(
    content=st.binary(max_size=40),
    content_type=st.sampled_from(["application/json", "application/json; charset=utf-16", "text/plain", ";", "a/b/c"]),
    path=st.sampled_from(["/models", "/models/status", "/models/a/confirm", "/projects", "/renders", "/jobs"]),
)
@settings(deadline=None, max_examples=100)
def test_any_bytes(inside: InProcess, path: str, content: bytes, content_type: str) -> None:
    check(inside.api.http.post(inside.api.url + path, content=content, headers={"Content-Type": content_type}))


@given(
    word=st.text(max_size=30) | st.binary(max_size=10).map(lambda raw: raw.decode("latin-1")),
    path=st.sampled_from(
        [
            "GET /renders/{}",
            "POST /renders/{}/retry",
            "POST /models/{}/confirm",
            "GET /jobs/{}",
            "POST /jobs/{}/confirm",
            "GET /files/{}",
        ]
    ),
)
@settings(deadline=None, max_examples=100)
def test_any_id_in_a_path(inside: InProcess, path: str, word: str) -> None:
    method, _, rest = path.partition(" ")
    target = wire.API_PREFIX + rest.format(quote(word, safe=""))
    status, answer = inside.api.verbatim(method, target, b'{"fileType": "glb"}')
    assert 400 <= status < 500 and answer["error"]["message"]


@given(
    query=st.dictionaries(st.sampled_from(["expires", "signature", "internal", "public"]), st.text(max_size=20)),
    path=st.text(max_size=30).filter(lambda path: "\n" not in path),
)
@settings(deadline=None, max_examples=100)
def test_any_signed_url(inside: InProcess, path: str, query: dict[str, str]) -> None:
    target = f"/uploads/{quote(path)}?{urlencode(query)}"
    status, answer = inside.api.verbatim("PUT", target, b"content")
    assert (status, answer["error"]["code"]) == (403, "signature_does_not_match")
