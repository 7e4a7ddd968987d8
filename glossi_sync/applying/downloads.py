"""Bringing finished renders home: the files of every completed render that is bound, to where the spec says.

``plan_downloads`` decides which files are missing (pure but for a look at the folder), ``bring_home`` fetches them. A
path is made of the spec's placeholders; what an answer of the service puts into it can never lead out of the folder.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol
from unicodedata import normalize

from glossi_sync.applying.events import Downloaded, Emit, Failed
from glossi_sync.resources import Kind, Phase
from glossi_sync.service import ServiceError
from glossi_sync.spec import Desired, Downloads
from glossi_sync.state import Download, Object, PutDownload, Realised, RenderedFile, State

AT_A_TIME = 8

MOST_BYTES = 200
"""The longest name of a file or folder, in bytes of UTF-8. File systems end at 255, and a file that is still arriving
has a longer name than the finished one."""

_LONGEST_SUFFIX = 16

_UNSAFE = re.compile(r'[\x00-\x1f<>:"/\\|?*\ud800-\udfff]+')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Fetch:
    """One file to bring home: whose it is, where the service keeps it, where it goes (below the downloads folder)."""

    address: str
    file: RenderedFile
    path: str


class Source(Protocol):
    """Where finished files are fetched from (the spec's ``downloads.from``)."""

    async def fetch(self, file_path: str, target: Path) -> int:
        """Bring one file to ``target``, atomically; answers its size in bytes.

        Raises:
            ServiceError, OSError: it could not be brought.
        """
        ...


@dataclass(frozen=True, slots=True)
class Home:
    """What was brought home, and what could not be, with the reason, by address."""

    fetched: int = 0
    failed: Mapping[str, str] = field(default_factory=dict)


def plan_downloads(
    downloads: Downloads, desired: Mapping[str, Desired], realised: Realised, state: State
) -> tuple[Fetch, ...]:
    """The finished files of the spec's renders that do not lie at home yet."""
    finished: dict[str, Object] = {}
    for address, want in desired.items():
        bound = realised.bound(address) if want.kind is Kind.RENDER else None
        if bound is not None and bound.phase is Phase.COMPLETED and bound.digest == want.digest:
            finished[address] = bound
    files = state.files([one.oid for one in finished.values()])
    at_home = state.downloads()
    fetches: list[Fetch] = []
    taken: set[str] = set()
    for address, one in finished.items():
        models = desired[desired[address].parents[0]].parents
        for file in files.get(one.oid, ()):
            path = _free(path_of(downloads.path, address, models, file), taken)
            known = at_home.get(path)
            if known is None or known.render_id != file.id or _size(downloads.to / path) != known.size:
                fetches.append(Fetch(address, file, path))
    return tuple(fetches)


async def bring_home(downloads: Downloads, fetches: Iterable[Fetch], source: Source, state: State, emit: Emit) -> Home:
    """Fetch the files, several at a time. One that cannot be brought fails its address only."""
    slots = asyncio.Semaphore(AT_A_TIME)
    failed: dict[str, str] = {}
    fetched = 0

    async def bring(fetch: Fetch) -> None:
        nonlocal fetched
        target = downloads.to / fetch.path
        async with slots:
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                size = await source.fetch(fetch.file.file_path, target)
            except (OSError, ServiceError) as error:
                failed[fetch.address] = f"{fetch.path} could not be brought home: {error}"
                emit(Failed(fetch.address, failed[fetch.address]))
                return
        await asyncio.to_thread(state.write, [PutDownload(Download(fetch.path, fetch.file.id, size))])
        fetched += 1
        emit(Downloaded(fetch.address, str(target), size))

    await asyncio.gather(*(bring(fetch) for fetch in fetches))
    return Home(fetched, failed)


def path_of(pattern: str, address: str, models: Sequence[str], file: RenderedFile) -> str:
    """Fill the placeholders of ``downloads.path`` for one file; the result stays below the folder.

    ``{project}`` is the project's key (``chairs/oak`` under createPerModel), ``{model}`` its models' keys joined by
    ``+``, ``{name}`` the file's display name, ``{variant}`` that name's part behind the last `` - ``.
    """
    project, _, settings = address.removeprefix("render.").rpartition("/")
    suffix = PurePosixPath(file.file_path).suffix.removeprefix(".") or file.file_type
    filled = pattern.format(
        project="/".join(_segment(part) for part in project.split("/")),
        model=_segment("+".join(one.removeprefix("model.") for one in models)),
        settings=_segment(settings),
        name=_segment(file.name),
        variant=_segment(file.name.rpartition(" - ")[2]),
        ext=_segment(suffix.lower()),
    )
    return "/".join(_segment(part) for part in filled.split("/") if part)


def _segment(text: str) -> str:
    """One part of a path that is safe on every system: no separator, no dots alone, no device's name."""
    cleaned = _UNSAFE.sub("-", text).strip(" .") or "-"
    return _cut(f"_{cleaned}" if _RESERVED.fullmatch(cleaned) else cleaned)


def _cut(name: str) -> str:
    """``name`` in at most ``MOST_BYTES``, cut between two characters; what tells its type stays."""
    if len(name.encode()) <= MOST_BYTES:
        return name
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix.encode()) > _LONGEST_SUFFIX:
        stem, dot, suffix = name, "", ""
    room = MOST_BYTES - len((dot + suffix).encode())
    return stem.encode()[:room].decode(errors="ignore").rstrip(" .") + dot + suffix


def _free(path: str, taken: set[str]) -> str:
    """``path``, counted up where another file of this run goes there already."""
    place = PurePosixPath(path)
    candidate, count = path, 1
    while _same(candidate) in taken:
        count += 1
        candidate = str(place.with_name(f"{place.stem} ({count}){place.suffix}"))
    taken.add(_same(candidate))
    return candidate


def _same(path: str) -> str:
    """What two paths share that some file system takes for one: it does not tell apart case, or ways to spell an é."""
    return normalize("NFC", path.casefold())


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
