"""Addresses of services in a spec: which are accepted, and why another is not."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

LOCAL = "local"


def endpoint_problem(endpoint: str, *, allow_http: bool = False) -> str | None:
    """Why an endpoint is not accepted (``local``, or the API's base URL), or None where it is.

    http is accepted on this machine only, since the API key would travel unencrypted, unless ``allow_http``.
    """
    if endpoint == LOCAL:
        return None
    if "://" not in endpoint:
        return "endpoint must be 'local' or an https:// URL"
    parts, problem = _split(endpoint, ("https", "http"))
    if parts is None:
        return f"endpoint {problem}"
    if parts.query or parts.fragment:
        return "endpoint must be a base URL, without ? or #"
    if parts.scheme == "http" and not allow_http and not is_loopback(parts.hostname or ""):
        return "endpoint sends the API key unencrypted: use https://, or service.allowHttp: true in your own network"
    return None


def url_problem(url: str, schemes: tuple[str, ...]) -> str | None:
    """Why a text is no URL with a host and one of ``schemes``, or None where it is one."""
    return _split(url, schemes)[1]


def is_loopback(host: str) -> bool:
    """Whether a host name can only mean this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _split(url: str, schemes: tuple[str, ...]) -> tuple[SplitResult | None, str | None]:
    wanted = " or ".join(f"{scheme}://" for scheme in schemes)
    if any(character.isspace() or not character.isprintable() for character in url):
        return None, "must be a URL, without spaces"
    try:
        parts = urlsplit(url)
        valid = parts.port is None or parts.port > 0
    except ValueError as error:
        return None, f"must be a URL: {str(error).split(' as ')[0]}"
    if parts.scheme not in schemes or not parts.hostname or not valid:
        return None, f"must be a URL that starts with {wanted} and names a host"
    if parts.username is not None or parts.password is not None:
        return None, "must not hold a user name or password"
    return parts, None
