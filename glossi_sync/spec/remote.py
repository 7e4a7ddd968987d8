"""Remote files as the spec names them: which URLs are accepted, how they are shown, what is told from them.

A file in a bucket is ``s3://BUCKET/KEY`` (or ``gs://``, ``az://`` with a container), where KEY is the key itself with
nothing in it escaped, as the clouds' own tools spell it. One on a web server is an https:// URL as a browser takes it.
The query of such a URL may be a signature, which is as good as a password: no message and no state has it.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from glossi_sync.buckets import BUCKETS
from glossi_sync.resources import file_type_of
from glossi_sync.spec.endpoint import is_loopback, url_problem

_WEB = ("https", "http")
_BUCKET = re.compile(r"[$A-Za-z0-9][A-Za-z0-9._-]*")


def is_remote(file: str) -> bool:
    """Whether a model's file is a URL, and not a path."""
    return "://" in file


def remote_problem(url: str, shown: str) -> str | None:
    """Why a URL names no file that can be read, or None where it does; ``shown`` is how messages call it."""
    scheme, _, rest = url.partition("://")
    if scheme in BUCKETS:
        return _bucket_problem(scheme, rest, shown)
    if scheme not in _WEB:
        return f"{shown} is a URL of a kind that cannot be read: use s3://, gs://, az:// or https://"
    problem = url_problem(url, _WEB)
    if problem is not None:
        # What stands before an @ may be a password, wherever it is to be found in a URL that is not well formed.
        return f"the URL{'' if '@' in url else f' {shown}'} {problem}"
    if scheme == "http" and not is_loopback(urlsplit(url).hostname or ""):
        return f"{shown} would be read unencrypted: use https://"
    return f"the URL {shown} must not hold '#': write %23 where it is part of a name" if "#" in url else None


def _bucket_problem(scheme: str, rest: str, shown: str) -> str | None:
    bucket, _, key = rest.partition("/")
    if "@" in bucket:
        return "the URL must not hold a user name or password: the environment has the credentials"
    if not _BUCKET.fullmatch(bucket) or not key:
        return f"{shown} names no file in a bucket: write {scheme}://BUCKET/KEY"
    if any(character < " " or character == "\x7f" for character in key):
        return f"the key in {shown} holds a control character"
    if not {"", ".", ".."}.isdisjoint(key.split("/")):
        return f"the key in {shown} must not hold empty parts, '.' or '..'"
    return None


def shown_file(written: str) -> str:
    """A model's file as messages and the state may have it: a URL without its query and its user, a path as it is."""
    scheme, separator, rest = written.partition("://")
    if not separator:
        return written
    query = ""
    if scheme not in BUCKETS:
        rest, mark, _ = rest.partition("#")[0].partition("?")
        query = "?…" if mark else ""
    host, slash, path = rest.partition("/")
    user = "…@" if "@" in host else ""
    return f"{scheme}://{user}{host.rpartition('@')[2]}{slash}{path}{query}"


def remembered_as(url: str) -> str:
    """What the state calls a remote file: its URL, with a hash in the place of a query."""
    place, mark, query = url.partition("?")
    if not mark or place.partition("://")[0] in BUCKETS:
        return url
    return f"{place}?sha256:{hashlib.sha256(query.encode()).hexdigest()[:32]}"


def remote_name(url: str) -> str:
    """What a remote file is called, without the way to it."""
    return PurePosixPath(_path(url)).name or urlsplit(url).hostname or "model"


def type_named_by(file: str) -> str | None:
    """The file type that the suffix of a path, or of a URL's path, names; as ``file_type_of``."""
    return file_type_of(_path(file) if is_remote(file) else file)


def _path(url: str) -> str:
    """The path in a URL, not escaped: all that is to be told from a URL about the file."""
    scheme, _, rest = url.partition("://")
    if scheme in BUCKETS:
        return rest.partition("/")[2]
    return unquote(re.split("[?#]", rest, maxsplit=1)[0].partition("/")[2])
