"""Finding and opening a state: where it lies by default, which service it is for, and whether it exists."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote, urlsplit

from glossi_sync.buckets import BUCKETS
from glossi_sync.state import postgres_url
from glossi_sync.state.memory import MemoryState
from glossi_sync.state.sql import SqlState
from glossi_sync.state.sqlite import SqliteDatabase, create_file
from glossi_sync.state.store import State, StateError

LOCAL = "local"
"""The embedded studio, as specs and states name it."""

_DEFAULT_PORTS = {"http": 80, "https": 443}


def service_identity(endpoint: str) -> str:
    """Which service an endpoint is: ``local``, or its origin (``https://api.glossi.app``).

    Two endpoints that differ in path, in letter case or by a default port's mention are one service.

    Raises:
        StateError: it is neither ``local`` nor an http(s) URL.
    """
    if endpoint == LOCAL:
        return LOCAL
    try:
        url = urlsplit(endpoint)
        scheme, host, port = url.scheme, url.hostname, url.port
    except ValueError:
        scheme, host, port = "", None, None
    if scheme not in _DEFAULT_PORTS or not host:
        raise StateError(
            f"the endpoint {endpoint!r} names no service: give `local` or a URL such as https://api.glossi.app/api/v1"
        )
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}" if port in (None, _DEFAULT_PORTS[scheme]) else f"{scheme}://{host}:{port}"


def default_location(folder: Path, workspace: str, service: str) -> Path:
    """Where the state of a spec in ``folder`` lies unless the user says otherwise.

    ``service`` is an identity (see ``service_identity``) or an endpoint. Examples: ``state/storefront@local.db``,
    ``state/storefront@api.glossi.app.db``, and with a port of its own ``state/storefront@127.0.0.1-8080.db``.

    Raises:
        StateError: ``service`` names none.
    """
    # Quoted, so that no two workspaces share a file and none leaves the folder.
    return folder / "state" / f"{quote(workspace, safe='')}@{_file_name(service_identity(service))}.db"


def location_of(given: str | None, folder: Path, workspace: str, service: str) -> str:
    """Where the state of a spec in ``folder`` lies: as ``given`` (``--state``), or by default.

    A PostgreSQL URL that names no schema gets one named as the default file is, so that the states of all workspaces
    fit into one database.

    Raises:
        StateError: ``service`` names none.
    """
    default = default_location(folder, workspace, service)
    if given is None:
        return str(default)
    if given.partition("://")[0] in postgres_url.SCHEMES:
        return postgres_url.with_schema(given, postgres_url.schema_name(default.stem))
    return given


def key_file_of(location: str, folder: Path, workspace: str, service: str) -> Path:
    """Where the key to the secrets of the state at ``location`` lies, unless the environment has it: beside the file,
    and for a URL where the file would lie."""
    beside = default_location(folder, workspace, service) if "://" in location else Path(location)
    return beside.with_suffix(".key")


def open_state(location: str | Path, *, service: str, create: bool = True) -> State:
    """Open the state at ``location`` for the service of that identity (see ``service_identity``).

    With ``create`` a state that does not exist is made, with its folders. Without it (a plan, or any other command that
    only looks) nothing is made: a missing state is an empty one, with lineage ``""`` and serial 0, that refuses writes
    and forgets file stamps; and an existing one may lie where nothing can be written.

    Raises:
        StateError: it cannot be opened or made, is not a state, is damaged, was written by a newer version, or belongs
            to another service.
        StateLocked: its schema must be brought up to date, and a run holds it.
    """
    if "://" in str(location):
        return _open_url(str(location), service=service, create=create)
    path = Path(location)
    if not _exists(path):
        if not create:
            return MemoryState(service=service, location=str(location), absent=True)
        create_file(path, service=service)
    return SqlState(SqliteDatabase(path, location=str(location), reading=not create), service=service)


def _open_url(url: str, *, service: str, create: bool) -> State:
    scheme = url.partition("://")[0]
    if scheme in postgres_url.SCHEMES:
        return _open_postgres(postgres_url.read_url(url), service=service, create=create)
    if scheme in BUCKETS:
        # Imported here because few states lie there.
        from glossi_sync.state.bucket.opening import open_bucket  # noqa: PLC0415

        return open_bucket(url, service=service, create_it=create)
    raise StateError(
        f"the state {scheme}://… is of a kind that is not known: give the path of a file, or a URL that "
        "begins with postgresql://, s3://, gs:// or az://, with --state"
    )


def _open_postgres(place: postgres_url.Place, *, service: str, create: bool) -> State:
    try:
        # Imported here because few states lie there, and psycopg is not installed everywhere.
        from glossi_sync.state.machine import machine_stamps  # noqa: PLC0415
        from glossi_sync.state.postgres import PostgresDatabase  # noqa: PLC0415
    except ImportError as error:
        raise StateError(
            f"the state {place.location} cannot be opened: psycopg is not installed here ({error}); "
            "pip install 'glossi-sync[postgres]'"
        ) from error
    database = PostgresDatabase(place)
    try:
        if not database.exists():
            if not create:
                database.close()
                return MemoryState(service=service, location=place.location, absent=True)
            database.create(service)
    except BaseException:
        database.close()
        raise
    return SqlState(database, service=service, stamps=machine_stamps())


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        # A folder that may not be entered: opening the file says so in full.
        return True


def _file_name(identity: str) -> str:
    if identity == LOCAL:
        return LOCAL
    url = urlsplit(identity)
    # The port tells plain http from https, whose names would else be one.
    port = url.port or (_DEFAULT_PORTS["http"] if url.scheme == "http" else None)
    name = url.hostname or ""
    return re.sub(r"[^a-z0-9._-]", "_", name if port is None else f"{name}-{port}")
