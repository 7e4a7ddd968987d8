"""The URL of a state in PostgreSQL: libpq's own, and ``?schema=``, which names the state among those of a database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from glossi_sync.state.store import StateError

SCHEMES = ("postgresql", "postgres")
DEFAULT_SCHEMA = "glossi_sync"

_NAME_BYTES = 63
"""PostgreSQL cuts longer names off."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a state lies: what libpq connects with, the schema, and the URL as it may be shown."""

    parameters: Mapping[str, str]
    schema: str
    location: str


def schema_name(workspace_at_service: str) -> str:
    """The schema of a state by default, from ``storefront@local`` or the like: that, cut where it is too long."""
    if len(workspace_at_service.encode()) <= _NAME_BYTES:
        return workspace_at_service
    digest = sha256(workspace_at_service.encode()).hexdigest()[:16]
    return workspace_at_service.encode()[: _NAME_BYTES - 17].decode(errors="ignore") + "-" + digest


def with_schema(url: str, schema: str) -> str:
    """The URL with ``?schema=``, unless it has one."""
    query = urlsplit(url).query
    if any(name == "schema" for name, _ in parse_qsl(query)):
        return url
    base, _, fragment = url.partition("#")
    joint = "&" if query else "" if base.endswith("?") else "?"
    return f"{base}{joint}schema={quote(schema, safe='@')}" + (f"#{fragment}" if fragment else "")


def read_url(url: str) -> Place:
    """Take a state's URL apart: ``postgresql://user:password@host:port/database?schema=…`` and libpq's own parameters.

    Raises:
        StateError: it cannot be read; the message has no part of it that may be a password's.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        query = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError:
        port, query = None, {"": ""}
    if parts.scheme not in SCHEMES or "" in query or parts.fragment or "@" in (parts.hostname or ""):
        raise StateError(
            "the URL of --state cannot be read: it looks like postgresql://user@host:5432/database?schema=name, and "
            "what is special in a password is written in per cent (@ is %40, / is %2F, # is %23); better leave the "
            "password to PGPASSWORD or ~/.pgpass"
        )
    schema = query.pop("schema", DEFAULT_SCHEMA)
    if not schema or len(schema.encode()) > _NAME_BYTES or "\0" in schema or schema.startswith("pg_"):
        raise StateError(
            f"the URL of --state names no schema that PostgreSQL takes: {schema!r}; give it 1 to {_NAME_BYTES} bytes "
            "in ?schema=…, and do not begin it with pg_"
        )
    given = {
        "user": parts.username,
        "password": parts.password,
        "host": parts.hostname,
        "port": None if port is None else str(port),
        "dbname": parts.path.lstrip("/"),
    }
    parameters = {name: unquote(value) for name, value in given.items() if value} | query
    user = f"{quote(parameters['user'], safe='')}@" if "user" in parameters else ""
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname or ""
    shown = {name: query[name] for name in ("host", "port", "dbname", "service") if name in query} | {"schema": schema}
    where = f"{host}{'' if port is None else f':{port}'}{parts.path}?{urlencode(shown, safe='@/')}"
    return Place(parameters, schema, f"{parts.scheme}://{user}{where}")
