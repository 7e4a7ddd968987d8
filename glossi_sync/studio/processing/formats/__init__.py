"""Formats: a file for each kind of model that is converted to GLB. What cannot be is refused with what to do instead.

    gltf       a text file with everything embedded, or a zip archive of it and its files      no library
    stl        text or binary                                                                   no library
    obj        alone, or a zip archive of it, its materials and its textures                    no library
    usd, usdz  one file of any of USD's three notations, or a package                           usd-core
    step, stp  boundary representations, cut into triangles                                     cascadio
    fbx        alone, or a zip archive of it and its textures                                   Blender

Lengths come out in metres and +Y points up. STEP, USD and FBX say their units and axes. OBJ and STL say neither: an
OBJ is taken to be in metres with +Y up, as Blender and most programs write it; an STL in millimetres with +Z up, as
programs for printing in three dimensions write it. Pictures show the same either way (a product is scaled to its
frame), but the axis matters: turn the model before it is exported, or upload a GLB.

The libraries are optional extras: each is imported where it is used, in a worker.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from glossi_sync.studio.processing.facts import ProcessingError, refuse

INSTEAD = "export it as GLB (binary glTF 2.0) and upload that"

_CONVERTERS = {
    "gltf": "gltf",
    "stl": "stl",
    "obj": "obj",
    "fbx": "fbx",
    "usd": "usd",
    "usdz": "usd",
    "step": "step",
    "stp": "step",
}
_LIBRARIES = {"usd": ("pxr", "usd"), "step": ("cascadio", "step")}
"""By module: what it imports, and the extra that brings it."""


def convert(path: Path, file_type: str, target: Path) -> None:
    """Make a GLB of a model's file.

    Raises:
        ProcessingError: it cannot be converted, and what to do.
        OSError: a file cannot be read or written.
    """
    if path.stat().st_size == 0:
        refuse("the file is empty")
    name = _CONVERTERS.get(file_type)
    if name is None:
        refuse(f"this studio cannot convert {file_type.upper()} files: {INSTEAD}")
    library, extra = _LIBRARIES.get(name, ("", ""))
    if library:
        try:
            importlib.import_module(library)
        except ImportError:
            refuse(
                f"this studio is not set up to convert {file_type.upper()} files: {INSTEAD}, or have the studio's"
                f" operator run pip install 'glossi-sync[{extra}]'"
            )
    converter: Callable[[Path, str, Path], None] = importlib.import_module(f"{__name__}.{name}").convert
    try:
        converter(path, file_type, target)
    except ProcessingError as error:
        # Whatever is wrong, there is a way that always works.
        refuse(str(error) if "GLB" in str(error) else f"{error}. Or {INSTEAD}")
    except (OSError, MemoryError):
        raise
    except Exception as error:
        # A defect of the file that the library met in a way of its own; what it says is the best there is to say.
        said = " ".join(str(error).replace(str(target.parent), "").replace(str(path), "").split())[:300]
        said = said or type(error).__name__
        refuse(f"the {file_type.upper()} file cannot be converted: {said}. Check it, or {INSTEAD}")
