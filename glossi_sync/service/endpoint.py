"""The endpoint: where the service is, from the URL that the user wrote."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from glossi_sync.service import wire
from glossi_sync.service.errors import InvalidEndpoint


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the service is.

    Attributes:
        base: what every call's path is appended to, without a trailing slash: ``https://api.glossi.app/api/v1``.
        origin: scheme, host and port: ``https://api.glossi.app``.
        loopback: whether it is this machine.
    """

    base: str
    origin: str
    loopback: bool

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read an endpoint; a trailing slash is dropped, a path that the user left out is not made up.

        Raises:
            InvalidEndpoint: it is no http(s) URL, or carries a user, a query or a fragment.
        """
        hint = "write it like https://api.glossi.app/api/v1"
        try:
            parts = urlsplit(text.strip())
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise InvalidEndpoint(f"The endpoint is not a URL ({error}); {hint}") from None
        if parts.username is not None or parts.password is not None:
            raise InvalidEndpoint(f"The endpoint must not carry a user or a password; {hint}, and set GLOSSI_API_KEY")
        if parts.scheme not in ("http", "https") or not host:
            raise InvalidEndpoint(f"The endpoint {text.strip()!r} is not an http or https URL; {hint}")
        if parts.query or parts.fragment:
            raise InvalidEndpoint(f"The endpoint must end with its path, without query or fragment; {hint}")
        at = f"[{host}]" if ":" in host else host
        default_port = {"http": 80, "https": 443}[parts.scheme]
        origin = f"{parts.scheme}://{at}" + (f":{port}" if port not in (None, default_port) else "")
        return cls(base=origin + parts.path.rstrip("/"), origin=origin, loopback=is_loopback(host))

    def url(self, path: str, **ids: str) -> str:
        """The URL of one of the wire's paths, its placeholders filled in and quoted."""
        return self.base + path.format(**{name: quote(value, safe="") for name, value in ids.items()})

    def file_url(self, file_path: str) -> str:
        """The URL of a finished file at the studio, by the ``filePath`` of an answer.

        Raises:
            ValueError: ``file_path`` tries to leave the files.
        """
        return self.base + wire.FILES_PATH.format(filePath=quoted_path(file_path))

    def __str__(self) -> str:
        return self.base


def quoted_path(file_path: str) -> str:
    """The ``filePath`` of an answer as the end of a URL: each segment quoted, its slashes as they are.

    Raises:
        ValueError: ``file_path`` is none, or tries to leave the place that it is below.
    """
    segments = file_path.strip("/").split("/")
    if any(segment in ("", ".", "..") for segment in segments):
        raise ValueError(f"{file_path!r} is not a file's path")
    return "/".join(quote(segment, safe="") for segment in segments)


def is_loopback(host: str) -> bool:
    """Whether a URL's host is this machine: such requests never go through a proxy."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL, however wrong it is."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{re.split('[/?#]', rest, maxsplit=1)[0].rpartition('@')[2]}".lower()
