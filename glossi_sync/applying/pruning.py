"""Pruning: files at home that no render of the spec wants any more.

Only what the state has brought home, and what is still as it was brought, is ever removed. Where a render's new files
are not known yet, its old ones stay until they are; those of a render that has left the spec stay until an apply
forgets it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from glossi_sync.applying.downloads import Due, path_of, refuse_way_out, sha256_of
from glossi_sync.applying.events import Emit, Failed, Removed
from glossi_sync.spec import Desired, Downloads
from glossi_sync.state import Download, DropDownload, RenderedFile, State

_PER_FILE = ("{name}", "{variant}", "{ext}")


@dataclass(frozen=True, slots=True)
class Prunable:
    """What nothing wants: ``unaltered`` files are to be removed, ``altered`` ones stay, ``gone`` are there no more."""

    unaltered: tuple[Download, ...] = ()
    altered: tuple[Download, ...] = ()
    gone: tuple[Download, ...] = ()


def plan_prune(
    downloads: Downloads, due: Due, desired: Mapping[str, Desired], at_home: Mapping[str, Download]
) -> Prunable:
    """What lies at home and belongs to no render of the whole spec; each file is read, to know it as unaltered."""
    waiting = {_folder(downloads.path, address, desired) for address in due.unfinished}
    found: dict[str, list[Download]] = {"unaltered": [], "altered": [], "gone": []}
    for path, download in sorted(at_home.items()):
        if path in due.paths or download.render_id in due.bound:
            continue
        if any(str(parent) in waiting for parent in PurePosixPath(path).parents):
            continue
        file = downloads.to / path
        if not os.path.lexists(file):
            found["gone"].append(download)
        elif download.sha256 is not None and not file.is_symlink() and sha256_of(file) == download.sha256:
            found["unaltered"].append(download)
        else:
            found["altered"].append(download)
    return Prunable(**{name: tuple(ones) for name, ones in found.items()})


def prune(folder: Path, prunable: Prunable, state: State, emit: Emit) -> Sequence[Download]:
    """Remove the unaltered files, and the folders that this leaves empty; answers what was removed.

    Raises:
        StateError: the state cannot be written.
    """
    removed: list[Download] = []
    for one in prunable.unaltered:
        file = folder / one.path
        try:
            refuse_way_out(folder, file)
            file.unlink(missing_ok=True)
        except OSError as error:
            emit(Failed("downloads", f"{one.path} could not be removed: {error.strerror or error}"))
            continue
        removed.append(one)
        emit(Removed(str(file)))
        _remove_empty(folder, file.parent)
    state.write([DropDownload(one.path) for one in (*removed, *prunable.gone)])
    return removed


def _remove_empty(root: Path, folder: Path) -> None:
    with suppress(OSError):  # it is not empty, or not ours
        while folder != root:
            folder.rmdir()
            folder = folder.parent


def _folder(pattern: str, address: str, desired: Mapping[str, Desired]) -> str:
    """The folder in which all files of a render will lie, whatever they are called; ``.`` for the downloads folder."""
    first = min(pattern.index(one) for one in _PER_FILE if one in pattern)
    models = desired[desired[address].parents[0]].parents
    anything = RenderedFile("", "x", "x", "x", is_video=False)
    place = path_of(pattern[: pattern.rfind("/", 0, first) + 1] + "{name}", address, models, anything)
    return str(PurePosixPath(place).parent)
