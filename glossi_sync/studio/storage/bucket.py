"""An S3 bucket as storage: ``s3://bucket/prefix``, at AWS or at any server that speaks S3 (extra ``buckets``).

    <prefix>/workspaces/…            what answers point to
    <prefix>/incoming/workspaces/…   uploads, by presigned URLs, until they are confirmed

The bucket takes uploads itself, so what the studio cannot refuse it looks at when the upload is confirmed: the size,
and the Content-Type, which obstore's signatures do not bind. An upload's URL goes on living after that, so it never
points to a model's file: the confirmation copies the upload to the file's own key, which no URL allows to write, and
looks at the copy. What is uploaded later lies under ``incoming`` and is never read; a lifecycle rule of the bucket's
may expire that prefix.

Credentials, region and endpoint come from the environment (``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``,
``AWS_REGION``, ``AWS_ENDPOINT_URL`` …), the server's and each worker's own. Clients must reach the same endpoint.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
import obstore.exceptions
from obstore.store import S3Store

from glossi_sync.studio.storage.folder import remove_attempt
from glossi_sync.studio.storage.protocol import (
    MEDIA_TYPES,
    FileLost,
    NotUploaded,
    StorageAway,
    StoredFile,
    TooLarge,
    UploadReplaced,
    WrongContentType,
    check_key,
)
from glossi_sync.studio.threads import Runner, in_thread

if TYPE_CHECKING:
    from obstore import GetResult
    from obstore.store import ClientConfig, RetryConfig

log = logging.getLogger(__name__)

CHUNK = 1 << 20
"""Bytes that are read at once, at least."""

_LOOKS = 3
"""How often an upload that is replaced while it is looked at is looked at again."""

_TIMEOUTS: ClientConfig = {"connect_timeout": "10s", "read_timeout": "60s", "timeout": "1day"}
"""Without progress; a large file may take long (obstore would give up after 30 s in all)."""

_RETRIES: RetryConfig = {"max_retries": 4, "retry_timeout": timedelta(seconds=20)}

_CLIENT_OPTIONS = ("allow_invalid_certificates", "proxy_ca_certificate", "proxy_excludes", "proxy_url")
"""What obstore would take from the environment (``AWS_PROXY_URL`` …), were no options given at all."""

_URL = re.compile(r"s3://[^/?#\s]+(/[A-Za-z0-9._/-]*)?", re.ASCII)

_REASONS = {
    "169.254.169.254": "the environment has no credentials for it; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "NoSuchBucket": "there is no such bucket",
    "without LOCATION": "the bucket lies in another region; set AWS_REGION",
    "status code: 401": "the environment's credentials do not allow it",
    "status code: 403": "the environment's credentials do not allow it",
    "certificate": "the server's certificate cannot be trusted",
    "dns error": "the server's name is not known, or there is no network",
    "error sending request": "nothing answers there",
    "imedOut": "the server takes too long",
}
"""Words of obstore's errors, and what they mean."""


@dataclass(frozen=True, slots=True)
class BucketDepot:
    """A bucket for workers. ``working`` is the folder, on this machine, in which they work; None where they are on
    other machines: the system's folder for temporary files."""

    url: str
    working: Path | None

    def check(self) -> None:
        with _reaching(self.url):
            next(iter(obstore.list(_store(self.url), chunk_size=1)), None)

    def fetch(self, key: str, folder: Path) -> Path:
        check_key(key)
        target = folder / key.rpartition("/")[2]
        with _reaching(self.url):
            try:
                answer = obstore.get(_store(self.url), key)
            except FileNotFoundError as error:
                raise _lost(key, error) from None
            with target.open("wb") as file:
                for chunk in answer.stream(min_chunk_size=CHUNK):
                    file.write(chunk)
        return target

    def put(self, source: Path, key: str) -> None:
        check_key(key)
        if not source.is_file():
            raise FileNotFoundError(f"{source.name} was not made")
        media_type = MEDIA_TYPES.get(key.rpartition(".")[2], "application/octet-stream")
        with _reaching(self.url):
            obstore.put(_store(self.url), key, source, attributes={"Content-Type": media_type})

    @contextmanager
    def working_folder(self, attempt: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix=f"{attempt}-", dir=self.working, ignore_cleanup_errors=True) as folder:
            yield Path(folder)


class BucketStorage:
    """Files in the bucket of ``url``. ``working`` as for ``BucketDepot``; made where it is missing.

    Raises:
        StorageAway: the bucket cannot be written to; the message says why.
        ValueError: the URL is none of a bucket.
    """

    def __init__(self, url: str, *, working: Path | None, run: Runner = in_thread) -> None:
        if not _URL.fullmatch(url):
            raise ValueError(f"{url!r} does not name a bucket: write it as s3://BUCKET or s3://BUCKET/PREFIX")
        self._depot = BucketDepot(url.rstrip("/"), working)
        self._run = run
        with _reaching(url):
            self._store = _store(self._depot.url)
            obstore.put(self._store, ".glossi-studio", b"")
            obstore.delete(self._store, ".glossi-studio")
        if working is not None:
            working.mkdir(parents=True, exist_ok=True)
            remove_attempt(working, "")

    @property
    def depot(self) -> BucketDepot:
        return self._depot

    async def upload_urls(self, keys: Sequence[str], seconds: float) -> list[str] | None:
        paths = [_incoming(key) for key in keys]
        lifetime = timedelta(seconds=max(1, int(seconds)))
        with _reaching(self._depot.url):
            return list(await obstore.sign_async(self._store, "PUT", paths, lifetime))

    async def settle(self, key: str, *, content_type: str, limit: int) -> None:
        with _reaching(self._depot.url):
            for _ in range(_LOOKS):
                upload = await self._look(_incoming(key))
                if upload is None:
                    raise NotUploaded
                _check(upload, content_type, limit)
                try:
                    await obstore.copy_async(self._store, _incoming(key), key)
                except FileNotFoundError:
                    continue
                kept = await self._look(key)
                if kept is None or not await self._is_copy(kept, upload, key):
                    # Another upload came in between, and perhaps it is what was copied.
                    continue
                _check(kept, content_type, limit)
                return
        raise UploadReplaced

    async def settled(self, key: str) -> None:
        try:
            with _reaching(self._depot.url):
                await obstore.delete_async(self._store, _incoming(key))
        except StorageAway as error:
            log.warning("what was uploaded for %s was left behind: %s", key, error)

    async def find(self, key: str) -> StoredFile | None:
        try:
            check_key(key)
        except ValueError:
            return None
        with _reaching(self._depot.url):
            try:
                meta = await obstore.head_async(self._store, key)
            except FileNotFoundError:
                return None
        return StoredFile(key, meta["size"], meta["e_tag"] or f'"{meta["size"]:x}"')

    async def read(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        check_key(key)
        if start == end:
            return
        with _reaching(self._depot.url):
            answer = await obstore.get_async(self._store, key, options={"range": (start, end)})
            async for chunk in answer.stream(min_chunk_size=CHUNK):
                yield bytes(chunk)

    async def discard(self, attempt: str) -> None:
        if self._depot.working is not None:
            await self._run(partial(remove_attempt, self._depot.working, attempt))

    async def remove_tree(self, prefix: str) -> None:
        check_key(prefix)
        with _reaching(self._depot.url):
            async for page in obstore.list(self._store, prefix=prefix, chunk_size=1000):
                await obstore.delete_async(self._store, [entry["path"] for entry in page])

    async def _look(self, path: str) -> GetResult | None:
        try:
            return await obstore.get_async(self._store, path, options={"head": True})
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise
            return None

    async def _is_copy(self, kept: GetResult, upload: GetResult, key: str) -> bool:
        if kept.meta["size"] != upload.meta["size"]:
            return False
        if kept.meta["e_tag"] == upload.meta["e_tag"]:
            return True
        # A copy has an ETag of its own where the bucket encrypts with keys of its owner's; the upload has its old one.
        again = await self._look(_incoming(key))
        return again is not None and again.meta["e_tag"] == upload.meta["e_tag"]


def _incoming(key: str) -> str:
    check_key(key)
    return f"incoming/{key}"


def _check(upload: GetResult, content_type: str, limit: int) -> None:
    if upload.meta["size"] > limit:
        raise TooLarge
    found = str(upload.attributes.get("Content-Type", ""))
    if found != content_type:
        raise WrongContentType(found)


@cache
def _store(url: str) -> S3Store:
    """The bucket, as the environment has it; one for each process."""
    given: Any = {name: value for name in _CLIENT_OPTIONS if (value := os.environ.get(f"AWS_{name.upper()}"))}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    # Whoever names an http:// endpoint means it.
    options: ClientConfig = {**_TIMEOUTS, **given, "allow_http": endpoint.startswith("http://")}
    return S3Store.from_url(url, client_options=options, retry_config=_RETRIES)


def _lost(key: str, error: FileNotFoundError) -> Exception:
    if "NoSuchBucket" in str(error):
        return error
    return FileLost(f"{key} is not in the studio's storage any more")


@contextmanager
def _reaching(url: str) -> Iterator[None]:
    """What goes wrong with the bucket is told in words of our own: obstore's hold whole URLs, signatures included."""
    try:
        yield
    except (obstore.exceptions.BaseError, FileNotFoundError, ValueError) as error:
        said = str(error)
        reason = next((reason for sign, reason in _REASONS.items() if sign in said), None)
        if reason is None:
            reason = re.sub(r"[a-z0-9]+://\S+", "…", said.partition("\n")[0])[:200]
        raise StorageAway(f"the bucket {url} cannot be used: {reason}") from None
