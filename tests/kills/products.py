"""The user's side of a kill: a folder of fresh products and a spec that wants each of them rendered."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from random import Random

from kills.studio import Studio
from triangle import triangle

SCRIPT = Path(sys.executable).with_name("glossi-sync")
"""The console script, as pip installs it beside the interpreter."""

SPEC = """\
version: 1
workspace: kills
templates:
  studio: {name: Studio Light}
renderSettings:
  web: {renderShots: false}
  film: {renderBookmarks: false}
catalogues:
  - rows: plain.csv                     # named by the service: many projects share a call
    key: ${row.sku}
    model: {name: "${row.title}", file: "models/${row.sku}.glb"}
    project: {template: studio, renders: [web]}
  - rows: named.csv                     # a project's own name takes a call of its own
    key: ${row.sku}
    model: {name: "${row.title}", file: "models/${row.sku}.glb"}
    project: {name: "${row.title} twice", template: studio, renders: [web, film]}
downloads: {to: renders}
"""


@dataclass(frozen=True)
class Products:
    """A folder with a spec; ``files`` holds each product's model file by key, ``renders`` the settings it wants."""

    folder: Path
    files: dict[str, bytes]
    renders: dict[str, tuple[str, ...]]

    @property
    def state(self) -> Path:
        """The state's file; there may be none yet."""
        [path] = [*(self.folder / "state").glob("*.db")] or [self.folder / "state" / "none.db"]
        return path

    def environment(self, studio: Studio) -> dict[str, str]:
        """This process's environment without anything of glossi-sync's, but the studio and its key."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("GLOSSI_")}
        return {**inherited, "GLOSSI_ENDPOINT": studio.url, "GLOSSI_API_KEY": studio.key}


def write_products(folder: Path, count: int, rng: Random) -> Products:
    """Make so many products, none like any other; every fifth has a project with a name and two renders."""
    (folder / "models").mkdir(parents=True)
    files: dict[str, bytes] = {}
    renders: dict[str, tuple[str, ...]] = {}
    rows: dict[str, list[str]] = {"plain.csv": ["sku,title"], "named.csv": ["sku,title"]}
    for number in range(count):
        key = f"sku{number:04}"
        named = number % 5 == 4
        files[key] = triangle(f"{folder.name} {key} {rng.random()}", size=400_000 if rng.random() < 0.1 else 0)
        renders[key] = ("web", "film") if named else ("web",)
        rows["named.csv" if named else "plain.csv"].append(f"{key},Product {number}")
        (folder / "models" / f"{key}.glb").write_bytes(files[key])
    for name, lines in rows.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "glossi.yaml").write_text(SPEC, encoding="utf-8")
    return Products(folder, files, renders)
