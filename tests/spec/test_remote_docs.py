"""The page on remote files: its spec is a good one, and what it says of an apply is what an apply says."""

from __future__ import annotations

import re
from pathlib import Path

from glossi_sync import buckets
from glossi_sync.spec import read_spec, remote_hashing, stores

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "remote-files.md").read_text(encoding="utf-8")


def test_the_pages_spec_is_a_good_spec(tmp_path: Path) -> None:
    [spec] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "glossi.yaml").write_text(spec, encoding="utf-8")
    (tmp_path / "products.csv").write_text("sku,template\na1,studio\n")
    models = read_spec(tmp_path / "glossi.yaml", env={}).models
    assert {key: one.location for key, one in models.items()} == {
        "lamp": "s3://shop-models/lamps/lamp.glb",
        "oak": "https://cdn.example/models/oak.glb",
        "a1": "s3://shop-models/studio/a1.glb",
    }


def test_the_pages_words_and_figures_are_the_programs() -> None:
    [said] = re.findall(r"the file (is no longer .*another)\.", PAGE)
    assert said == stores._ANOTHER
    assert (remote_hashing.WORTH_LISTING, stores.PIECE_BYTES) == (200, 512 * 1024)
    for variables in buckets.CREDENTIALS.values():
        assert all(name in PAGE for name in re.findall(r"[A-Z_]{9,}", variables))


def test_the_readme_leads_to_the_page() -> None:
    assert "docs/remote-files.md" in (ROOT / "README.md").read_text(encoding="utf-8")
