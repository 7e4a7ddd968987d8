"""STL, binary or text: triangles and nothing else. Taken to be in millimetres, with +Z up."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glossi_sync.studio.processing.facts import refuse
from glossi_sync.studio.processing.glb_writer import PLAIN, GlbWriter, shared
from glossi_sync.studio.processing.polygons import smooth_normals

_FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_VERTEX = re.compile(rb"vertex\s+(\S+)\s+(\S+)\s+(\S+)", re.IGNORECASE)

Z_UP_MILLIMETRES = np.array([[0.001, 0, 0, 0], [0, 0, 0.001, 0], [0, -0.001, 0, 0], [0, 0, 0, 1]])


def convert(path: Path, file_type: str, target: Path) -> None:
    """See ``formats.convert``."""
    content = path.read_bytes()
    points = _binary(content)
    if points is None:
        points = _text(content)
    if not len(points):
        refuse("the STL file holds no triangles")
    if not np.isfinite(points).all():
        refuse("the STL file holds a vertex that is not at a finite place")
    triangles = np.arange(len(points)).reshape(-1, 3)
    normals = smooth_normals(points, triangles).reshape(-1, 3)
    writer = GlbWriter("STL")
    primitive = shared(points, normals, material=writer.material(PLAIN))
    writer.node(mesh=writer.mesh([primitive]), transform=Z_UP_MILLIMETRES, root=True)
    writer.write(target)


def _binary(content: bytes) -> NDArray[np.float64] | None:
    """The corners (3 n, 3) of a binary STL; None where it is none: a text may begin with "solid", and so may a head."""
    if len(content) < 84:
        return None
    count = int.from_bytes(content[80:84], "little")
    claimed = 84 + count * _FACET.itemsize
    if claimed > len(content):
        if content[:5].lower() == b"solid":
            return None
        refuse(f"the STL file is cut short, or is none: it claims {count:,} triangles, in {len(content):,} bytes")
    if claimed != len(content) and content[:5].lower() == b"solid" and b"vertex" in content[:4096].lower():
        return None
    facets = np.frombuffer(content, _FACET, count, 84)
    return facets["corners"].reshape(-1, 3).astype(np.float64)


def _text(content: bytes) -> NDArray[np.float64]:
    if content.lstrip()[:5].lower() != b"solid":
        refuse("the file is not an STL: neither a binary one nor one in text")
    try:
        numbers = np.array(_VERTEX.findall(content), dtype="S40").astype(np.float64)
    except ValueError:
        refuse("the STL file holds a vertex that is not three numbers")
    if len(numbers) % 3:
        refuse("the STL file is cut short: its last triangle is not whole")
    return numbers.reshape(-1, 3)
