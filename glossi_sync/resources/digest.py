"""The digest: a hash of everything that decides an object's pictures, and of nothing else."""

import hashlib
import json

Scalar = str | int | bool | None

# One encoder for all: json.dumps would make another for each of a catalogue's 300,000 digests.
_spell = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def digest(kind: str, *inputs: Scalar | tuple[Scalar, ...]) -> str:
    """Hash a kind and its inputs, in order, to 64 hex characters.

    The inputs are spelled as JSON, so that no two different lists of inputs are spelled alike.
    """
    return hashlib.sha256(_spell([kind, *inputs]).encode()).hexdigest()
