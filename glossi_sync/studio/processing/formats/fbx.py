"""FBX, alone or in a zip archive with its textures. With Blender, where the studio has one (``blender``).

Of what reads FBX, Blender's importer is kept best; the bindings that have wheels are not (``ufbx`` crashes when
Python collects its garbage). The model stands as in its first frame; animations are left behind. A texture that lies
neither in the file nor in the archive is left out.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from glossi_sync.studio.blender import Blender, BlenderError, BlenderMissing
from glossi_sync.studio.processing.archive import Archive, is_archive
from glossi_sync.studio.processing.facts import refuse

_SECONDS = 100.0
_PICTURES = {".png", ".jpg", ".jpeg", ".tga", ".bmp", ".tif", ".tiff", ".webp"}


def convert(path: Path, file_type: str, target: Path) -> None:
    """See ``formats.convert``."""
    with TemporaryDirectory(dir=target.parent) as folder:
        source = Path(folder) / "model.fbx"
        if is_archive(path):
            _unpack(Archive(path), source)
        else:
            shutil.copyfile(path, source)
        with source.open("rb") as file:
            if not file.read(1024).lstrip().startswith((b"Kaydara FBX Binary", b";")):
                refuse("the file is not an FBX")
        try:
            with Blender() as blender:
                blender.ask(_SECONDS, do="convert", source=str(source), target=str(target))
        except BlenderMissing:
            refuse(
                "this studio is not set up to convert FBX files: export the model as GLB (binary glTF 2.0) and upload"
                " that, or have the studio's operator install Blender (glossi-sync studio engines says how)"
            )
        except BlenderError as error:
            said = str(error).replace(folder, "")
            refuse(f"the FBX file cannot be converted: {said}. Export it again, or as GLB")
        if not target.exists():
            refuse("the FBX file cannot be converted: nothing came of it. Export it again, or as GLB")


def _unpack(archive: Archive, source: Path) -> None:
    """The model and its pictures side by side, where the importer looks for them."""
    source.write_bytes(archive.read(archive.main(".fbx")))
    for name in archive.names():
        plain = re.sub(r"[^A-Za-z0-9._ -]", "_", PurePosixPath(name).name).lstrip(".")
        if PurePosixPath(plain).suffix.lower() in _PICTURES:
            source.with_name(plain).write_bytes(archive.read(name))
