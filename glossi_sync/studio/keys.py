"""Workspaces and their keys, as whoever runs a studio makes, lists and revokes them: ``glossi-sync studio key``.

It works on the database, whether or not a server runs on it: the server notices within two seconds (``api.gate``).
Of a key the database holds only its SHA-256, so a key can be shown when it is made and never again.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import ArgumentError

from glossi_sync.studio import records as rows
from glossi_sync.studio.data_folder import DataFolder, StudioError, new_api_key
from glossi_sync.studio.records import ApiKey, Records, RecordsError, Workspace

DEFAULT_WORKSPACE = "default"

FOLDERS_KEY = "folder"
"""Label of the key that lies in the data folder."""
GIVEN_KEY = "given"
"""Label of the key of ``studio serve --api-key``; each start sets it anew."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_LABEL = re.compile(r"[^\x00-\x1f\x7f]{0,100}")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was made: the one time that it is seen."""

    api_key: str
    key_id: str
    workspace: str


@dataclass(frozen=True, slots=True)
class Keys:
    """The workspaces and keys of one studio."""

    records: Records
    folder: DataFolder

    def create_workspace(self, name: str) -> Workspace:
        """Make a workspace.

        Raises:
            StudioError: the name is no name, or taken.
        """
        if not _NAME.fullmatch(name):
            raise StudioError(
                f"{name!r} cannot name a workspace: take letters, digits, dots, hyphens and underscores, at most 100"
            )
        return self.records.now(lambda connection: _new_workspace(connection, name))

    def workspaces(self) -> tuple[Workspace, ...]:
        return self.records.now(rows.workspaces)

    def create(self, workspace: str = DEFAULT_WORKSPACE, label: str = "") -> NewKey:
        """Make one more key to a workspace.

        Raises:
            StudioError: there is no such workspace, or the label is one of the studio's own.
        """
        if label in {FOLDERS_KEY, GIVEN_KEY} or not _LABEL.fullmatch(label):
            raise StudioError(
                f"{label!r} cannot label a key: the studio's own labels, and more than a line, are none; take another"
            )
        api_key = new_api_key()

        def add(connection: Connection) -> str:
            if workspace == DEFAULT_WORKSPACE:
                found = rows.ensure_workspace(connection, workspace, str(uuid.uuid4()), time.time())
            else:
                found = _find_workspace(connection, workspace)
            return rows.add_key(connection, found, label, api_key, time.time())

        return NewKey(api_key, self.records.now(add), workspace)

    def all(self) -> tuple[ApiKey, ...]:
        return self.records.now(rows.api_keys)

    def revoke(self, key_id: str) -> ApiKey:
        """Make a key invalid, named by its id or, where that was leaked, by itself. The data folder's own gets a
        successor in its file at once, because applies on this machine live by it.

        Raises:
            StudioError: there is no such key.
        """

        def remove(connection: Connection) -> ApiKey:
            named = rows.hash_of_key(key_id)
            matching = [key for key in rows.api_keys(connection) if key_id == key.key_id or named == key.key_hash]
            if len(matching) != 1:
                raise StudioError("there is no such key: 'glossi-sync studio key list' shows each with its ID")
            (key,) = matching
            rows.revoke_key(connection, key.key_hash)
            if key.label == FOLDERS_KEY:
                successor = self.folder.replace_api_key()
                rows.set_key(connection, key.workspace_id, FOLDERS_KEY, successor, time.time())
            return key

        return self.records.now(remove)


@contextmanager
def keys_of(folder: DataFolder, records_url: str | None = None) -> Iterator[Keys]:
    """The keys of the studio with that data folder and, where it keeps its records elsewhere, that database.

    Raises:
        StudioError: the database cannot be used.
    """
    folder.create()
    try:
        records = Records(records_url or folder.records_url)
    except (RecordsError, ArgumentError, ImportError) as error:
        raise StudioError(str(error)) from error
    try:
        yield Keys(records, folder)
    finally:
        records.close()


def _new_workspace(connection: Connection, name: str) -> Workspace:
    if rows.workspace(connection, name) is not None:
        raise StudioError(f"there is a workspace {name!r} already: take another name")
    rows.ensure_workspace(connection, name, str(uuid.uuid4()), time.time())
    made = rows.workspace(connection, name)
    assert made is not None
    return made


def _find_workspace(connection: Connection, name: str) -> str:
    found = rows.workspace(connection, name)
    if found is None:
        raise StudioError(
            f"there is no workspace {name!r}: 'glossi-sync studio workspace create {name}' makes it, '… list' shows"
            " those there are"
        )
    return found.workspace_id
