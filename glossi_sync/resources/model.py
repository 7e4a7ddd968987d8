"""A model: one 3D file, uploaded and processed.

::

    (nothing) --record--> recorded --upload--> uploaded --confirm--> confirmed ~~the service works~~> ready
                                                                          \\~~> failed

Its digest is H(file type, sha256 of the bytes): where the file lies and what it is called do not matter.
Source: guide, Steps 2.1 to 2.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from glossi_sync.resources.digest import digest
from glossi_sync.resources.lifecycle import InDoubt, Kind, Lifecycle, Phase, Step

FILE_TYPES = ("glb", "gltf", "usdz", "usd", "fbx", "obj", "step", "stp", "stl")
"""The file types that the service takes (service facts, "Models")."""

MAX_FILE_BYTES = 1024**3
"""The service's largest file, 1 GB, read as 2**30: nothing is refused here that the service may take
(service facts, "Models")."""

RECORD = Step("record", "POST /models", Phase.RECORDED, InDoubt.ASK_AGAIN, may_stray=True)
UPLOAD = Step("upload", "PUT upload", Phase.UPLOADED, InDoubt.ASK_AGAIN)
CONFIRM = Step("confirm", "POST /models/{id}/confirm", Phase.CONFIRMED, InDoubt.LOOK_FIRST)

LIFECYCLE = Lifecycle(
    kind=Kind.MODEL,
    steps=(RECORD, UPLOAD, CONFIRM),
    complete=Phase.READY,
    failed=Phase.FAILED,
    waiting=Phase.CONFIRMED,
)


@dataclass(frozen=True, slots=True)
class Model:
    """A model's inputs. ``file`` (as the user wrote it) and ``size`` (bytes) explain it; they are not hashed."""

    file_type: str
    sha256: str
    file: str
    size: int

    def digest(self, name: str | None = None) -> str:
        """The model's digest; ``name`` is given only where the spec makes names count."""
        return digest(Kind.MODEL, self.file_type, self.sha256, name)


def file_type_of(path: str) -> str | None:
    """The file type that a path's suffix names, or None where the service takes no such file."""
    suffix = PurePosixPath(path.replace("\\", "/")).suffix.lower().removeprefix(".")
    return suffix if suffix in FILE_TYPES else None
