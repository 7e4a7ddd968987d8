"""All SQL of the state: the schema's migrations, and one statement for each thing that is asked or written.

SQLite and PostgreSQL run the same text. The rules that keep it so:

- Parameters are ``?`` and a question mark or per cent sign occurs nowhere else, so that a driver with another parameter
  style needs one ``str.replace``.
- Upserts are INSERT … ON CONFLICT … DO UPDATE; no function belongs to one database alone.
- Whole numbers that may need 64 bits are BIGINT, times are DOUBLE PRECISION (Unix seconds), structured values are TEXT
  that Python writes and reads (JSON, or comma-separated numbers where hundreds of thousands are read at once).
- No column has a name that either database reserves (hence ``object_id`` and ``username``).
"""

from __future__ import annotations

from collections.abc import Mapping

Migration = tuple[str, ...]

MIGRATIONS: tuple[Migration, ...] = (
    (
        # One row, so that a serial is counted up where it lies.
        """CREATE TABLE meta (
            singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
            schema_version INTEGER NOT NULL,
            lineage TEXT NOT NULL,
            serial BIGINT NOT NULL,
            service TEXT NOT NULL,
            created DOUBLE PRECISION NOT NULL
        )""",
        # Who took the lock last. It says who holds the lock, never whether it is held: a killed run's row stays.
        """CREATE TABLE holder (
            singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
            run_id BIGINT NOT NULL,
            command TEXT NOT NULL,
            username TEXT NOT NULL,
            host TEXT NOT NULL,
            pid BIGINT NOT NULL,
            since DOUBLE PRECISION NOT NULL
        )""",
        """CREATE TABLE objects (
            object_id BIGINT PRIMARY KEY,
            kind TEXT NOT NULL,
            digest TEXT NOT NULL,
            phase TEXT NOT NULL,
            label TEXT,
            remote_id TEXT,
            parents TEXT NOT NULL,
            since DOUBLE PRECISION NOT NULL,
            expires DOUBLE PRECISION,
            attempts INTEGER NOT NULL,
            error TEXT
        )""",
        # What every plan reads stays in narrow rows; what is long and seldom read lies beside them, in three tables.
        """CREATE TABLE inputs (
            object_id BIGINT PRIMARY KEY,
            body TEXT NOT NULL
        )""",
        """CREATE TABLE upload_urls (
            object_id BIGINT PRIMARY KEY,
            url TEXT NOT NULL
        )""",
        """CREATE TABLE rendered_files (
            object_id BIGINT PRIMARY KEY,
            body TEXT NOT NULL
        )""",
        """CREATE TABLE bindings (
            address TEXT PRIMARY KEY,
            object_id BIGINT NOT NULL
        )""",
        # Every binding that ever was: what an address was bound to from a serial on (NULL: to nothing).
        """CREATE TABLE past_bindings (
            address TEXT NOT NULL,
            serial BIGINT NOT NULL,
            object_id BIGINT,
            PRIMARY KEY (address, serial)
        )""",
        """CREATE TABLE journal (
            call_id BIGINT PRIMARY KEY,
            run_id BIGINT NOT NULL,
            step TEXT NOT NULL,
            call TEXT NOT NULL,
            subjects TEXT NOT NULL,
            intended DOUBLE PRECISION NOT NULL,
            outcome TEXT,
            settled DOUBLE PRECISION
        )""",
        # The journal keeps every call that was ever made; the few in doubt are found without reading it.
        "CREATE INDEX journal_in_doubt ON journal (intended) WHERE outcome IS NULL",
        """CREATE TABLE runs (
            run_id BIGINT PRIMARY KEY,
            command TEXT NOT NULL,
            started DOUBLE PRECISION NOT NULL,
            ended DOUBLE PRECISION,
            outcome TEXT,
            steps TEXT NOT NULL,
            calls TEXT NOT NULL,
            serial BIGINT NOT NULL
        )""",
        """CREATE TABLE strays (
            stray_id BIGINT PRIMARY KEY,
            kind TEXT NOT NULL,
            remote_id TEXT,
            reason TEXT NOT NULL,
            noticed DOUBLE PRECISION NOT NULL
        )""",
        # Sealed (see ``secrets``): nobody reads them without the key, which is not here.
        """CREATE TABLE secrets (
            name TEXT PRIMARY KEY,
            sealed TEXT NOT NULL
        )""",
        """CREATE TABLE downloads (
            path TEXT PRIMARY KEY,
            render_id TEXT NOT NULL,
            size BIGINT NOT NULL
        )""",
        # An inode is a TEXT because it is unsigned: some file systems use all 64 bits, and Windows' ReFS 128.
        """CREATE TABLE files (
            path TEXT PRIMARY KEY,
            size BIGINT NOT NULL,
            mtime_ns BIGINT NOT NULL,
            inode TEXT NOT NULL,
            sha256 TEXT NOT NULL,
            hashed_ns BIGINT NOT NULL
        )""",
    ),
    (
        # A hash stands in the place of a URL's query, which may be a signature.
        """CREATE TABLE remote_files (
            url TEXT PRIMARY KEY,
            size BIGINT NOT NULL,
            etag TEXT NOT NULL,
            sha256 TEXT NOT NULL
        )""",
    ),
    (
        # Who holds the lock, or the locks of shards. The rows say who it is, never whether it is held: a killed run's
        # row stays. ``connection`` is the PostgreSQL server's process that the lock lives and dies with.
        "DROP TABLE holder",
        """CREATE TABLE holders (
            run_id BIGINT PRIMARY KEY,
            command TEXT NOT NULL,
            username TEXT NOT NULL,
            host TEXT NOT NULL,
            pid BIGINT NOT NULL,
            since DOUBLE PRECISION NOT NULL,
            spec TEXT NOT NULL,
            shard TEXT,
            connection BIGINT
        )""",
    ),
    (
        "ALTER TABLE downloads ADD COLUMN sha256 TEXT",
        "ALTER TABLE downloads ADD COLUMN mtime_ns BIGINT",
    ),
    (
        # What the webhook's receiver has kept; nothing in it is ever changed.
        """CREATE TABLE events (
            number BIGINT PRIMARY KEY,
            digest TEXT NOT NULL UNIQUE,
            event TEXT NOT NULL,
            body TEXT NOT NULL,
            received DOUBLE PRECISION NOT NULL
        )""",
        # The number of the last one. Whoever counts it up has the row until the end of its transaction, so numbers
        # become visible in their order.
        """CREATE TABLE newest_event (
            singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
            number BIGINT NOT NULL
        )""",
        "INSERT INTO newest_event (singleton, number) VALUES (1, 0)",
    ),
)
"""What leads from each schema version to the next: version n is what the first n migrations make. Never edit one that
was released; append."""

NEW_META = "INSERT INTO meta (singleton, schema_version, lineage, serial, service, created) VALUES (1, ?, ?, 0, ?, ?)"
META = "SELECT schema_version, lineage, service FROM meta"
SET_META = "UPDATE meta SET lineage = ?, serial = ?, service = ?"
SCHEMA_VERSION = "SELECT schema_version FROM meta"
SET_SCHEMA_VERSION = "UPDATE meta SET schema_version = ?"
SERIAL = "SELECT serial FROM meta"
NEXT_SERIAL = "UPDATE meta SET serial = serial + 1"

HOLDERS = (
    "SELECT run_id, command, username, host, pid, since, spec, shard, connection FROM holders ORDER BY since, run_id"
)
ADD_HOLDER = """
INSERT INTO holders (run_id, command, username, host, pid, since, spec, shard, connection)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
DROP_HOLDER = "DELETE FROM holders WHERE run_id = ?"
NO_HOLDERS = "DELETE FROM holders"

OBJECTS = """
SELECT object_id, kind, digest, phase, label, remote_id, parents, since, expires, attempts, error FROM objects"""
PUT_OBJECT = """
INSERT INTO objects (object_id, kind, digest, phase, label, remote_id, parents, since, expires, attempts, error)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (object_id) DO UPDATE SET kind = excluded.kind, digest = excluded.digest, phase = excluded.phase,
    label = excluded.label, remote_id = excluded.remote_id, parents = excluded.parents, since = excluded.since,
    expires = excluded.expires, attempts = excluded.attempts, error = excluded.error"""
PUT_INPUTS = """
INSERT INTO inputs (object_id, body) VALUES (?, ?)
ON CONFLICT (object_id) DO UPDATE SET body = excluded.body"""
PUT_UPLOAD_URL = """
INSERT INTO upload_urls (object_id, url) VALUES (?, ?)
ON CONFLICT (object_id) DO UPDATE SET url = excluded.url"""
DROP_UPLOAD_URL = "DELETE FROM upload_urls WHERE object_id = ?"
PUT_RENDERED_FILES = """
INSERT INTO rendered_files (object_id, body) VALUES (?, ?)
ON CONFLICT (object_id) DO UPDATE SET body = excluded.body"""

BINDINGS = "SELECT address, object_id FROM bindings"
BIND = """
INSERT INTO bindings (address, object_id) VALUES (?, ?)
ON CONFLICT (address) DO UPDATE SET object_id = excluded.object_id"""
UNBIND = "DELETE FROM bindings WHERE address = ?"

NOTE_BINDING = """
INSERT INTO past_bindings (address, serial, object_id) VALUES (?, (SELECT serial FROM meta), ?)
ON CONFLICT (address, serial) DO UPDATE SET object_id = excluded.object_id"""
BINDINGS_AFTER = """
SELECT address, object_id FROM past_bindings AS one WHERE object_id IS NOT NULL AND serial = (
    SELECT MAX(serial) FROM past_bindings AS other
    WHERE other.address = one.address AND other.serial <= (SELECT serial FROM runs WHERE run_id = ?))"""

IN_DOUBT = """
SELECT call_id, run_id, step, call, subjects, intended FROM journal WHERE outcome IS NULL ORDER BY intended, call_id"""
INTEND = "INSERT INTO journal (call_id, run_id, step, call, subjects, intended) VALUES (?, ?, ?, ?, ?, ?)"
SETTLE = "UPDATE journal SET outcome = ?, settled = ? WHERE call_id = ?"

RUNS = "SELECT run_id, command, started, ended, outcome, steps, calls FROM runs ORDER BY started DESC, run_id DESC"
PUT_RUN = """
INSERT INTO runs (run_id, command, started, ended, outcome, steps, calls, serial)
VALUES (?, ?, ?, ?, ?, ?, ?, (SELECT serial FROM meta))
ON CONFLICT (run_id) DO UPDATE SET command = excluded.command, started = excluded.started, ended = excluded.ended,
    outcome = excluded.outcome, steps = excluded.steps, calls = excluded.calls, serial = excluded.serial"""

STRAYS = "SELECT kind, remote_id, reason, noticed FROM strays ORDER BY noticed, stray_id"
ADD_STRAY = "INSERT INTO strays (stray_id, kind, remote_id, reason, noticed) VALUES (?, ?, ?, ?, ?)"

SEALED = "SELECT sealed FROM secrets WHERE name = ?"
PUT_SEALED = """
INSERT INTO secrets (name, sealed) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed"""

DOWNLOADS = "SELECT path, render_id, size, sha256, mtime_ns FROM downloads"
PUT_DOWNLOAD = """
INSERT INTO downloads (path, render_id, size, sha256, mtime_ns) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (path) DO UPDATE SET render_id = excluded.render_id, size = excluded.size, sha256 = excluded.sha256,
    mtime_ns = excluded.mtime_ns"""
DROP_DOWNLOAD = "DELETE FROM downloads WHERE path = ?"

STAMPS = "SELECT path, size, mtime_ns, inode, sha256, hashed_ns FROM files"
PUT_STAMP = """
INSERT INTO files (path, size, mtime_ns, inode, sha256, hashed_ns) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (path) DO UPDATE SET size = excluded.size, mtime_ns = excluded.mtime_ns, inode = excluded.inode,
    sha256 = excluded.sha256, hashed_ns = excluded.hashed_ns"""

KNOWN_EVENT = "SELECT number FROM events WHERE digest = ?"
NEXT_EVENT = "UPDATE newest_event SET number = number + 1"
PUT_EVENT = """
INSERT INTO events (number, digest, event, body, received) VALUES ((SELECT number FROM newest_event), ?, ?, ?, ?)
ON CONFLICT (digest) DO NOTHING"""
HEARD = "SELECT number FROM newest_event"
EVENTS = "SELECT digest, event, body, received, number FROM events WHERE number > ? ORDER BY number"

REMOTE_STAMPS = "SELECT url, size, etag, sha256 FROM remote_files"
PUT_REMOTE_STAMP = """
INSERT INTO remote_files (url, size, etag, sha256) VALUES (?, ?, ?, ?)
ON CONFLICT (url) DO UPDATE SET size = excluded.size, etag = excluded.etag, sha256 = excluded.sha256"""


AT_SERIAL = frozenset((NOTE_BINDING, PUT_RUN))
"""The statements that note the serial of their own transaction."""

TABLES: Mapping[str, tuple[str, ...]] = {
    "objects": (
        *("object_id", "kind", "digest", "phase", "label", "remote_id"),
        *("parents", "since", "expires", "attempts", "error"),
    ),
    "inputs": ("object_id", "body"),
    "upload_urls": ("object_id", "url"),
    "rendered_files": ("object_id", "body"),
    "bindings": ("address", "object_id"),
    "past_bindings": ("address", "serial", "object_id"),
    "journal": ("call_id", "run_id", "step", "call", "subjects", "intended", "outcome", "settled"),
    "runs": ("run_id", "command", "started", "ended", "outcome", "steps", "calls", "serial"),
    "strays": ("stray_id", "kind", "remote_id", "reason", "noticed"),
    "secrets": ("name", "sealed"),
    "downloads": ("path", "render_id", "size", "sha256", "mtime_ns"),
    "events": ("digest", "event", "body", "received", "number"),
    "newest_event": ("singleton", "number"),
}
"""What a document holds of a state: all columns of all tables, but meta, the holders and the caches."""


def whole(table: str) -> str:
    """Select all rows of one of ``TABLES``."""
    return f"SELECT {', '.join(TABLES[table])} FROM {table}"  # noqa: S608


def emptied(table: str) -> str:
    """Delete all rows of one of ``TABLES``."""
    return f"DELETE FROM {table}"  # noqa: S608


def filled(table: str) -> str:
    """Insert a row into one of ``TABLES``."""
    columns = TABLES[table]
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({_marks(len(columns))})"  # noqa: S608


def inputs_of(count: int) -> str:
    """Select ``(object_id, JSON)`` of ``count`` objects' inputs."""
    return f"SELECT object_id, body FROM inputs WHERE object_id IN ({_marks(count)})"  # noqa: S608


def upload_urls_of(count: int) -> str:
    """Select ``(object_id, url)`` of ``count`` recorded models."""
    return f"SELECT object_id, url FROM upload_urls WHERE object_id IN ({_marks(count)})"  # noqa: S608


def rendered_files_of(count: int) -> str:
    """Select ``(object_id, JSON)`` of ``count`` renders' finished files."""
    return f"SELECT object_id, body FROM rendered_files WHERE object_id IN ({_marks(count)})"  # noqa: S608


def _marks(count: int) -> str:
    return ", ".join("?" * count)
