"""Model files: whether each can be uploaded, told from one stat and its first bytes."""

from __future__ import annotations

import os
import stat
import struct

from glossi_sync.resources.model import MAX_FILE_BYTES
from glossi_sync.spec.problems import near

HEAD_BYTES = 20
"""How much of a file's beginning is looked at: a GLB's header, and that of its first chunk."""


class Unfit(Exception):
    """Why a file cannot be uploaded, to be said after its name."""


def file_problem(path: str, written: str, file_type: str) -> str | None:
    """Why a model's file cannot be uploaded, or None where it can; ``written`` is how the user named ``path``."""
    try:
        # A Path for each of 100,000 files would cost more than looking at them.
        size = regular_size(os.stat(path))  # noqa: PTH116
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            check_content(file.read(HEAD_BYTES), size, file_type)
    except Unfit as error:
        return f"{written} {error}"
    except OSError as error:
        return unreachable(error, path, written)
    return None


def regular_size(status: os.stat_result) -> int:
    """The size of a regular file in bytes. Raises Unfit for anything else."""
    if stat.S_ISDIR(status.st_mode):
        raise Unfit("is a folder, not a file")
    if not stat.S_ISREG(status.st_mode):
        raise Unfit("is not a regular file")
    return status.st_size


def check_content(head: bytes, size: int, file_type: str) -> None:
    """Look at a file of ``size`` bytes that starts with ``head`` (20 bytes). Raises Unfit."""
    if size == 0:
        raise Unfit("is empty (0 bytes)")
    if size > MAX_FILE_BYTES:
        raise Unfit(f"has {size:,} bytes; the service takes files of up to {MAX_FILE_BYTES:,} (1 GB)")
    if head.startswith(b"version https://git-"):
        raise Unfit("is a Git LFS pointer, not the model itself: run 'git lfs pull'")
    if file_type == "glb":
        _check_glb(head, size)


def unreachable(error: OSError, path: str, written: str) -> str:
    """An OSError on a model's file, in the user's words; a near name in its folder is suggested."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        folder, name = os.path.split(path)
        try:
            names = os.listdir(folder)  # noqa: PTH208 - names are all that is needed
        except OSError:
            return f"there is no file {written}, nor its folder"
        return f"there is no file {written}{near(name, names)}"
    return f"{written} cannot be read: {error.strerror or error}"


def _check_glb(head: bytes, size: int) -> None:
    """Look at a GLB's header (glTF 2.0, "Binary glTF Layout"). Raises Unfit."""
    if not head.startswith(b"glTF"):
        text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
        if text.startswith(b"{"):
            raise Unfit("is glTF as text, not GLB: give it the suffix .gltf, or fileType: gltf")
        if head.startswith(b"PK"):
            raise Unfit("is a ZIP archive, not GLB; is it USDZ? Then give it the suffix .usdz")
        raise Unfit("is not a GLB file: it does not start with 'glTF'")
    if len(head) < HEAD_BYTES:
        raise Unfit(f"is cut short: {size} bytes do not hold even a GLB's header of {HEAD_BYTES}")
    _, version, length, chunk_length, chunk_type = struct.unpack("<4sIII4s", head)
    if version != 2:
        raise Unfit(f"is glTF version {version}; the service takes GLB of version 2")
    if length > size:
        raise Unfit(
            f"is cut short: its header declares {length:,} bytes, it has {size:,} ({length - size:,} are missing)"
        )
    if length < size:
        raise Unfit(f"has {size:,} bytes where its header declares {length:,} ({size - length:,} follow its end)")
    if chunk_type != b"JSON":
        raise Unfit("is a broken GLB file: its first chunk is not JSON")
    if chunk_length > size - HEAD_BYTES:
        raise Unfit(f"is a broken GLB file: its first chunk claims {chunk_length:,} bytes, more than the file has")
