"""Models whose files lie in a bucket or on a web server: applied without a copy on this machine, and only what changed."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from remote_places import SECRET, Bucket, Web, web
from shop import Shop
from triangle import triangle


@pytest.fixture
def site() -> Iterator[Web]:
    with web() as running:
        yield running


@pytest.fixture
def catalogue(new_shop: Callable[..., Shop], bucket: Bucket) -> Shop:
    """Fifty products in a bucket, one a row."""
    shop = new_shop(
        "remote",
        templates={"light": {"name": "Studio Light"}},
        renderSettings={"web": {"renderShots": False}},
        catalogues=[
            {
                "rows": "products.csv",
                "key": "${row.sku}",
                "model": {"file": f"{bucket.url}/models/${{row.sku}}.glb"},
                "project": {"template": "light", "renders": ["web"]},
            }
        ],
    )
    shop.secrets.add(SECRET)
    skus = [f"p{number}" for number in range(50)]
    (shop.folder / "products.csv").write_text("sku\n" + "\n".join(skus) + "\n")
    for sku in skus:
        bucket.put(f"models/{sku}.glb", triangle(f"{shop.folder} {sku}"))
    shop.save()
    return shop


def files_of(folder: Path) -> set[str]:
    """What lies in a folder, but for the state."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.*") if "state" not in path.parts}


def test_a_catalogue_in_a_bucket_is_applied_and_a_change_there_costs_one_product(
    catalogue: Shop, bucket: Bucket
) -> None:
    applied = catalogue.applied()
    assert applied.summary["converged"] and applied.summary["steps"]["upload"] == 50
    assert files_of(catalogue.folder) - {"glossi.yaml", "products.csv"} == set()
    names = "SELECT file_name FROM models WHERE file_name LIKE 'p%.glb'"
    assert {f"p{number}.glb" for number in range(50)} <= {name for (name,) in catalogue.studio.rows(names)}
    bucket.asked.clear()
    assert catalogue.settled()
    assert len(bucket.gets()) == 50 and bucket.gets(200) == []
    bucket.put("models/p7.glb", triangle("another"))
    bucket.asked.clear()
    changed = catalogue.applied()
    assert changed.actions() == dict.fromkeys(("model.p7", "project.p7", "render.p7/web"), "replace")
    assert changed.arrived["PUT upload"] == 1
    assert bucket.gets(200) == ["models/p7.glb"] * 2, "read once for its hash, by the plan, and once for its upload"


def test_an_object_that_changes_between_the_plan_and_its_upload_is_refused_and_nothing_arrives(
    catalogue: Shop, bucket: Bucket
) -> None:
    (catalogue.folder / "products.csv").write_text("sku\np1\n")
    catalogue.studio.hold("POST /models", "before")
    running = catalogue.start("apply", "--yes")
    catalogue.studio.wait_until_held()
    bucket.put("models/p1.glb", triangle("another"))
    catalogue.studio.let_go("through")
    ran = catalogue.finish(running, code=3)
    said = f"model.p1: Uploading {bucket.url}/models/p1.glb failed"
    assert said in ran.out + ran.err
    assert "was broken off: the file is no longer what was planned: its ETag is another" in ran.out + ran.err
    models = "SELECT status FROM models WHERE file_name = 'p1.glb' ORDER BY created_at DESC LIMIT 1"
    [(status,)] = catalogue.studio.rows(models)
    assert status not in ("READY", "PROCESSING")
    assert catalogue.run("apply", "--yes").code == 0
    assert catalogue.settled()


def test_a_signed_url_is_applied_and_its_signature_is_shown_and_kept_nowhere(
    new_shop: Callable[..., Shop], site: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.signature = "X-Amz-Expires=60&X-Amz-Signature=s1gnatur3"
    shop = new_shop("signed")
    shop.secrets.add("s1gnatur3")
    content = triangle(f"{shop.folder} lamp")
    url = site.put("/lamp.glb", content)
    shop.spec["models"] = {"lamp": {"file": url + "?${env:SIGNATURE}"}}
    shop.save()
    monkeypatch.setenv("SIGNATURE", site.signature)
    applied = shop.applied()
    assert applied.arrived["PUT upload"] == 1
    assert f"{url}?…" in shop.run("state", "show", "--format", "json").out
    with closing(sqlite3.connect(shop.state)) as connection:
        [(kept, size)] = connection.execute("SELECT url, size FROM remote_files").fetchall()
    assert re.fullmatch(re.escape(url) + r"\?sha256:[0-9a-f]{32}", kept) and size == len(content)
    assert shop.settled()
    monkeypatch.setenv("SIGNATURE", "X-Amz-Signature=s1gnatur3-of-yesterday")
    refused = shop.run("plan", code=1)
    assert f"{url}?… may not be read; its signature may have expired (403)" in refused.err


def test_validate_looks_at_remote_files_too(catalogue: Shop, bucket: Bucket) -> None:
    catalogue.run("validate")
    bucket.put("models/p3.glb", b"version https://git-lfs.github.com/spec/v1\n")
    bucket.remove("models/p4.glb")
    refused = catalogue.run("validate", code=1)
    assert refused.err.splitlines()[-2:] == [
        f"products.csv:5:1: {bucket.url}/models/p3.glb is a Git LFS pointer, not the model itself: run 'git lfs pull'",
        f"products.csv:6:1: {bucket.url}/models/p4.glb does not exist there (404)",
    ]
    assert not (catalogue.folder / "state").exists()
