"""The example's products: their script makes the same bytes each time, and they are what is committed."""

from __future__ import annotations

import importlib.util
import io
import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from glossi_sync.studio.processing import process

STOREFRONT = Path(__file__).parents[2] / "examples" / "storefront"
_KINDS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
NAMES = ("lamp", "chair", "teapot", "perfume")


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    pytest.importorskip("pygltflib", reason="the script that authors the models needs pygltflib (the dev extra)")
    spec = importlib.util.spec_from_file_location("make_models", STOREFRONT / "make_models.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_models"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["make_models"]


def made(script: ModuleType, name: str, folder: Path) -> bytes:
    path = folder / f"{name}.glb"
    script.GlbWriter(script.PRODUCTS[name]()).write(path)
    return path.read_bytes()


def parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    """A GLB's document and its binary chunk."""
    (length,) = struct.unpack_from("<I", content, 12)
    return json.loads(content[20 : 20 + length]), content[28 + length :]


def view(document: dict[str, Any], binary: bytes, index: int) -> bytes:
    entry = document["bufferViews"][index]
    return binary[entry.get("byteOffset", 0) : entry.get("byteOffset", 0) + entry["byteLength"]]


def picture(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def test_every_product_of_the_example_has_its_recipe(script: ModuleType) -> None:
    assert set(script.PRODUCTS) == set(NAMES)
    assert {path.stem for path in (STOREFRONT / "models").glob("*")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_script_makes_the_same_bytes_twice(script: ModuleType, name: str, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    assert made(script, name, tmp_path) == made(script, name, tmp_path / "again")


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_file_is_the_scripts(script: ModuleType, name: str, tmp_path: Path) -> None:
    """Byte for byte with the libraries that it was made with; others may pack its pictures and last digits otherwise."""
    committed, fresh = (STOREFRONT / "models" / f"{name}.glb").read_bytes(), made(script, name, tmp_path)
    if committed == fresh:
        return
    (old, old_binary), (new, new_binary) = parts(committed), parts(fresh)
    for key in sorted(old.keys() | new.keys()):
        if key not in {"buffers", "bufferViews", "accessors"}:
            assert old.get(key) == new.get(key), key
    assert len(old["accessors"]) == len(new["accessors"])
    for before, after in zip(old["accessors"], new["accessors"], strict=True):
        assert [before[k] for k in ("count", "type", "componentType")] == [
            after[k] for k in ("count", "type", "componentType")
        ]
        kind = _KINDS[before["componentType"]]
        first, second = (
            np.frombuffer(view(document, binary, entry["bufferView"]), kind)
            for document, binary, entry in ((old, old_binary, before), (new, new_binary, after))
        )
        assert first == pytest.approx(second, abs=1e-5)
    for before, after in zip(old.get("images", []), new.get("images", []), strict=True):
        first, second = (
            picture(view(old, old_binary, before["bufferView"])),
            picture(view(new, new_binary, after["bufferView"])),
        )
        assert first.shape == second.shape
        assert np.abs(first - second).mean() < 2


def test_the_products_are_small_and_stand_on_the_ground(tmp_path: Path) -> None:
    files = [STOREFRONT / "models" / f"{name}.glb" for name in NAMES]
    assert sum(file.stat().st_size for file in files) < 1_000_000
    for file in files:
        facts = process(file, "glb", tmp_path).facts
        assert facts.minimum[1] == pytest.approx(0, abs=1e-3), file.stem
        assert 0.05 < max(np.subtract(facts.maximum, facts.minimum)) < 3, "in metres"


def test_one_product_has_variants(tmp_path: Path) -> None:
    models = STOREFRONT / "models"
    variants = {name: process(models / f"{name}.glb", "glb", tmp_path).facts.variants for name in NAMES}
    assert variants == {"lamp": (), "chair": ("Oak", "Walnut", "Ebony"), "teapot": (), "perfume": ()}
