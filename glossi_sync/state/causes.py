"""Why a state could not be read or written, said as one sentence: the place, the cause, what to do next."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

from glossi_sync.state.store import StateError

_KEPT = "everything written before is kept"
_ELSEWHERE = "or give another place with --state"
_RESTORE = "restore it from a backup (this file is left as it is)"
_DISK_FULL = ("the disk is full", f"make space for {{folder}} and run again ({_KEPT})")
_NO_PERMISSION = ("you have no permission on {place}", f"get it for {{folder}}, {_ELSEWHERE}")
_DEFECT = ("{error}", "this is a defect of glossi-sync: please report it")
_DAMAGED = ("it is damaged ({error})", _RESTORE)

_SYSTEM = {
    errno.ENOSPC: _DISK_FULL,
    errno.EDQUOT: _DISK_FULL,
    errno.EFBIG: _DISK_FULL,
    errno.EACCES: _NO_PERMISSION,
    errno.EPERM: _NO_PERMISSION,
    errno.EROFS: ("{place} lies on a read-only file system", f"make it writable, {_ELSEWHERE}"),
    errno.ENOTDIR: ("a file lies where {place} needs a folder", f"move it away, {_ELSEWHERE}"),
    errno.EEXIST: ("a file lies where {place} needs a folder", f"move it away, {_ELSEWHERE}"),
    errno.EISDIR: ("{place} is a folder", "give the path of a file with --state"),
    errno.ENOENT: ("there is no file {place}", "give the state's own path with --state"),
    errno.ENAMETOOLONG: ("its path is too long", "give another place with --state"),
}
"""What the operating system reports, by errno: (cause, advice)."""

_SQLITE = {
    sqlite3.SQLITE_FULL: _DISK_FULL,
    sqlite3.SQLITE_IOERR: (
        "the disk refused ({error})",
        f"look at the free space, the quota and the health of the disk of {{folder}}, then run again ({_KEPT})",
    ),
    sqlite3.SQLITE_READONLY: (
        "you may only read it, or its folder",
        f"get write permission on {{folder}}, {_ELSEWHERE}",
    ),
    sqlite3.SQLITE_BUSY: ("another process kept it busy for too long", "wait for that process, then run again"),
    sqlite3.SQLITE_NOTADB: ("the file is not a glossi-sync state", "give the state's own path with --state"),
    sqlite3.SQLITE_CONSTRAINT: (
        "it holds such a row already ({error})",
        "this is a defect of glossi-sync: please report it",
    ),
}
"""What SQLite reports, by primary result code: (cause, advice). Anything else means damage."""


def state_error(location: str, path: Path, doing: str, error: BaseException) -> StateError:
    """The StateError for what SQLite, the operating system or a value reported.

    ``doing`` completes "the state X cannot be …": ``read``, ``written``, ``opened``.
    """
    place, said = path, str(error).rstrip(".")
    if isinstance(error, OSError):
        place = Path(error.filename) if isinstance(error.filename, str) else path
        said = error.strerror or said
        cause, advice = _SYSTEM.get(error.errno or 0, ("{error} ({place})", f"mend that, {_ELSEWHERE}"))
    elif isinstance(error, UnicodeEncodeError):
        cause, advice = "a text in it is not valid Unicode ({error})", "mend that name"
    elif isinstance(error, sqlite3.ProgrammingError):
        cause, advice = _DEFECT
    elif isinstance(error, sqlite3.Error):
        # The low byte is the primary result code; the name says more, which matters for the disk's errors.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        said = f"{said}, {getattr(error, 'sqlite_errorname', type(error).__name__)}"
        cause, advice = _cannot_open(path) if code == sqlite3.SQLITE_CANTOPEN else _SQLITE.get(code, _DAMAGED)
    else:
        cause, advice = _DAMAGED
    known = {"place": place, "folder": path.parent, "error": said}
    return StateError(f"the state {location} cannot be {doing}: {cause.format(**known)}; {advice.format(**known)}")


def _cannot_open(path: Path) -> tuple[str, str]:
    """SQLite says only that it could not open "something": the file, or one of those beside it."""
    if not os.access(path, os.R_OK):
        return _NO_PERMISSION
    if not os.access(path.parent, os.W_OK):
        return (
            "the folder {folder} is read-only, and a run left the state in the middle of its work",
            "make the folder writable, or copy the state with the files beside it to a writable one",
        )
    return "the system could not open it or the files beside it ({error})", "look at {folder} and its free space"


_NO_CONNECTION = (
    "there is no connection to the server ({error})",
    "see that it runs, and that the user, the password (PGPASSWORD, or ~/.pgpass) and the database are right",
)

_POSTGRESQL = {
    "08": _NO_CONNECTION,
    "57P01": _NO_CONNECTION,
    "57P02": _NO_CONNECTION,
    "42501": ("{error}", "have the right granted to you, or name a user who has it in the URL of --state"),
    "25006": ("the server takes no writes ({error})", "it may be a standby: give another one with --state"),
    "53100": ("the server's disk is full", f"make space there and run again ({_KEPT})"),
    "55P03": ("another process kept it busy for too long", "wait for that process, then run again"),
    "57014": ("the server cut it short ({error})", "let it take longer (statement_timeout), then run again"),
    "22": ("a text in it cannot be kept by PostgreSQL ({error})", "mend that name"),
    "23": ("it holds such a row already ({error})", "this is a defect of glossi-sync: please report it"),
    "42": ("its tables are not what they should be ({error})", "restore the database from a backup"),
}
"""What PostgreSQL reports, by SQLSTATE, or its class (the first two characters): (cause, advice)."""


def database_error(location: str, doing: str, error: BaseException) -> StateError:
    """The StateError for what a PostgreSQL server, the way to it, or a value reported.

    ``doing`` as for ``state_error``. What a server says of a refused login is told, its password is not in it.
    """
    said = " ".join(str(error).split()).rstrip(".")
    state = getattr(error, "sqlstate", None)
    if isinstance(error, UnicodeEncodeError):
        cause, advice = "a text in it is not valid Unicode ({error})", "mend that name"
    elif isinstance(error, ValueError | KeyError | TypeError):
        cause, advice = "it is damaged ({error})", "restore the database from a backup"
    elif state is None and "NUL" in said:
        cause, advice = _POSTGRESQL["22"]
    elif state is None:
        cause, advice = _NO_CONNECTION
    else:
        unknown = ("{error}", f"mend that at the server, then run again ({_KEPT})")
        cause, advice = _POSTGRESQL.get(state, _POSTGRESQL.get(state[:2], unknown))
    return StateError(f"the state {location} cannot be {doing}: {cause.format(error=said)}; {advice}")
