"""Keeping the webhook's secret, which the service tells only in its answer to a PUT (service facts, "Webhooks")."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def keep_in(path: Path) -> Callable[[str], str]:
    """A keeper that writes a secret to ``path`` (mode 0600, replaced as a whole) and answers where it is.

    The keeper raises OSError where it cannot be written.
    """

    def keep(secret: str) -> str:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(secret + "\n")
        part.replace(path)
        return str(path)

    return keep
