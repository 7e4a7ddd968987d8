"""Finding and opening a state: where it lies by default, which service it is for, and whether it exists."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote, urlsplit

from glossi_sync.state.memory import MemoryState
from glossi_sync.state.sqlite import SqliteState, create_file
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
        raise StateError(f"the state {_without_password(str(location))} is a URL: give the path of a file with --state")
    path = Path(location)
    if not _exists(path):
        if not create:
            return MemoryState(service=service, location=str(location), absent=True)
        create_file(path, service=service)
    return SqliteState(path, service=service, location=str(location), reading=not create)


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


def _without_password(url: str) -> str:
    return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1@", url)
