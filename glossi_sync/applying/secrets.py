"""Keeping the webhook's secret, which the service tells only in its answer to a PUT (service facts, "Webhooks").

Either sealed in the state, or in a file that the spec names.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from glossi_sync.state import PutSecret, Write, seal

WEBHOOK_SECRET = "webhook"  # noqa: S105 (its name, not the secret)

KeepSecret = Callable[[str], tuple[str, tuple[Write, ...]]]
"""Keeps a secret: answers where a person finds it, and what is to be written to the state for that."""


def keep_in(path: Path) -> KeepSecret:
    """A keeper that writes a secret to ``path`` (mode 0600, replaced as a whole).

    The keeper raises OSError where it cannot be written.
    """

    def keep(secret: str) -> tuple[str, tuple[Write, ...]]:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(secret + "\n")
        part.replace(path)
        return str(path), ()

    return keep


def keep_sealed(key: Callable[[], bytes], lineage: str) -> KeepSecret:
    """A keeper that seals a secret into the state of that lineage; ``key`` is asked only when there is a secret.

    The keeper raises StateError where there is no usable key.
    """

    def keep(secret: str) -> tuple[str, tuple[Write, ...]]:
        sealed = seal(key(), lineage, WEBHOOK_SECRET, secret)
        return "the state, sealed (`glossi-sync webhook secret` shows it)", (PutSecret(WEBHOOK_SECRET, sealed),)

    return keep
