"""Where the service is; and what its room promises to others: names that cost nothing until they are used."""

from __future__ import annotations

import subprocess
import sys

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glossi_sync.service
from glossi_sync.resources import EVENTS, FILE_TYPES, RenderSettings
from glossi_sync.resources.model import MAX_FILE_BYTES
from glossi_sync.resources.render import SETTING_NAMES
from glossi_sync.service import Endpoint, InvalidEndpoint, wire
from glossi_sync.service.endpoint import is_loopback, origin_of


@pytest.mark.parametrize(
    ("text", "base", "origin", "loopback"),
    [
        ("https://api.glossi.app/api/v1", "https://api.glossi.app/api/v1", "https://api.glossi.app", False),
        (" https://api.glossi.app/api/v1// ", "https://api.glossi.app/api/v1", "https://api.glossi.app", False),
        ("https://api.glossi.app", "https://api.glossi.app", "https://api.glossi.app", False),
        ("https://api.glossi.app:443/x", "https://api.glossi.app/x", "https://api.glossi.app", False),
        ("http://studio:80", "http://studio", "http://studio", False),
        ("http://localhost:8000/api/v1", "http://localhost:8000/api/v1", "http://localhost:8000", True),
        ("HTTP://LocalHost:8000", "http://localhost:8000", "http://localhost:8000", True),
        ("http://[::1]:8000/api/v1", "http://[::1]:8000/api/v1", "http://[::1]:8000", True),
        ("http://127.9.9.9", "http://127.9.9.9", "http://127.9.9.9", True),
    ],
)
def test_an_endpoint_is_read(text: str, base: str, origin: str, loopback: bool) -> None:
    endpoint = Endpoint.parse(text)
    assert endpoint == Endpoint(base, origin, loopback)
    assert str(endpoint) == base
    assert origin_of(base) == origin
    assert Endpoint.parse(base) == endpoint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("api.glossi.app", "is not an http or https URL"),
        ("", "is not an http or https URL"),
        ("ftp://api.glossi.app", "is not an http or https URL"),
        ("https://", "is not an http or https URL"),
        ("https://host:99999", "is not a URL"),
        ("https://[::1", "is not a URL"),
        ("https://me:pass@host", "must not carry a user or a password"),
        ("https://host/api?key=x", "without query or fragment"),
        ("https://host/api#x", "without query or fragment"),
    ],
)
def test_what_is_no_endpoint_is_refused_with_an_example_and_without_its_password(text: str, said: str) -> None:
    with pytest.raises(InvalidEndpoint, match=said) as raised:
        Endpoint.parse(text)
    assert "write it like https://api.glossi.app/api/v1" in str(raised.value)
    assert "pass@" not in str(raised.value)


@given(st.text(max_size=30).filter(lambda text: text not in (".", "..")))
def test_an_id_can_only_ever_be_one_part_of_a_path(model_id: str) -> None:
    url = httpx.URL(Endpoint.parse("https://host/api/v1").url(wire.MODEL_CONFIRM_PATH, modelId=model_id))
    assert url.raw_path.decode().count("/") == "/api/v1/models/x/confirm".count("/")
    assert url.query == b"" and url.host == "host"


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("studio.localhost", True), ("127.0.0.1", True), ("::1", True)]
    + [("localhost.example", False), ("10.0.0.1", False), ("", False), ("0.0.0.0", False)],
)
def test_only_this_machine_is_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_the_wire_and_the_resources_speak_of_the_same_words() -> None:
    """Neither room imports the other's: the wire imports nothing, the resources know of no wire."""
    assert tuple(wire.FILE_TYPES) == FILE_TYPES
    assert wire.EVENTS == EVENTS
    assert wire.MAX_MODEL_BYTES == MAX_FILE_BYTES
    defaults = RenderSettings()
    assert dict(wire.DEFAULT_SETTINGS) == {name: getattr(defaults, field) for field, name in SETTING_NAMES.items()}
    assert set(wire.RenderSettings.__annotations__) == set(SETTING_NAMES.values())


def test_every_name_of_the_room_can_be_had() -> None:
    for name in glossi_sync.service.__all__:
        assert getattr(glossi_sync.service, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        glossi_sync.service.Nothing  # noqa: B018


def test_who_needs_the_wire_alone_does_not_pay_for_the_client() -> None:
    """The studio, and every command that asks no service."""
    code = "import sys; from glossi_sync.service import wire; print(sorted({'httpx', 'tenacity'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
