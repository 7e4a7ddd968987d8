"""Finding the models in a folder, however deep they lie."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from glossi_sync.errors import UserError
from glossi_sync.resources import FILE_TYPES
from glossi_sync.resources.model import file_type_of
from glossi_sync.spec.problems import is_utf8

OWN_FOLDERS = ("state", "renders")
"""What glossi-sync itself keeps beside a spec: the studio's copies of models lie there, too."""


class NoModels(UserError):
    """There is nothing to make a spec of; the message says where was looked, and for what."""


@dataclass(frozen=True, slots=True)
class Found:
    """The models of a folder.

    ``files`` are paths relative to the spec's folder, with ``/``, sorted; ``root`` is the folder so, without a slash at
    its end and empty where it is the spec's own. ``beside`` tells whether the spec lies in the folder or below it, and
    with it the state. ``unnamed`` counts the files whose names are no text.
    """

    root: str
    beside: bool
    files: tuple[str, ...]
    unnamed: int = 0


def find_models(folder: Path, beside: Path) -> Found:
    """Every file below ``folder`` whose suffix is a file type of the service, for a spec in the folder ``beside``.

    Hidden files and folders are passed over, and so are the state and the renders of the spec. Links to folders are not
    followed.

    Raises:
        NoModels: there is none, or no such folder.
    """
    if not folder.is_dir():
        raise NoModels(f"There is no folder {folder} to look for models in.")
    top, home = folder.resolve(), beside.resolve()
    try:
        found = sorted(_walk(str(top), {str(home / name) for name in OWN_FOLDERS}))
    except OSError as error:
        raise NoModels(f"The folder {error.filename} cannot be read: {error.strerror}.") from None
    named = [path for path in found if is_utf8(path)]
    if not named:
        wanted = ", ".join(f".{name}" for name in FILE_TYPES)
        raise NoModels(
            f"There are no models in {folder} or below it: files named {wanted}. Name the folder that has some: "
            "glossi-sync init FOLDER"
        )
    root = _relative(str(top), home)
    files = tuple(_relative(path, home) for path in named)
    return Found("" if root == "." else root, home.is_relative_to(top), files, len(found) - len(named))


def _walk(folder: str, own: set[str]) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                if entry.path not in own:
                    yield from _walk(entry.path, own)
            elif file_type_of(entry.name) is not None and entry.is_file():
                yield entry.path


def _relative(path: str, home: Path) -> str:
    try:
        return Path(os.path.relpath(path, home)).as_posix()
    except ValueError:  # another drive, on Windows
        return Path(path).as_posix()
