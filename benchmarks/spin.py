"""A 360 spin by the engine alone: how long it takes, and where that goes.

    python benchmarks/spin.py --resolution 1 --quality 1

Two threads work at once (drawing; developing and encoding what is drawn): the parts are more than the whole.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from measuring import load

from glossi_sync.studio.engines import RenderRequest, Settings, SourceModel, casters, mirror, pictures, stage, video
from glossi_sync.studio.engines.filament import FilamentEngine
from glossi_sync.studio.template import bundled_templates

MODELS = Path(__file__).parents[1] / "examples" / "storefront" / "models"
spent: dict[str, float] = defaultdict(float)
inside = threading.local()


def timed(owner: Any, name: str, part: str) -> None:
    """Add up the time in a method under ``part``, less that of timed methods within it."""
    plain: Callable[..., Any] = getattr(owner, name)

    def wrapped(*arguments: Any, **named: Any) -> Any:
        outer, inside.taken = getattr(inside, "taken", 0.0), 0.0
        began = time.perf_counter()
        try:
            return plain(*arguments, **named)
        finally:
            whole = time.perf_counter() - began
            spent[part] += whole - inside.taken
            inside.taken = outer + whole

    setattr(owner, name, wrapped)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resolution", type=int, default=1, choices=(0, 1, 2))
    parser.add_argument("--quality", type=int, default=1, choices=(0, 1, 2))
    parser.add_argument("--frames", type=int, default=96)
    parser.add_argument("--template", default="Studio Light")
    parser.add_argument("--model", default="chair")
    given = parser.parse_args()
    template = next(template for template in bundled_templates() if template.name == given.template)
    spin = replace(template.shots[0], seconds=given.frames / template.shots[0].frames_per_second)
    source = SourceModel(given.model, MODELS / f"{given.model}.glb")

    def render(frames: int, resolution: int) -> float:
        shown = replace(template, bookmarks=(), shots=(replace(spin, seconds=frames / spin.frames_per_second),))
        settings = Settings(
            render_variants=False, video_quality=given.quality, video_resolution=resolution, render_bookmarks=False
        )
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            FilamentEngine().render(RenderRequest((source,), shown, settings, Path(folder)))
            return time.perf_counter() - began

    timed(stage.BeautyScene, "_mean", "drawing and reading back")
    timed(pictures.Accumulator, "add", "adding up passes")
    timed(pictures.Accumulator, "mean", "adding up passes")
    timed(mirror.Mirror, "look", "mirror image")
    timed(casters.CasterScene, "shade", "shadows on the floor")
    timed(stage.BeautyScene, "light_floor", "shadows on the floor")
    timed(pictures.Negative, "developed", "developing")
    timed(video.VideoWriter, "_converted", "converting")
    timed(video.VideoWriter, "add", "encoding")
    render(2, 0)
    spent.clear()
    processor = time.process_time()
    seconds = render(given.frames, given.resolution)
    processor = time.process_time() - processor
    parts = ", ".join(f"{part} {took:.1f} s" for part, took in sorted(spent.items(), key=lambda entry: -entry[1]))
    size = ("720p", "1080p", "4K")[given.resolution]
    print(
        f"spin: {given.frames} frames of {size} at videoQuality {given.quality} on {template.name} in {seconds:.1f} s "
        f"({processor:.0f} s of processor): {parts}; {load()}"
    )


if __name__ == "__main__":
    main()
