"""Noticing changed files, with watchfiles: what the operating system tells, gathered for a moment.

Heeded are files of the kinds that a spec is made of, and folders. Not heeded is what a run writes itself (the state,
the pictures brought home, a log beside the spec), else each run would cause the next one; and hidden files, under which
names copying programs write before they rename.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path

from glossi_sync.errors import UserError

MISSING = "noticing changed files needs the package watchfiles: pip install 'glossi-sync[watch]'"

DEBOUNCE_MS = 400
"""Changes that follow one another so quickly come as one."""


class CannotWatch(UserError):
    """Files cannot be watched here; the message says why."""


Roots = tuple[frozenset[Path], frozenset[Path]]
"""Folders that are watched alone, and folders that are watched with all that is below them."""


def roots_of(folder: Path, elsewhere: Iterable[Path], ignored: Collection[Path]) -> Roots:
    """What is to be watched for a spec.

    ``folder`` is the spec's; ``elsewhere`` are folders of files that it names; ``ignored`` are paths below which a run
    writes. The spec's folder is watched alone and each folder in it with all below, so that a large ignored one (the
    studio's data) costs nothing.
    """
    alone = {folder, *(one for one in elsewhere if one.is_dir() and not one.is_relative_to(folder))}
    below = set()
    with suppress(OSError):
        below = {
            one
            for one in folder.iterdir()
            if one.is_dir() and not one.name.startswith(".") and not _is_below(one, ignored)
        }
    return frozenset(alone), frozenset(below)


class FolderWatch:
    """Watches in the background, until it is closed. ``changed`` hears the first of the paths that have changed,
    ``trouble`` a sentence about folders that cannot be watched.

    Raises:
        CannotWatch: watchfiles is not installed.
    """

    def __init__(self, changed: Callable[[str], None], trouble: Callable[[str], None]) -> None:
        try:
            import watchfiles  # noqa: F401, PLC0415
        except ImportError:
            raise CannotWatch(MISSING) from None
        self._changed = changed
        self._trouble = trouble
        self._ignored: tuple[Path, ...] = ()
        self._suffixes: frozenset[str] = frozenset()
        self._watched: dict[bool, frozenset[Path]] = {True: frozenset(), False: frozenset()}
        self._threads: dict[bool, tuple[threading.Thread, threading.Event]] = {}

    def look_at(self, roots: Roots, ignored: Iterable[Path], suffixes: Iterable[str]) -> None:
        """Watch these from now on (``roots_of``), and heed files with those suffixes (``.glb``) there."""
        self._ignored = tuple(ignored)
        self._suffixes = frozenset(map(str.lower, suffixes))
        for recursive, paths in ((False, roots[0]), (True, roots[1])):
            thread = self._threads.get(recursive)
            if paths == self._watched[recursive] and (thread is None or thread[0].is_alive()):
                continue
            self._end(recursive)
            self._watched[recursive] = paths
            if paths:
                stop = threading.Event()
                work = threading.Thread(target=self._watch, args=(paths, recursive, stop), daemon=True)
                self._threads[recursive] = (work, stop)
                work.start()

    def close(self) -> None:
        """Watch nothing any more."""
        for recursive in list(self._threads):
            self._end(recursive)

    def _end(self, recursive: bool) -> None:
        if recursive in self._threads:
            thread, stop = self._threads.pop(recursive)
            stop.set()
            thread.join()

    def _watch(self, paths: frozenset[Path], recursive: bool, stop: threading.Event) -> None:
        from watchfiles import watch  # noqa: PLC0415

        try:
            for changes in watch(
                *paths,
                watch_filter=lambda _, path: self._matters(Path(path), paths),
                debounce=DEBOUNCE_MS,
                step=50,
                rust_timeout=200,
                stop_event=stop,
                recursive=recursive,
                ignore_permission_denied=True,
            ):
                self._changed(min(path for _, path in changes))
        except (OSError, RuntimeError) as error:
            # More folders than the system lets be watched, or the like: the next run tries again.
            self._trouble(f"Changed files are not noticed for now, the timer alone counts: {error}")

    def _matters(self, path: Path, roots: frozenset[Path]) -> bool:
        if _is_below(path, self._ignored) or (path.suffix.lower() not in self._suffixes and path.is_file()):
            return False
        root = next((one for one in roots if path.is_relative_to(one)), None)
        return root is not None and not any(part.startswith(".") for part in path.relative_to(root).parts)


def _is_below(path: Path, places: Iterable[Path]) -> bool:
    return any(path.is_relative_to(place) for place in places)
