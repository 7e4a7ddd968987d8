"""URLs of model files: which are accepted, what is told from them, and what of them is never shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glossi_sync.spec import Spec, SpecError, read_spec
from glossi_sync.spec.remote import remembered_as, remote_name, shown_file, type_named_by

HEAD = {"version": 1, "workspace": "shop"}


def read(folder: Path, *files: str, **model: str) -> Spec:
    models = {f"m{number}": {"file": file, **model} for number, file in enumerate(files)}
    (folder / "glossi.yaml").write_text(json.dumps({**HEAD, "models": models}))
    return read_spec(folder / "glossi.yaml", env={"SIG": "s1gn"})


def refusal(folder: Path, file: str, **model: str) -> str:
    with pytest.raises(SpecError) as caught:
        read(folder, file, **model)
    (problem,) = caught.value.problems
    assert problem.line == 1
    return problem.message


@pytest.mark.parametrize(
    ("url", "name", "file_type"),
    [
        ("s3://shop/lamp.glb", "lamp.glb", "glb"),
        ("s3://shop/a/My Lämp@2x #1?%20.GLB", "My Lämp@2x #1?%20.GLB", "glb"),
        ("gs://my.shop_1/a/b/c.step", "c.step", "step"),
        ("az://container/lamp.usdz", "lamp.usdz", "usdz"),
        ("https://cdn.example/lamp.fbx", "lamp.fbx", "fbx"),
        ("https://cdn.example:8443/a/My%20L%C3%A4mp.glb?X-Sig=a/b.obj&e=1", "My Lämp.glb", "glb"),
        ("http://127.0.0.1:9000/lamp.stl", "lamp.stl", "stl"),
        ("http://localhost/lamp.stl", "lamp.stl", "stl"),
    ],
)
def test_a_models_file_may_be_a_url(tmp_path: Path, url: str, name: str, file_type: str) -> None:
    """What lies there is not asked: hashing finds out."""
    (model,) = read(tmp_path, url).models.values()
    assert (model.location, model.file_type) == (url, file_type)
    assert remote_name(url) == name


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://shop/lamp.glb", "'ftp://shop/lamp.glb' is a URL of a kind that cannot be read: use s3://, gs://, az:// or"),
        ("s3://shop", "'s3://shop' names no file in a bucket: write s3://BUCKET/KEY"),
        ("gs://shop/", "'gs://shop/' names no file in a bucket: write gs://BUCKET/KEY"),
        ("az:///lamp.glb", "'az:///lamp.glb' names no file in a bucket: write az://BUCKET/KEY"),
        ("s3://my shop/lamp.glb", "'s3://my shop/lamp.glb' names no file in a bucket: write s3://BUCKET/KEY"),
        ("s3://shop//lamp.glb", "the key in 's3://shop//lamp.glb' must not hold empty parts, '.' or '..'"),
        ("s3://shop/a/../lamp.glb", "the key in 's3://shop/a/../lamp.glb' must not hold empty parts, '.' or '..'"),
        ("s3://shop/lamp.glb/", "the key in 's3://shop/lamp.glb/' must not hold empty parts, '.' or '..'"),
        ("s3://shop/a\nb.glb", "holds a control character"),
        ("http://cdn.example/lamp.glb", "'http://cdn.example/lamp.glb' would be read unencrypted: use https://"),
        ("https:///lamp.glb", "the URL 'https:///lamp.glb' must be a URL that starts with https:// or http:// and names a host"),
        ("https://cdn.example/my lamp.glb", "the URL 'https://cdn.example/my lamp.glb' must be a URL, without spaces"),
        ("https://cdn.example/lamp #1.glb", "must be a URL, without spaces"),
        ("https://cdn.example/lamp#1.glb", "must not hold '#': write %23 where it is part of a name"),
        ("https://cdn.example/lamp?f=x.glb", "the suffix of 'https://cdn.example/lamp?…' names no file type of the service"),
        ("s3://shop/lamp", "the suffix of 's3://shop/lamp' names no file type of the service"),
    ],
)  # fmt: skip
def test_a_url_that_names_no_file_is_refused(tmp_path: Path, url: str, said: str) -> None:
    assert said in refusal(tmp_path, url)


@pytest.mark.parametrize(
    "url",
    [
        "https://ana:hunter2@cdn.example/lamp.glb",
        "https://hunter2@cdn.example/lamp.glb",
        "https://ana:hun/ter2@cdn.example/lamp.glb",
        "https://ana:hunter2@/lamp.glb",
        "http://ana:hunter2@127.0.0.1/lamp.glb",
        "s3://AKIA:hunter2@shop/lamp.glb",
        "https://cdn.example/lamp.xyz?signature=hunter2",
        "https://cdn.example/my lamp.glb?signature=hunter2",
        "ftp://ana:hunter2@cdn.example/lamp.glb",
        "ftp://cdn.example/lamp.glb?signature=hunter2",
    ],
)
def test_no_refusal_shows_a_password_or_a_signature(tmp_path: Path, url: str) -> None:
    said = refusal(tmp_path, url)
    assert "hun" not in said and "ter2" not in said


def test_a_fileType_makes_up_for_a_missing_suffix(tmp_path: Path) -> None:
    spec = read(tmp_path, "https://cdn.example/download?id=7", "s3://shop/lamp", fileType="glb")
    assert [model.file_type for model in spec.models.values()] == ["glb", "glb"]
    assert remote_name("https://cdn.example/?id=7") == "cdn.example"


def test_what_is_shown_of_a_file_is_all_but_what_may_be_secret(tmp_path: Path) -> None:
    spec = read(tmp_path, "https://cdn.example/lamp.glb?sig=s1gn", "https://cdn.example/lamp.glb?sig=${env:SIG}")
    assert [model.file for model in spec.models.values()] == ["https://cdn.example/lamp.glb?…"] * 2
    assert len({model.location for model in spec.models.values()}) == 1
    assert shown_file("models/what?.glb") == "models/what?.glb"
    assert shown_file("s3://shop/what?#.glb") == "s3://shop/what?#.glb"


@given(st.text("ab%&=/?", max_size=8), st.text("ab%&=/?", max_size=8))
def test_the_state_tells_urls_apart_without_knowing_their_queries(one: str, other: str) -> None:
    urls = [f"https://cdn.example/lamp.glb?sig=5ecret{query}" for query in (one, other)]
    names = [remembered_as(url) for url in urls]
    assert (names[0] == names[1]) == (one == other)
    assert not any("5ecret" in name for name in names)
    assert names[0].startswith("https://cdn.example/lamp.glb?")
    assert remembered_as("s3://shop/what?.glb") == "s3://shop/what?.glb"


def test_the_type_of_a_path_is_told_as_ever() -> None:
    assert type_named_by("a.b/lamp?.GLB") == "glb"
    assert type_named_by("lamp") is None


def catalogue(folder: Path, file: str, *urls: str) -> Spec:
    (folder / "rows.csv").write_text("sku,url\n" + "".join(f"k{n},{url}\n" for n, url in enumerate(urls)))
    entry = {"rows": "rows.csv", "key": "${row.sku}", "model": {"file": file}}
    (folder / "glossi.yaml").write_text(json.dumps({**HEAD, "catalogues": [entry]}))
    return read_spec(folder / "glossi.yaml", env={"SIG": "s1gn"})


def test_a_catalogues_rows_may_name_urls_and_paths(tmp_path: Path) -> None:
    (tmp_path / "lamp.obj").write_bytes(b"o lamp")
    spec = catalogue(tmp_path, "${row.url}", "s3://shop/a.glb", "lamp.obj", "https://cdn.example/b.stl?x.obj")
    assert [(one.file, one.location, one.file_type) for one in spec.models.values()] == [
        ("s3://shop/a.glb", "s3://shop/a.glb", "glb"),
        ("lamp.obj", str(tmp_path / "lamp.obj"), "obj"),
        ("https://cdn.example/b.stl?…", "https://cdn.example/b.stl?x.obj", "stl"),
    ]


def test_a_catalogues_template_may_be_a_url(tmp_path: Path) -> None:
    spec = catalogue(tmp_path, "https://cdn.example/${row.url}.glb?sig=${env:SIG}", "a", "b")
    assert [(one.file, one.location) for one in spec.models.values()] == [
        (f"https://cdn.example/{sku}.glb?…", f"https://cdn.example/{sku}.glb?sig=s1gn") for sku in "ab"
    ]


def test_a_mistake_in_a_rows_url_is_told_at_its_field(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        catalogue(
            tmp_path, "${row.url}", "s3://shop/a.glb", "s3://shop", "https://a:hunter2@b/c.glb", "https://b/c.xyz?k"
        )
    assert [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems] == [
        "rows.csv:3:4: 's3://shop' names no file in a bucket: write s3://BUCKET/KEY",
        "rows.csv:4:4: the URL must not hold a user name or password",
        "rows.csv:5:4: the suffix of 'https://b/c.xyz?…' names no file type of the service "
        "(glb, gltf, usdz, usd, fbx, obj, step, stp, stl)",
    ]
