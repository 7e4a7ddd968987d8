"""The digest: a hash of everything that decides an object's pictures, and of nothing else."""

import hashlib
import json

Scalar = str | int | bool | None


def digest(kind: str, *inputs: Scalar | tuple[Scalar, ...]) -> str:
    """Hash a kind and its inputs, in order, to 64 hex characters.

    The inputs are spelled as JSON, so that no two different lists of inputs are spelled alike.
    """
    spelled = json.dumps([kind, *inputs], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(spelled.encode()).hexdigest()
