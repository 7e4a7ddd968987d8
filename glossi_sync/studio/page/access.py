"""Who may look at the page: whoever opened the link that the server printed, or knows a workspace's key.

    link with a ticket (once) --+
                                +--> a signed cookie that stands for one key --> that key's workspace
    key, in the form's body  ---+

A session is as good as its key: it ends when the key is revoked, and after thirty days. No URL holds a key, and the one
that holds a ticket is worth nothing once it was opened, or when the server has ended.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from glossi_sync.studio import records as rows
from glossi_sync.studio.records import Records

SESSION_SECONDS = 30 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks: at this workspace, and at no other."""

    workspace_id: str
    workspace: str


class PageAccess:
    """The sessions of one studio.

    Args:
        secret: the studio's signing secret; sessions outlive a restart.
        clock: seconds since the epoch.
    """

    def __init__(self, records: Records, secret: bytes, clock: Callable[[], float]) -> None:
        self._records = records
        self._secret = hmac.digest(secret, b"page", "sha256")
        self._clock = clock
        self._tickets: dict[str, str] = {}

    @property
    def cookie(self) -> str:
        """The cookie's name: another one at each studio, because a host's cookies go to all its ports."""
        return f"studio_{hashlib.sha256(self._secret).hexdigest()[:8]}"

    def ticket(self, api_key: str) -> str:
        """What opens one session with that key, once."""
        ticket = secrets.token_urlsafe(24)
        self._tickets[ticket] = rows.hash_of_key(api_key)
        return ticket

    def redeem(self, ticket: str) -> str | None:
        """A session's cookie for a ticket that was not used yet."""
        key_hash = self._tickets.pop(ticket, None)
        return None if key_hash is None else self._session(key_hash)

    async def enter(self, api_key: str) -> str | None:
        """A session's cookie for a valid key."""
        key_hash = rows.hash_of_key(api_key)
        return self._session(key_hash) if key_hash in await self._records.read(rows.keys) else None

    async def visitor(self, cookie: str) -> Visitor | None:
        """Whose session it is; None where it is none, has expired, or its key is revoked."""
        expires, _, rest = cookie.partition(".")
        mark, _, signature = rest.partition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(expires, mark).encode()):
            return None
        if self._clock() >= int(expires):
            return None

        def look(connection: Connection) -> Visitor | None:
            for key in rows.api_keys(connection):
                if self._mark(key.key_hash) == mark:
                    return Visitor(key.workspace_id, key.workspace)
            return None

        return await self._records.read(look)

    def _session(self, key_hash: str) -> str:
        expires, mark = str(int(self._clock()) + SESSION_SECONDS), self._mark(key_hash)
        return f"{expires}.{mark}.{self._signature(expires, mark)}"

    def _mark(self, key_hash: str) -> str:
        # Not the hash itself: of a short key of one's own choice it could be searched backwards.
        return hmac.new(self._secret, key_hash.encode(), hashlib.sha256).hexdigest()[:32]

    def _signature(self, expires: str, mark: str) -> str:
        return hmac.new(self._secret, f"{expires}\n{mark}".encode(), hashlib.sha256).hexdigest()
