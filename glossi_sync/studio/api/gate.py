"""The gate: what a request passes before any endpoint sees it: the API key, and the size of its body."""

from __future__ import annotations

from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glossi_sync.service import wire
from glossi_sync.studio.api.errors import Refusal
from glossi_sync.studio.records import Records, hash_of_key, keys, note_use

MAX_BODY_BYTES = 8 * 1024 * 1024
"""Of a JSON body: a thousand models with the longest names are smaller."""

_KEYS_LIVE_SECONDS = 2.0
_USE_NOTED_SECONDS = 60.0


class Gate:
    """Middleware before everything below ``/api/v1``, known path or not: 401 without a workspace's key, 413 over the
    limit.

    A key that is made or revoked elsewhere is noticed within two seconds.
    """

    def __init__(self, app: ASGIApp, *, records: Records, clock: Callable[[], float]) -> None:
        self._app = app
        self._records = records
        self._clock = clock
        self._keys: dict[str, str] = {}
        self._read_at = float("-inf")
        self._noted_at: dict[str, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _below(scope["path"], wire.API_PREFIX):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        workspace_id = await self._workspace_of(headers.get(wire.API_KEY_HEADER))
        if workspace_id is None:
            problem = "is not valid" if wire.API_KEY_HEADER in headers else "is missing"
            refusal = Refusal(
                401,
                "unauthorized",
                f"the API key {problem}: send this workspace's key in the header {wire.API_KEY_HEADER}",
                {"WWW-Authenticate": f'ApiKey header="{wire.API_KEY_HEADER}"'},
            )
            await refusal.response()(scope, receive, send)
            return
        # The server has seen to it that this is a number.
        if int(headers.get("content-length", "0")) > MAX_BODY_BYTES:
            await _too_large().response()(scope, receive, send)
            return
        scope.setdefault("state", {})["workspace_id"] = workspace_id
        await self._app(scope, _limited(receive), send)

    async def _workspace_of(self, api_key: str | None) -> str | None:
        if api_key is None:
            return None
        now = self._clock()
        if not self._read_at <= now < self._read_at + _KEYS_LIVE_SECONDS:
            self._keys = await self._records.read(keys)
            self._read_at = now
        # How long this takes tells something of hashes at the most, and no key can be made to fit a hash.
        given = hash_of_key(api_key)
        workspace_id = self._keys.get(given)
        if workspace_id is not None and not 0 <= now - self._noted_at.get(given, float("-inf")) < _USE_NOTED_SECONDS:
            self._noted_at[given] = now
            await self._records.write(lambda connection: note_use(connection, given, now))
        return workspace_id


def _limited(receive: Receive) -> Receive:
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > MAX_BODY_BYTES:
            raise _too_large()
        return message

    return counted


def _too_large() -> Refusal:
    return Refusal(
        413, "body_too_large", f"the request's body is larger than {MAX_BODY_BYTES:,} bytes: send several requests"
    )


def _below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(prefix + "/")
