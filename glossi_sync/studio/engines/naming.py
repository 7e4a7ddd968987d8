"""What a job's files are called: display names as in the guide (Step 5, ``Front View - Oak``), and file names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

DEFAULT_VARIANT = "Default"
"""The label of a model's one look where it has no variants (guide, Step 5)."""


def variant_labels(models: Iterable[tuple[str, tuple[str, ...]]]) -> list[list[str]]:
    """The label of every look of every model, in order, no two alike.

    ``models`` gives each model's name and the names of its material variants. One model is labelled by its variants
    alone; of several, each is a variant of the product, so that the model's name comes first.
    """
    every = list(models)
    taken: set[str] = set()
    labels: list[list[str]] = []
    for name, variants in every:
        looks = [variant.strip() or f"Variant {number}" for number, variant in enumerate(variants, 1)]
        if len(every) == 1:
            wanted = looks or [DEFAULT_VARIANT]
        else:
            called = name.strip() or "Model"
            wanted = [f"{called}, {look}" for look in looks] or [called]
        labels.append([_unique(label, taken) for label in wanted])
    return labels


def display_name(camera: str, label: str) -> str:
    """``Front View - Oak``."""
    return f"{camera} - {label}"


def file_name(name: str, suffix: str, taken: set[str]) -> str:
    """A file name for a display name: plain ASCII, safe on every file system, unlike all of ``taken``; adds itself."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:80].rstrip("-") or "render"
    return f"{_unique(slug, taken, '-{}')}.{suffix}"


def _unique(name: str, taken: set[str], pattern: str = " ({})") -> str:
    candidate, number = name, 2
    while candidate.casefold() in taken:
        candidate, number = name + pattern.format(number), number + 1
    taken.add(candidate.casefold())
    return candidate
