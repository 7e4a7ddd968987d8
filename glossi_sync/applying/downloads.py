"""Bringing finished renders home: the files of every completed render that is bound, to where the spec says.

``plan_downloads`` decides which files are missing (pure but for a look at the folder), ``bring_home`` fetches them. A
path is made of the spec's placeholders; what an answer of the service puts into it can never lead out of the folder,
and neither can a symbolic link that lies in there.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol
from unicodedata import normalize

from glossi_sync.applying.events import Downloaded, Emit, Failed, Noted
from glossi_sync.applying.previous import drop_oldest, keep
from glossi_sync.resources import Kind, Phase
from glossi_sync.service import Downloaded as Brought
from glossi_sync.service import ServiceError
from glossi_sync.spec import Desired, Downloads
from glossi_sync.state import Download, Object, PutDownload, Realised, RenderedFile, State

AT_A_TIME = 8
"""Files on their way at once. Each holds no more than two megabytes in memory, however large it is."""

MOST_BYTES = 200
"""The longest name of a file or folder, in bytes of UTF-8. File systems end at 255, and a file that is still arriving
has a longer name than the finished one."""

_LONGEST_SUFFIX = 16

_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\ud800-\udfff]+')
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[\d¹²³]|lpt[\d¹²³])( *\..*)?", re.IGNORECASE)

_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Fetch:
    """One file to bring home: whose it is, where the service keeps it, where it goes (below the downloads folder).

    ``replaces`` is what lies there as it was brought home, ``altered`` the SHA-256 of what lies there and is not.
    """

    address: str
    file: RenderedFile
    path: str
    replaces: Download | None = None
    altered: str | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """What a look at the folder has found.

    ``paths`` are all that belong there, by address; ``touched`` are at home and unaltered, but their time is another
    than is remembered; ``unfinished`` are the renders whose files are not known yet; ``bound`` are the ids of the files
    of renders that the spec has no more, and that no apply has forgotten yet.
    """

    fetches: tuple[Fetch, ...]
    paths: Mapping[str, str]
    touched: tuple[Download, ...] = ()
    unfinished: tuple[str, ...] = ()
    bound: frozenset[str] = frozenset()


class Source(Protocol):
    """Where finished files are fetched from (the spec's ``downloads.from``)."""

    async def fetch(self, file_path: str, target: Path) -> Brought:
        """Bring one file to ``target``, atomically; what an earlier run has left of it is gone on with.

        Raises:
            ServiceError, OSError: it could not be brought.
        """
        ...


@dataclass(frozen=True, slots=True)
class Home:
    """What was brought home (files, and their bytes), and what could not be, with the reason, by address."""

    fetched: int = 0
    failed: Mapping[str, str] = field(default_factory=dict)
    size: int = 0


def plan_downloads(downloads: Downloads, desired: Mapping[str, Desired], realised: Realised, state: State) -> Due:
    """The finished files of the spec's renders that do not lie at home yet, or not as they were brought."""
    finished: dict[str, Object] = {}
    unfinished: list[str] = []
    for address, want in desired.items():
        if want.kind is not Kind.RENDER:
            continue
        bound = realised.bound(address)
        if bound is not None and bound.phase is Phase.COMPLETED and bound.digest == want.digest:
            finished[address] = bound
        else:
            unfinished.append(address)
    files = state.files([one.oid for one in finished.values()])
    at_home = state.downloads()
    fetches: list[Fetch] = []
    touched: list[Download] = []
    paths: dict[str, str] = {}
    for path, address, file in _places(downloads.path, desired, finished, files, at_home):
        paths[path] = address
        known = at_home.get(path)
        found = _look(downloads.to / path, known)
        if known is not None and known.render_id == file.id and found.unaltered:
            if found.touched is not None:
                touched.append(found.touched)
        else:
            fetches.append(Fetch(address, file, path, known if found.unaltered else None, found.altered))
    gone = [oid for address, oid in realised.bindings.items() if address not in desired]
    left = frozenset(file.id for of_one in state.files(gone).values() for file in of_one)
    return Due(tuple(fetches), paths, tuple(touched), tuple(unfinished), left)


async def bring_home(
    downloads: Downloads,
    fetches: Iterable[Fetch],
    source: Source,
    state: State,
    emit: Emit,
    *,
    previous: Path | None = None,
) -> Home:
    """Fetch the files, several at a time. One that cannot be brought fails its address only; a full disk ends it.

    What they replace is kept in the folder ``previous``, where one is given.
    """
    return await _Bringing(downloads.to, fetches, source, state, emit, previous).run()


class _Bringing:
    """One round of fetching."""

    def __init__(
        self,
        folder: Path,
        fetches: Iterable[Fetch],
        source: Source,
        state: State,
        emit: Emit,
        previous: Path | None,
    ) -> None:
        self._folder = folder
        self._waiting = iter(tuple(fetches))
        self._source = source
        self._state = state
        self._emit = emit
        self._previous = previous
        self._failed: dict[str, str] = {}
        self._fetched = 0
        self._size = 0
        self._is_full = False
        self._unwritten: list[Download] = []
        self._writing = asyncio.Lock()

    async def run(self) -> Home:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_A_TIME):
                group.create_task(self._bring_some())
        if left := sum(1 for _ in self._waiting):
            self._emit(Noted("downloads", f"the disk is full: {left} more {_files(left)} were not asked for"))
        if self._previous is not None:
            await asyncio.to_thread(drop_oldest, self._previous)
        return Home(self._fetched, self._failed, self._size)

    async def _bring_some(self) -> None:
        while not self._is_full and (fetch := next(self._waiting, None)) is not None:
            await self._bring(fetch)

    async def _bring(self, fetch: Fetch) -> None:
        target = self._folder / fetch.path
        try:
            kept = await asyncio.to_thread(self._make_way, fetch, target)
            brought = await self._source.fetch(fetch.file.file_path, target)
            mtime_ns = (await asyncio.to_thread(target.stat)).st_mtime_ns
        except (OSError, ServiceError) as error:
            self._is_full = self._is_full or (isinstance(error, OSError) and error.errno in _FULL)
            self._failed[fetch.address] = f"{fetch.path} could not be brought home: {_reason(error, self._folder)}"
            self._emit(Failed(fetch.address, self._failed[fetch.address]))
            return
        await self._remember(Download(fetch.path, fetch.file.id, brought.size, brought.sha256, mtime_ns))
        self._fetched += 1
        self._size += brought.size
        self._emit(Downloaded(fetch.address, str(target), brought.size))
        if kept is not None and fetch.altered is not None:
            await self._tell_altered(fetch, kept, brought.sha256)

    def _make_way(self, fetch: Fetch, target: Path) -> Path | None:
        """See that ``target`` lies in the folder, and keep what it replaces; answers where that lies now."""
        refuse_way_out(self._folder, target)
        if self._previous is None or (fetch.replaces is None and fetch.altered is None):
            return None
        before = None if fetch.replaces is None else fetch.replaces.render_id
        try:
            return keep(self._previous, target, now=fetch.file.id, before=before, sha256=fetch.altered)
        except OSError:
            # A report that has nothing to compare is no reason to go without the picture; somebody's work is.
            if fetch.altered is not None:
                raise
            return None

    async def _remember(self, download: Download) -> None:
        """Write it down, and with it what others have brought meanwhile: one transaction for all of them."""
        self._unwritten.append(download)
        async with self._writing:
            if self._unwritten:
                writes = [PutDownload(one) for one in self._unwritten]
                self._unwritten.clear()
                await asyncio.to_thread(self._state.write, writes)

    async def _tell_altered(self, fetch: Fetch, kept: Path, sha256: str) -> None:
        if fetch.altered == sha256:
            # It was the very file; the state alone did not know it.
            await asyncio.to_thread(kept.unlink, missing_ok=True)
        else:
            self._emit(Noted(fetch.address, f"{fetch.path} was not as it was brought home; what it was lies in {kept}"))


def refuse_way_out(folder: Path, target: Path) -> None:
    """A folder's name may be a symbolic link; what leads out of the downloads folder is not followed.

    A link in the very place of the file is no way out: the file takes its place.
    """
    try:
        inside = target.parent.resolve().is_relative_to(folder.resolve())
    except RuntimeError:
        raise OSError(errno.ELOOP, "symbolic links lead round and round", str(target.parent)) from None
    if not inside:
        raise OSError(errno.EPERM, "a symbolic link leads out of the downloads folder", str(target.parent))


def _reason(error: OSError | ServiceError, folder: Path) -> str:
    if isinstance(error, OSError) and error.errno in _FULL:
        return f"the disk of {folder} is full; make room, then `glossi-sync download` goes on"
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror}{where}"
    return str(error)


def _files(count: int) -> str:
    return "file" if count == 1 else "files"


# --- what lies at home ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Found:
    """What lies in a place: the file that is remembered (with its time, where that is another), or something else."""

    unaltered: bool
    touched: Download | None = None
    altered: str | None = None


def _look(path: Path, known: Download | None) -> _Found:
    """Compare a file with what is remembered of it; it is read only where its size alone does not tell."""
    try:
        status = path.stat()
    except OSError:
        return _Found(unaltered=False)
    if known is not None and known.size == status.st_size:
        if known.sha256 is None or known.mtime_ns == status.st_mtime_ns:
            return _Found(unaltered=True)
        if sha256_of(path) == known.sha256:
            touched = Download(known.path, known.render_id, known.size, known.sha256, status.st_mtime_ns)
            return _Found(unaltered=True, touched=touched)
    return _Found(unaltered=False, altered=sha256_of(path))


def sha256_of(path: Path) -> str | None:
    """The hash of a file's content, in hex; None where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


# --- where files go -------------------------------------------------------------------------------------------------


def _places(
    pattern: str,
    desired: Mapping[str, Desired],
    finished: Mapping[str, Object],
    files: Mapping[int, Sequence[RenderedFile]],
    at_home: Mapping[str, Download],
) -> Iterator[tuple[str, str, RenderedFile]]:
    """Path, address and file for each finished file, no path twice.

    What lies at home keeps its place, so that a file which is finished later moves none that is there.
    """
    wanted = [
        (path_of(pattern, address, desired[desired[address].parents[0]].parents, file), address, file)
        for address, one in finished.items()
        for file in files.get(one.oid, ())
    ]
    homes: dict[str, list[str]] = {}
    for path, download in at_home.items():
        homes.setdefault(download.render_id, []).append(path)
    taken = _Taken()
    settled: dict[int, str] = {}
    for number, (path, _, file) in enumerate(wanted):
        for home in homes.get(file.id, ()):
            if (home == path or _is_counted_up(home, path)) and taken.take(home):
                settled[number] = home
                break
    for number, (path, address, file) in enumerate(wanted):
        yield settled.get(number) or taken.free(path), address, file


class _Taken:
    """The paths that are given away, as every file system compares them."""

    def __init__(self) -> None:
        self._paths: set[str] = set()

    def take(self, path: str) -> bool:
        """Take a path, unless another file has it already."""
        same = _same(path)
        if same in self._paths:
            return False
        self._paths.add(same)
        return True

    def free(self, path: str) -> str:
        """``path``, counted up where another file goes there already."""
        candidate, count = path, 1
        while not self.take(candidate):
            count += 1
            candidate = _counted_up(path, count)
        return candidate


def _counted_up(path: str, count: int) -> str:
    place = PurePosixPath(path)
    return str(place.with_name(f"{place.stem} ({count}){place.suffix}"))


def _is_counted_up(candidate: str, path: str) -> bool:
    count = re.fullmatch(r".* \((\d{1,9})\)", PurePosixPath(candidate).stem, re.DOTALL)
    return count is not None and candidate == _counted_up(path, int(count[1]))


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


def _same(path: str) -> str:
    """What two paths share that some file system takes for one: it does not tell apart case, or ways to spell an é."""
    return normalize("NFC", normalize("NFD", path).casefold())
