"""Model files: whether each can be uploaded, told from one stat and its first bytes."""

from __future__ import annotations

import os
import re
import stat
import struct
from pathlib import Path

from glossi_sync.resources.model import FILE_TYPES, MAX_FILE_BYTES
from glossi_sync.spec.neighbours import Neighbours
from glossi_sync.spec.problems import near
from glossi_sync.spec.remote import is_remote, remote_problem, type_named_by

HEAD_BYTES = 20
"""How much of a file's beginning is looked at: a GLB's header, and that of its first chunk."""


_SPELLED_OTHERWISE = re.compile(r"(?:^|/)\.?(?:/|$)")


class Unfit(Exception):
    """Why a file cannot be uploaded, to be said after its name."""


def location_of(folder: str, file: str) -> str:
    """The absolute path of a file that the spec names, relative to ``folder``, as pathlib spells it; or its URL.

    So two spellings of one path are one; nearly every text is spelled so already, and making a path of each is slow.
    """
    if is_remote(file):
        return file
    if os.sep != "/" or folder == "/" or _SPELLED_OTHERWISE.search(file):
        return str(Path(folder, file))
    return f"{folder}/{file}"


def name_problem(file: str, shown: str, *, typed: bool) -> str | None:
    """Why ``file`` names no model's file, or None where it may; ``typed`` where the suffix need not tell the type.

    ``shown`` is how messages call it (see ``shown_file``).
    """
    problem = remote_problem(file, shown) if is_remote(file) else None
    if problem is not None:
        return problem
    if "\0" in file:
        return "a file's name cannot hold a NUL character"
    if typed or type_named_by(file) is not None:
        return None
    suffix = "" if is_remote(file) or "." not in file else file.rpartition(".")[2].lower()
    hint = near(suffix, FILE_TYPES) if suffix else ""
    return f"the suffix of {shown} names no file type of the service ({', '.join(FILE_TYPES)}){hint}"


def file_problem(path: str, written: str, file_type: str, neighbours: Neighbours | None = None) -> str | None:
    """Why a model's file cannot be uploaded, or None where it can; ``written`` is how the user named ``path``.

    ``neighbours`` saves the work of listing a folder again where many files are looked at.
    """
    try:
        # A Path for each of 100,000 files would cost more than looking at them.
        size = regular_size(os.stat(path))  # noqa: PTH116
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            check_content(file.read(HEAD_BYTES), size, file_type)
    except Unfit as error:
        return f"{written} {error}"
    except OSError as error:
        return unreachable(error, path, written, neighbours)
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
    check_size(size)
    if head.startswith(b"version https://git-"):
        raise Unfit("is a Git LFS pointer, not the model itself: run 'git lfs pull'")
    if file_type == "glb":
        _check_glb(head, size)


def check_size(size: int) -> None:
    """Whether the service takes a file of ``size`` bytes. Raises Unfit."""
    if size == 0:
        raise Unfit("is empty (0 bytes)")
    if size > MAX_FILE_BYTES:
        raise Unfit(f"has {size:,} bytes; the service takes files of up to {MAX_FILE_BYTES:,} (1 GB)")


def unreachable(error: OSError, path: str, written: str, neighbours: Neighbours | None = None) -> str:
    """An OSError on a model's file, in the user's words; a near name in its folder is suggested."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return f"there is no file {written}{(neighbours or Neighbours()).suggest(path)}"
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
