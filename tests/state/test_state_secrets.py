"""Secrets are sealed: with another key, in another state or under another name they do not open."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glossi_sync.state import StateError, seal, state_key, unseal
from glossi_sync.state.secrets import KEY_VARIABLE

keys = st.binary(min_size=32, max_size=32)


@given(keys, st.text(max_size=9), st.text(max_size=9), st.text())
def test_what_was_sealed_opens(key: bytes, lineage: str, name: str, secret: str) -> None:
    assert unseal(key, lineage, name, seal(key, lineage, name, secret)) == secret


@given(keys, keys)
def test_only_its_own_key_state_and_name_open_it(key: bytes, other: bytes) -> None:
    sealed = seal(key, "lineage", "webhook", "whsec_1")
    assert "whsec_1" not in sealed and b"whsec_1" not in base64.b64decode(sealed)
    attempts = [(key, "another", "webhook", sealed), (key, "lineage", "other", sealed)]
    attempts += [(key, "lineage", "webhook", sealed[:-4] + "AAAA"), (key, "lineage", "webhook", "no base64")]
    attempts += [(other, "lineage", "webhook", sealed)] if other != key else []
    for attempt in attempts:
        with pytest.raises(StateError, match="cannot be opened"):
            unseal(*attempt)


def test_two_seals_of_one_secret_differ() -> None:
    assert len({seal(b"k" * 32, "l", "n", "s") for _ in range(20)}) == 20


def test_the_key_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "state" / "shop@local.key"
    key = state_key(file, {}, create=True)
    assert len(key) == 32
    if os.name == "posix":
        assert file.stat().st_mode & 0o777 == 0o600
    assert state_key(file, {}, create=True) == key == state_key(file, {}, create=False)


def test_the_environment_comes_first_and_makes_no_file(tmp_path: Path) -> None:
    file = tmp_path / "a.key"
    assert state_key(file, {KEY_VARIABLE: base64.b64encode(b"k" * 32).decode()}, create=True) == b"k" * 32
    assert not file.exists()


@pytest.mark.parametrize("text", ["short", base64.b64encode(b"k" * 31).decode(), "é" * 44])
def test_a_malformed_key_is_told_with_the_way_to_make_one(tmp_path: Path, text: str) -> None:
    with pytest.raises(StateError, match="openssl rand -base64 32"):
        state_key(tmp_path / "a.key", {KEY_VARIABLE: text}, create=False)


def test_no_key_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"no key to open the state's secrets.*put the key file back"):
        state_key(tmp_path / "a.key", {}, create=False)
