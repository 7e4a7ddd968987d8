"""Secrets in a state: sealed with AES-256-GCM, so that a copy of the state alone does not give them away.

The key is GLOSSI_STATE_KEY where it is set, and otherwise a file of its owner's alone (mode 0600) beside the state. The
sealed text is bound to the state's lineage and the secret's name: moved elsewhere, it does not open.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from glossi_sync.state.store import StateError

KEY_VARIABLE = "GLOSSI_STATE_KEY"
KEY_BYTES = 32
_NONCE_BYTES = 12


def state_key(file: Path, env: Mapping[str, str], *, create: bool) -> bytes:
    """The key that secrets are sealed with: of the environment, or of the key file, made where ``create`` says so.

    Raises:
        StateError: the key is malformed, or there is none.
    """
    if text := env.get(KEY_VARIABLE):
        return _decoded(text, f"the environment variable {KEY_VARIABLE}")
    try:
        if create:
            _make(file)
        return _decoded(file.read_text(encoding="ascii"), f"the key file {file}")
    except FileNotFoundError:
        raise StateError(
            f"there is no key to open the state's secrets with: set {KEY_VARIABLE}, or put the key file back at {file}"
        ) from None
    except (OSError, ValueError) as error:
        raise StateError(f"the key file {file} cannot be used: {error}") from error


def seal(key: bytes, lineage: str, name: str, secret: str) -> str:
    """Encrypt a secret; ``lineage`` is the state's."""
    # Imported here because it costs 30 ms, and few runs touch a secret.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = AESGCM(key).encrypt(nonce, secret.encode(), _bound_to(lineage, name))
    return base64.b64encode(nonce + sealed).decode("ascii")


def unseal(key: bytes, lineage: str, name: str, sealed: str) -> str:
    """Decrypt what ``seal`` made.

    Raises:
        StateError: the key is another one, or the text was changed or belongs to another state.
    """
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    try:
        whole = base64.b64decode(sealed, validate=True)
        opened = AESGCM(key).decrypt(whole[:_NONCE_BYTES], whole[_NONCE_BYTES:], _bound_to(lineage, name))
        return opened.decode()
    except (InvalidTag, ValueError):
        raise StateError(
            f"the secret {name!r} cannot be opened: it was sealed with another key, or changed since; "
            f"use the {KEY_VARIABLE} or key file that the state was written with"
        ) from None


def _bound_to(lineage: str, name: str) -> bytes:
    return f"glossi-sync secret\0{lineage}\0{name}".encode()


def _decoded(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise StateError(
            f"{where} does not hold a key: it must be {KEY_BYTES} random bytes in base64 (openssl rand -base64 32)"
        )
    return key


def _make(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
        opened.flush()
        os.fsync(opened.fileno())
