"""Places where remote files lie: an S3 (moto's) and a small web server, on this machine. Both note what they are asked.

``Bucket`` is a fresh bucket; ``environment`` is what a command needs to read it.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import httpx

SECRET = "wJalrXUtnFEMI"
SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/s3/aws4_request, Signature=any"}


class Asked(NamedTuple):
    """A request, and what was answered; ``query`` as it came, ``condition`` an If-Match or If-None-Match."""

    method: str
    path: str
    query: str
    condition: str
    status: int


def glb(content: str = "", size: int = 0) -> bytes:
    """A GLB's header and one chunk: unlike others by its ``content``, and at least of a ``size``."""
    text = b'{"x":"' + content.encode() + b'"}'
    text += b" " * (max(-len(text) % 4, size - 20 - len(text)))
    text += b" " * (-len(text) % 4)
    return b"glTF" + struct.pack("<II", 2, 20 + len(text)) + struct.pack("<I", len(text)) + b"JSON" + text


@dataclass
class Bucket:
    """A bucket of its own in an S3 on this machine, which takes every signature."""

    endpoint: str
    name: str
    asked: list[Asked] = field(default_factory=list)
    refuse: Callable[[str, str], tuple[int, bytes] | None] = lambda method, path: None
    """Told of each request: what to answer it with, instead of what it asks for."""

    @property
    def url(self) -> str:
        return f"s3://{self.name}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
        }

    def put(self, key: str, content: bytes) -> str:
        """Put an object; its URL as a spec names it."""
        self._ask("PUT", key, content)
        return f"{self.url}/{key}"

    def remove(self, key: str) -> None:
        self._ask("DELETE", key)

    def _ask(self, method: str, key: str, content: bytes = b"") -> None:
        url = f"{self.endpoint}/{self.name}/{quote(key)}"
        httpx.request(method, url, content=content, headers=SIGNED, trust_env=False).raise_for_status()

    def gets(self, status: int | None = None) -> list[str]:
        """The keys of the objects that were asked for, or answered with a status."""
        prefix = f"/{self.name}/"
        return [
            one.path.removeprefix(prefix)
            for one in self.asked
            if one.method == "GET" and one.path.startswith(prefix) and len(one.path) > len(prefix)
            if status in (None, one.status)
        ]

    def lists(self) -> int:
        """How often the bucket was listed."""
        return sum(one.method == "GET" and "list-type" in one.query for one in self.asked)


@contextmanager
def s3() -> Iterator[Callable[[], Bucket]]:
    """An S3 until the block is left; call what it gives for a new bucket."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    buckets: dict[str, Bucket] = {}
    inner = DomainDispatcherApplication(create_backend_app)

    def app(environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"].encode("latin-1").decode()
        bucket = buckets.get(path.split("/")[1])
        condition = environ.get("HTTP_IF_MATCH") or environ.get("HTTP_IF_NONE_MATCH") or ""

        def note(status: str, *rest: Any) -> Any:
            if bucket is not None:
                bucket.asked.append(Asked(method, path, environ["QUERY_STRING"], condition, int(status[:3])))
            return start_response(status, *rest)

        refusal = None if bucket is None else bucket.refuse(method, path)
        if refusal is not None:
            note(f"{refusal[0]} Refused", [("Content-Length", str(len(refusal[1])))])
            return [refusal[1]]
        return inner(environ, note)

    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()

    def new_bucket() -> Bucket:
        bucket = Bucket(f"http://127.0.0.1:{server.port}", f"shop-{secrets.token_hex(6)}")
        httpx.put(f"{bucket.endpoint}/{bucket.name}", trust_env=False).raise_for_status()
        buckets[bucket.name] = bucket
        return bucket

    try:
        yield new_bucket
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Web:
    """A web server's files by path. ``etag`` makes a file's ETag of its content, None for none."""

    origin: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    etag: Callable[[bytes], str | None] = lambda content: f'"{hashlib.md5(content).hexdigest()}"'
    conditions: bool = True
    """Whether it knows If-Match and If-None-Match."""
    signature: str | None = None
    """The query that is asked for, where one is."""
    connections: int = 0
    """How many there were."""
    cut: int | None = None
    """After how many bytes of a file the connection breaks off, whoever asks."""

    def put(self, path: str, content: bytes) -> str:
        self.files[path] = content
        return self.origin + path


@contextmanager
def web() -> Iterator[Web]:
    """A web server until the block is left."""
    site = Web()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            site.connections += 1
            super().setup()

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            content = site.files.get(path) or site.files.get(unquote(path))
            etag = None if content is None else site.etag(content)
            wanted, known = self.headers.get("If-Match"), self.headers.get("If-None-Match")
            if site.signature is not None and query != site.signature:
                status, content = 403, b"<Error><Message>Request has expired</Message></Error>"
            elif content is None:
                status, content = 404, b"nothing here"
            elif site.conditions and wanted not in (None, etag):
                status, content = 412, b""
            elif site.conditions and known is not None and known == etag:
                status, content = 304, b""
            else:
                status = 200
            site.asked.append(Asked("GET", path, query, wanted or known or "", status))
            self.send_response(status)
            self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
            if etag is not None:
                self.send_header("ETag", etag)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: site.cut])
            self.close_connection = site.cut is not None

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Whoever has read enough hangs up."""

    server = Server(("127.0.0.1", 0), Handler)
    site.origin = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
