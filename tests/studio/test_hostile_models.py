"""Models that are made to do harm: each is FAILED in words, in little time and memory, while the studio answers."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from small_glb import box, box_document, pack, pack_text
from studio_client import Api, ok

from glossi_sync.service import wire
from glossi_sync.studio.processing import ProcessingError, process
from glossi_sync.studio.processing.limits import limited_memory

DEEP = 10_000
SECONDS = 30
"""Each takes a second or two; the machine may be busy."""

MEGABYTES = 1500


def changed(change: Callable[[dict[str, Any]], None]) -> bytes:
    document, binary = box_document()
    change(document)
    return pack(document, binary)


def four_gigabytes(document: dict[str, Any]) -> None:
    document["accessors"][0]["count"] = 4 * 1024**3 // 12


def four_gigabytes_sparse(document: dict[str, Any]) -> None:
    accessor = document["accessors"][0]
    del accessor["bufferView"]
    accessor["count"] = 4 * 1024**3 // 12
    document["meshes"][0]["primitives"][0]["mode"] = 0
    accessor["sparse"] = {
        "count": 1,
        "indices": {"bufferView": 1, "componentType": 5123},
        "values": {"bufferView": 0},
    }
    del document["meshes"][0]["primitives"][0]["indices"]


def elsewhere(document: dict[str, Any]) -> None:
    document["buffers"][0]["uri"] = "file:///etc/passwd"


def on_the_network(document: dict[str, Any]) -> None:
    document["images"] = [{"uri": "http://169.254.169.254/latest/meta-data"}]


def not_a_number(document: dict[str, Any]) -> None:
    document["accessors"][0]["min"] = [float("nan")] * 3


def endless(document: dict[str, Any]) -> None:
    document["accessors"][0]["max"] = ["infinity"] * 3


def deep(document: dict[str, Any]) -> None:
    document["nodes"] = [{"children": [index + 1]} for index in range(DEEP)] + [{"mesh": 0}]


def cyclic(document: dict[str, Any]) -> None:
    document["nodes"] = [{"children": [1]}, {"children": [2]}, {"children": [0], "mesh": 0}]


def laughing(document: dict[str, Any]) -> None:
    """Each node shows the next ten times over: ten to the power of thirty boxes."""
    document["nodes"] = [{"children": [index + 1] * 10} for index in range(30)] + [{"mesh": 0}]


def many_instances(document: dict[str, Any]) -> None:
    document["nodes"] = [{"mesh": 0}] * 300_000
    document["scenes"][0]["nodes"] = list(range(300_000))


def many_triangles(document: dict[str, Any]) -> None:
    document["meshes"][0]["primitives"] = document["meshes"][0]["primitives"] * 50_000
    document["nodes"] = [{"mesh": 0}] * 200
    document["scenes"][0]["nodes"] = list(range(200))


def bomb_picture(side: int) -> bytes:
    """A PNG of a few kilobytes that unpacks to gigabytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 1_000_000)) + chunk(b"IEND", b"")


def pictured(*sides: int) -> bytes:
    document, binary = box_document()
    document["images"] = []
    for side in sides:
        picture = bomb_picture(side)
        document["images"].append({"bufferView": len(document["bufferViews"]), "mimeType": "image/png"})
        document["bufferViews"].append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(picture)})
        binary += picture + b"\0" * (-len(picture) % 4)
    document["buffers"][0]["byteLength"] = len(binary)
    return pack(document, binary)


@cache
def zip_bomb(name: str, megabytes: int) -> bytes:
    target = io.BytesIO()
    with (
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed,
        packed.open(name, "w", force_zip64=True) as file,
    ):
        for _ in range(megabytes):
            file.write(b"\0" * 1024**2)
    return target.getvalue()


def truncated_json() -> bytes:
    content = box()
    (length,) = struct.unpack_from("<I", content, 12)
    return content[:12] + struct.pack("<I", length // 2 & ~3) + content[16:]


HOSTILE: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "an empty file": ("glb", lambda: b"", "empty"),
    "4 GB of accessors": ("glb", lambda: changed(four_gigabytes), "claims 357,913,941 elements"),
    "4 GB of sparse accessors": ("glb", lambda: changed(four_gigabytes_sparse), "nothing to see"),
    "a file of the server's": ("glb", lambda: changed(elsewhere), "which was not uploaded"),
    "an address of the network's": ("glb", lambda: changed(on_the_network), "which was not uploaded"),
    "a NaN bounding box": ("glb", lambda: changed(not_a_number), "NaN is not a number that JSON knows"),
    "an endless bounding box": (
        "glb",
        lambda: changed(endless).replace(b'"infinity"', b"1e99999999"),
        "accessors[0].max",
    ),
    "10,000 nodes deep": ("glb", lambda: changed(deep), "nested more than 512 deep"),
    "nodes in a circle": ("glb", lambda: changed(cyclic), "reached twice"),
    "a billion laughs": ("glb", lambda: changed(laughing), "reached twice"),
    "too many nodes": ("glb", lambda: changed(many_instances), "more than 250,000 nodes"),
    "too many triangles": ("glb", lambda: changed(many_triangles), "more than 100,000,000 triangles"),
    "a picture as large as a house": ("glb", lambda: pictured(30_000), "30000 x 30000 pixels"),
    "pictures that are a bomb together": ("glb", lambda: pictured(16_000, 16_000), "million pixels together"),
    "half of its JSON": ("glb", truncated_json, "JSON cannot be read"),
    "JSON in JSON": ("glb", lambda: pack_text(b'{"a":' * 100_000), "nested too deeply"),
    "a zip bomb as USDZ": (
        "usdz",
        lambda: zip_bomb("scene.gltf", 1100),
        "compressed files, which the format does not allow",
    ),
    "a zip bomb as glTF": ("gltf", lambda: zip_bomb("scene.gltf", 1100), "unpacks to more than 1 GB"),
    "an STL that claims much": ("stl", lambda: b"\0" * 80 + b"\xff" * 4 + b"\0" * 50, "claims 4,294,967,295 triangles"),
}


@pytest.mark.parametrize(("file_type", "make", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_it_fails_in_words_and_the_studio_answers_meanwhile(
    api: Api, file_type: str, make: Callable[[], bytes], reason: str
) -> None:
    if file_type == "usdz":
        pytest.importorskip("pxr")
    (model,) = api.create("hostile", file_type=file_type)
    assert api.put(model["uploadUrl"], make(), wire.FILE_TYPES[file_type]).status_code == 200
    ok(api.confirm(model["modelId"], file_type))
    begun, slowest = time.monotonic(), 0.0
    while (state := api.state(model["modelId"]))["status"] not in {"READY", "FAILED"}:
        asked = time.monotonic()
        ok(api.http.get(api.origin + "/health"))
        slowest = max(slowest, time.monotonic() - asked)
        assert time.monotonic() - begun < SECONDS
        time.sleep(0.02)
    assert state["status"] == "FAILED"
    assert reason in state["errorMessage"]
    assert slowest < 5


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's account of a process")
def test_the_memory_that_they_take_is_bounded(tmp_path: Path) -> None:
    """All of them in one process, which says what it took at most.

    From `/proc`: what `getrusage` calls the most counts the test's own process too, from before the `exec`.
    """
    for number, (file_type, make, _) in enumerate(HOSTILE.values()):
        (tmp_path / f"{number}.{file_type}").write_bytes(make())
    script = """
import json, sys
from pathlib import Path
from glossi_sync.studio.processing import ProcessingError, process
said = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        process(path, path.suffix[1:], Path(sys.argv[1]))
    except ProcessingError as error:
        said[path.name] = str(error)
(peak,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
print(json.dumps([int(peak.split()[1]) // 1024, len(said)]))
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    megabytes, refused = json.loads(done.stdout)
    assert refused == len(HOSTILE)
    assert megabytes < MEGABYTES


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the system keeps no such limit elsewhere")
def test_a_limit_that_the_system_keeps(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"")
    with pytest.raises(ProcessingError, match="takes more than 200 MB of memory"), limited_memory(path, 200 * 1024**2):
        bytearray(400 * 1024**2)
    assert len(bytearray(400 * 1024**2)) == 400 * 1024**2, "and gives back"


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts the open files of a process")
def test_what_is_refused_leaves_no_file_open(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gltf"
    path.write_bytes(zip_bomb("scene.txt", 1))
    before = open_files()
    for _ in range(20):
        with pytest.raises(ProcessingError):
            process(path, "gltf", tmp_path)
    after = open_files()
    assert after <= before + 2


def open_files() -> int:
    return len([*Path("/proc/self/fd").iterdir()])
