"""The names beside a file that is missing, for a suggestion."""

from __future__ import annotations

import os

from glossi_sync.spec.problems import near

_SUGGESTIONS = 100


class Neighbours:
    """Lists each folder once, and suggests for the first hundred files only: nobody reads what comes after."""

    def __init__(self) -> None:
        self._names: dict[str, dict[str, None] | None] = {}
        self._left = _SUGGESTIONS

    def suggest(self, path: str) -> str:
        """What is to be said after ``there is no file PATH``."""
        folder, name = os.path.split(path)
        if folder not in self._names:
            try:
                self._names[folder] = dict.fromkeys(sorted(os.listdir(folder)))  # noqa: PTH208 - names are all we need
            except OSError:
                self._names[folder] = None
        names = self._names[folder]
        if names is None:
            return ", nor its folder"
        self._left -= 1
        return near(name, names) if self._left >= 0 else ""
