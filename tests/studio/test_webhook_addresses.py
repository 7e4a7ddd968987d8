"""Where webhooks may lead: what the operator allows, judged by the address that is connected to."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from studio_processes import served
from webhook_receiver import receiving

from glossi_sync.studio import addresses
from glossi_sync.studio.addresses import AddressRefused, Allowed, AllowedTransport


@pytest.mark.parametrize(
    ("address", "permitted"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("169.254.169.254", False),
        ("fe80::1%lo", False),
        ("93.184.216.34", False),
    ],
)
def test_by_default_a_webhook_leads_to_this_machine_alone(address: str, permitted: bool) -> None:
    assert Allowed().permits("hooks.example", address) is permitted
    assert Allowed.of([]).permits("hooks.example", address) is permitted
    assert Allowed.of(["*"]).permits("hooks.example", address)


def test_networks_addresses_and_hosts_are_allowed_beside_it() -> None:
    allowed = Allowed.of(["10.1.0.0/16", "192.168.7.9", "2001:db8::/32", "[2001:db9::1]", "Hooks.Example."])
    for address in ("10.1.2.3", "192.168.7.9", "2001:db8::5", "2001:db9::1", "::ffff:10.1.2.3", "127.0.0.1"):
        assert allowed.permits("elsewhere.example", address), address
    for address in ("10.2.0.1", "192.168.7.8", "2001:db7::5"):
        assert not allowed.permits("elsewhere.example", address), address
        assert allowed.permits("hooks.example", address)
    assert not allowed.permits("sub.hooks.example", "10.2.0.1")


@pytest.mark.parametrize("entry", ["", ".", "https://hooks.example", "hooks.example:443", "10.0.0.0/33", "*.example"])
def test_what_is_no_host_and_no_network_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="neither a host"):
        Allowed.of([entry])


@given(st.ip_addresses(), st.ip_addresses(v=4), st.integers(0, 32))
def test_a_network_allows_what_lies_in_it(address: Any, network: Any, bits: int) -> None:
    within = ipaddress.ip_network(f"{network}/{bits}", strict=False)
    mapped = address.ipv4_mapped if address.version == 6 else None
    meant = mapped or address
    expected = meant.is_loopback or (meant.version == 4 and meant in within)
    assert Allowed.of([str(within)]).permits("h", str(address)) is expected


def test_the_server_does_not_start_with_what_it_cannot_keep_to(tmp_path: Path) -> None:
    with served(
        tmp_path / "data", "--webhook-allow", "10.0.0.0/8", "--webhook-allow", "https://hooks.example"
    ) as studio:
        status, _, errors = studio.ended()
    assert status == 1 and "'https://hooks.example' is neither a host's name" in errors and "Traceback" not in errors


def get(url: str, allowed: Allowed) -> int:
    async def ask() -> int:
        async with httpx.AsyncClient(transport=AllowedTransport(allowed), trust_env=False) as client:
            return (await client.get(url)).status_code

    return asyncio.run(ask())


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """A name server that gives these answers, one after the other, and the last for good; the names it was asked for."""
    asked: list[str] = []
    waiting = list(answers)

    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        found = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(addresses, "getaddrinfo", getaddrinfo)
    return asked


def test_a_name_counts_for_what_it_resolves_to(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        url = receiver.url.replace("127.0.0.1", "hooks.example")
        resolving(monkeypatch, ["127.0.0.1"])
        assert get(url.replace("/hook", "/"), Allowed()) == 200
        resolving(monkeypatch, ["10.0.0.1", "192.168.0.1"])
        with pytest.raises(AddressRefused, match=r"hooks\.example \(10\.0\.0\.1, 192\.168\.0\.1\)"):
            get(url, Allowed())


def test_a_name_that_resolves_differently_the_second_time_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: what was checked is what is connected to."""
    with receiving() as receiver:
        asked = resolving(monkeypatch, ["127.0.0.1"], ["10.0.0.1"])
        assert get(receiver.url.replace("127.0.0.1", "hooks.example"), Allowed()) == 200
        assert asked == ["hooks.example"], "it is asked once"


def test_of_several_addresses_the_forbidden_ones_are_passed_over_and_the_dead_ones_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with receiving() as receiver:
        resolving(monkeypatch, ["10.0.0.1", "127.0.0.77", "127.0.0.1"])
        assert get(receiver.url.replace("127.0.0.1", "hooks.example"), Allowed()) == 200


def test_a_name_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(addresses, "getaddrinfo", getaddrinfo)
    with pytest.raises(httpx.ConnectError, match=r"hooks\.example cannot be resolved: Name or service not known"):
        get("http://hooks.example/", Allowed.of(["*"]))


def test_a_certificate_is_checked_against_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = self_signed(tmp_path, "hooks.example")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        resolving(monkeypatch, ["127.0.0.1"])
        with pytest.raises(httpx.ConnectError, match="self-signed"):
            get(f"https://hooks.example:{server.server_port}/", Allowed())
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert get(f"https://hooks.example:{server.server_port}/", Allowed()) == 204
        with pytest.raises(httpx.ConnectError, match="not valid for 'other.example'"):
            get(f"https://other.example:{server.server_port}/", Allowed())
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def self_signed(folder: Path, name: str) -> Path:
    """A certificate for that name and its key, in one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path
