"""Buckets (S3, Google Cloud Storage, Azure) and web servers, reached by obstore with what the environment has.

How one is opened, and what its errors mean, for the rooms that use them: the spec reads models' files from there, the
state may lie there. obstore's own messages hold whole URLs, signatures included, so they are told in words of our own.

obstore's coroutines are used nowhere: its own threads would call into Python to resume them, and where one does so
while the interpreter ends, the process is aborted. What it offers blocks, and is called from threads.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from obstore.store import ObjectStore

BUCKETS = ("s3", "gs", "az")

TIMEOUTS = {"connect_timeout": "5s", "read_timeout": "60s", "timeout": "1day"}
"""Without progress; a large file may take long (obstore would give up after 30 s in all)."""

RETRIES = {"max_retries": 7, "retry_timeout": timedelta(seconds=30)}
"""A busy bucket is waited for; where nobody answers, it is told after a few seconds."""

CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SKIP_SIGNATURE=true for a public bucket",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or GOOGLE_SKIP_SIGNATURE=true for a public bucket",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}

_ENVIRONMENT = {"s3": "AWS_", "gs": "GOOGLE_", "az": "AZURE_"}

_CLIENT_OPTIONS = (
    "allow_http",
    "allow_invalid_certificates",
    "connect_timeout",
    "http1_only",
    "http2_only",
    "pool_idle_timeout",
    "pool_max_idle_per_host",
    "proxy_ca_certificate",
    "proxy_excludes",
    "proxy_url",
    "read_timeout",
    "timeout",
    "user_agent",
)
"""What obstore takes from the environment of a cloud (``AWS_ALLOW_HTTP`` …), unless any of it is given."""

_METADATA = re.compile(r"//169\.254\.169\.254|//metadata\.google|MissingAccount")
"""The clouds' own machines are asked for credentials where the environment has none."""

_STATUS = re.compile(r"non-2xx status code: (\d+)")

_NAMES = re.compile(r"[a-z0-9]+://\S+|(?m:^ *path: .*$)")
"""What in a message of obstore's is not its own: a key may be called whatever its errors are."""

_SIGNS = {
    "BadScheme": "its endpoint is an http:// URL; where that is meant, set AWS_ALLOW_HTTP=true (or GOOGLE_, AZURE_)",
    "without LOCATION": "its bucket lies in another region; set AWS_REGION",
    "Content-Length": "the server does not tell its length",
    "ertificate": "the server's certificate cannot be trusted",
    "dns error": "the server's name is not known, or there is no network",
    "kind: Connect": "nothing answers there",
    "imedOut": "the server takes too long",
    "kind: Body": "the connection broke off",
    "kind: Decode": "the connection broke off",
    "Range request": "the connection broke off",
}
"""Words of obstore's errors, and what they mean."""


def obstore() -> Any:
    """The library, imported where a bucket is used. Raises ImportError where the extra ``buckets`` is missing."""
    import obstore  # noqa: PLC0415
    import obstore.exceptions  # noqa: PLC0415
    import obstore.store  # noqa: PLC0415

    return obstore


def open_url(url: str, **timeouts: str) -> ObjectStore:
    """The store of a bucket or web server, for paths below ``url``; ``timeouts`` in the place of ``TIMEOUTS``' own.

    Raises:
        ImportError: the extra ``buckets`` is missing.
        obstore.exceptions.BaseError, ValueError, TypeError: the environment lacks what it takes, or has something that
            cannot be used; ``cause`` says what.
    """
    library = obstore()
    scheme = url.partition("://")[0]
    # Named by its own class: from_url would take some https:// hosts for buckets, and sign what is asked of them.
    store = library.store.from_url if scheme in BUCKETS else library.store.HTTPStore
    opened: ObjectStore = store(url, client_options=_client_options(scheme, timeouts), retry_config=RETRIES)
    return opened


def _client_options(scheme: str, timeouts: Mapping[str, str]) -> Mapping[str, Any]:
    """How to connect. Options that are given take the place of all that the environment has, so it is given too."""
    if scheme not in BUCKETS:
        return {**TIMEOUTS, **timeouts, "allow_http": scheme == "http"}
    named = {name: os.environ.get(_ENVIRONMENT[scheme] + name.upper()) for name in _CLIENT_OPTIONS}
    return {**TIMEOUTS, **timeouts, **{name: value for name, value in named.items() if value}}


def cause(error: Exception, url: str) -> str | None:
    """What kept obstore from doing something at ``url``, where it is neither the object itself nor a ``status``."""
    said = str(error)
    if _METADATA.search(said):
        scheme = url.partition("://")[0]
        return f"the environment has no credentials for {scheme}://; set {CREDENTIALS.get(scheme, 'them')}"
    if "<Code>NoSuchBucket<" in said or "<Code>ContainerNotFound<" in said:
        return f"there is no bucket {'/'.join(url.split('/')[:3])}"
    if isinstance(error, FileNotFoundError) or status(error) is not None:
        return None
    said = _NAMES.sub("", said)
    return next((reason for sign, reason in _SIGNS.items() if sign in said), None)


def status(error: Exception) -> str | None:
    """The HTTP status that a server has refused with, where it has."""
    found = _STATUS.search(str(error))
    return None if found is None else found[1]


def remark(error: Exception) -> str:
    """What else an error may say; it can hold no URL any more."""
    return _NAMES.sub("", str(error)).partition("\n")[0].strip()[:200]
