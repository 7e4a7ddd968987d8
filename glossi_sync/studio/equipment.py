"""Equipment: what this machine renders with, and which kinds of models it converts; what is missing, and how it comes.

For the operator: ``glossi-sync studio engines``.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from glossi_sync.studio.blender import BlenderMissing, version
from glossi_sync.studio.engines import Engine, EngineUnavailable
from glossi_sync.studio.workshop import ENGINES, loaded_engine


@dataclass(frozen=True, slots=True)
class Item:
    """One engine or one format: whether it is there, and what is to be said about it."""

    kind: str
    """``engine`` or ``format``."""
    name: str
    available: bool
    message: str

    @property
    def state(self) -> str:
        """``ready`` or ``missing``."""
        return "ready" if self.available else "missing"


def equipment() -> tuple[Item, ...]:
    """Everything that can be there, found out by trying it."""
    return (*(_engine(name) for name in ENGINES), *_formats())


def _engine(name: str) -> Item:
    try:
        engine: Engine = loaded_engine(ENGINES[name])
    except EngineUnavailable as error:
        return Item("engine", name, False, str(error))
    return Item("engine", name, True, f"Blender {version()}" if engine.name == "cycles" else "Google Filament")


def _formats() -> tuple[Item, ...]:
    items = [Item("format", name, True, "built in") for name in ("glb", "gltf", "obj", "stl")]
    for name, module, extra in (("usd, usdz", "pxr", "usd"), ("step, stp", "cascadio", "step")):
        there = find_spec(module) is not None
        items.append(Item("format", name, there, module if there else f"pip install 'glossi-sync[{extra}]'"))
    try:
        items.append(Item("format", "fbx", True, f"Blender {version()}"))
    except BlenderMissing as error:
        items.append(Item("format", "fbx", False, str(error)))
    return tuple(items)
