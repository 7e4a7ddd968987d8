"""glTF in text, alone with everything embedded or in a zip archive with its buffers and pictures: put into one GLB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glossi_sync.studio.processing.archive import Archive, is_archive
from glossi_sync.studio.processing.facts import refuse
from glossi_sync.studio.processing.glb_writer import write_glb
from glossi_sync.studio.processing.inspection import embedded, parse_json

_MIME_TYPES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp", b"\xabKTX": "image/ktx2"}


def convert(path: Path, file_type: str, target: Path) -> None:
    """See ``formats.convert``."""
    archive = Archive(path) if is_archive(path) else None
    name = "" if archive is None else archive.main(".gltf", ".glb")
    content = path.read_bytes() if archive is None else archive.read(name)
    if content[:4] == b"glTF":  # A GLB that came under another name is taken for what it is.
        target.write_bytes(content)
        return
    document = parse_json(content)
    write_glb(target, *_merged(document, archive, name))


def _merged(document: dict[str, Any], archive: Archive | None, name: str) -> tuple[dict[str, Any], list[bytes]]:
    """The document with one buffer, which holds all others and every picture; and that buffer's pieces."""
    pieces: list[bytes] = []
    begins: list[int] = []
    length = 0

    def keep(content: bytes) -> int:
        nonlocal length
        begin = length
        pieces.append(content + b"\0" * (-len(content) % 4))
        length += len(pieces[-1])
        return begin

    buffers, views, images = (_objects(document, kind) for kind in ("buffers", "bufferViews", "images"))
    for index, buffer in enumerate(buffers):
        where = f"buffers[{index}]"
        if "uri" not in buffer and "EXT_meshopt_compression" in buffer.get("extensions", {}):
            begins.append(length)
            continue
        content = _bytes_of(buffer.get("uri"), where, archive, name)
        claimed = buffer.get("byteLength")
        if not isinstance(claimed, int) or claimed > len(content):
            refuse(f"{where} claims {claimed} bytes, its file has {len(content):,}")
        begins.append(keep(content))
    for index, view in enumerate(views):
        compressed = view.get("extensions", {}).get("EXT_meshopt_compression")
        for entry in (view, *([compressed] if isinstance(compressed, dict) else [])):
            of = entry.get("buffer")
            if not isinstance(of, int) or not 0 <= of < len(buffers):
                refuse(f"bufferViews[{index}] refers to buffers[{of}], and there are {len(buffers)} buffers")
            offset = entry.get("byteOffset", 0)
            size = entry.get("byteLength")
            if not isinstance(offset, int) or not isinstance(size, int) or offset < 0 or size < 0:
                refuse(f"bufferViews[{index}] has no sensible byteOffset and byteLength")
            if "uri" in buffers[of] and offset + size > buffers[of]["byteLength"]:
                refuse(f"bufferViews[{index}] reaches beyond buffers[{of}]")
            entry["buffer"], entry["byteOffset"] = 0, begins[of] + offset
    for index, image in enumerate(images):
        if "uri" not in image:
            continue
        content = _bytes_of(image.pop("uri"), f"images[{index}]", archive, name)
        image["mimeType"] = next((kind for magic, kind in _MIME_TYPES.items() if content.startswith(magic)), "?")
        image["bufferView"] = len(views)
        views.append({"buffer": 0, "byteOffset": keep(content), "byteLength": len(content)})
    if views:
        document["bufferViews"] = views
    document.pop("buffers", None)
    if pieces:
        document["buffers"] = [{"byteLength": length}]
    return document, pieces


def _objects(document: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    entries = document.get(kind, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        refuse(f"{kind} is not a list of objects")
    if not all(isinstance(entry.get("extensions", {}), dict) for entry in entries):
        refuse(f"the extensions of an entry of {kind} are not an object")
    return entries


def _bytes_of(uri: object, where: str, archive: Archive | None, name: str) -> bytes:
    if not isinstance(uri, str):
        refuse(f"{where} has no uri")
    if uri.startswith("data:"):
        return embedded(uri, where)
    if archive is None:
        refuse(
            f"{where} is in another file ({uri[:80]!r}), which was not uploaded: upload a zip archive of the .gltf file"
            " and all its files, or export the model as one GLB"
        )
    found = archive.find(uri, name)
    if found is None:
        refuse(f"{where} is in the file {uri[:80]!r}, which the zip archive does not hold: pack it, too")
    return archive.read(found)
