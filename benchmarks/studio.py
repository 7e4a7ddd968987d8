"""The studio against its engine alone: stills a second, seconds a spin, and a status call while four renders run.

    python benchmarks/studio.py

Alone, the engine renders the same jobs in as many processes as the studio has workers, without HTTP, queue or records.
Both have warmed up: a worker's first job compiles Filament's materials.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx
import yaml
from measuring import load

from glossi_sync.studio import template as template_room
from glossi_sync.studio.embedded import EmbeddedStudio
from glossi_sync.studio.engines import RenderRequest, Settings, SourceModel
from glossi_sync.studio.engines.filament import FilamentEngine
from glossi_sync.studio.template import load_template

MODEL = Path(__file__).parents[1] / "examples" / "storefront" / "models" / "teapot.glb"
TEMPLATE = Path(template_room.__file__).parent / "templates" / "studio-light.yaml"
WORKERS = os.cpu_count() or 1
SIZES = ("720p", "1080p", "4K")
SPIN_FRAMES = (96, 96, 24)
"""By quality: a whole spin of 4K and ProRes would take most of the time."""


def settings(kind: str, quality: int) -> dict[str, Any]:
    """Stills of a quality, or videos of that quality and resolution."""
    stills = kind == "stills"
    return {
        "renderBookmarks": stills,
        "renderShots": not stills,
        "renderVariants": False,
        "imageQuality": quality,
        "videoQuality": quality,
        "videoResolution": quality,
    }


def write_template(folder: Path, frames: int) -> Path:
    """Studio Light with its spin alone, of so many frames; a template of the workspace's own."""
    document = yaml.safe_load(TEMPLATE.read_text(encoding="utf-8"))
    document |= {"templateId": f"5f0c2f0e-5d0b-4c38-9b1d-{frames:012}", "name": f"{frames} frames"}
    document["shots"] = document["shots"][:1]
    document["shots"][0]["seconds"] = frames / document["shots"][0]["framesPerSecond"]
    path = folder / f"{frames}.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def render_alone(template: Path, asked: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        given = Settings(
            **{"".join("_" + c.lower() if c.isupper() else c for c in name): value for name, value in asked.items()}
        )
        request = RenderRequest((SourceModel("Teapot", MODEL),), load_template(template), given, Path(folder))
        FilamentEngine().render(request)


@dataclass
class Alone:
    """The engine in processes of its own."""

    pool: ProcessPoolExecutor

    def seconds(self, template: Path, asked: dict[str, Any], jobs: int) -> float:
        began = time.perf_counter()
        for done in [self.pool.submit(render_alone, template, asked) for _ in range(jobs)]:
            done.result()
        return time.perf_counter() - began


@dataclass
class Studio:
    """The whole service, over HTTP."""

    http: httpx.Client
    model: str

    def project(self, template: Path) -> str:
        wanted = yaml.safe_load(template.read_text(encoding="utf-8"))["templateId"]
        body = {"name": "Teapot", "modelIds": [self.model], "templateId": wanted}
        return str(self.ask("POST", "/projects", body)["projects"][0]["projectId"])

    def start(self, project: str, asked: dict[str, Any], jobs: int) -> list[str]:
        return [
            str(self.ask("POST", "/renders", {"projectIds": [project], "settings": asked})["jobs"][0]["jobId"])
            for _ in range(jobs)
        ]

    def seconds(self, template: Path, asked: dict[str, Any], jobs: int) -> float:
        project = self.project(template)
        began = time.perf_counter()
        for job in self.start(project, asked, jobs):
            while (status := self.ask("GET", f"/renders/{job}"))["status"] != "COMPLETED":
                assert status["status"] != "FAILED", status
                time.sleep(0.05)
        return time.perf_counter() - began

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        return self.http.request(method, path, json=body).raise_for_status().json()


@contextmanager
def studio(folder: Path, templates: Path, workers: int) -> Iterator[Studio]:
    with (
        EmbeddedStudio(folder, workers=workers, templates=templates) as running,
        httpx.Client(base_url=running.url, headers={"X-API-Key": running.api_key}, timeout=60) as http,
    ):
        made = Studio(http, "")
        asked = {"models": [{"name": "Teapot", "fileName": "teapot.glb", "fileType": "glb"}]}
        (record,) = made.ask("POST", "/models", asked)["models"]
        sent = {"Content-Type": "model/gltf-binary"}
        httpx.put(record["uploadUrl"], content=MODEL.read_bytes(), headers=sent).raise_for_status()
        made.model = record["modelId"]
        made.ask("POST", f"/models/{made.model}/confirm", {"fileType": "glb"})
        while not made.ask("POST", "/models/status", {"modelIds": [made.model]})["allReady"]:
            time.sleep(0.05)
        yield made


def against_alone(folder: Path, templates: Path, qualities: Sequence[int], jobs: int) -> list[str]:
    told: list[str] = []
    with (
        studio(folder / "studio", templates, WORKERS) as whole,
        ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool,
    ):
        alone = Alone(pool)
        warm = templates / "24.yaml", settings("stills", 0), 2 * WORKERS
        alone.seconds(*warm)
        whole.seconds(*warm)
        for quality in qualities:
            asked, path = settings("stills", quality), templates / "24.yaml"
            stills = jobs * len(load_template(path).bookmarks)
            rates = [stills / side.seconds(path, asked, jobs) for side in (alone, whole)]
            told.append(f"{SIZES[quality]} stills {rates[1]:.2f}/s ({rates[1] / rates[0]:.2f} of the engine alone)")
        for quality in qualities:
            frames = SPIN_FRAMES[quality]
            asked, path = settings("spin", quality), templates / f"{frames}.yaml"
            seconds = [side.seconds(path, asked, 1) for side in (alone, whole)]
            told.append(
                f"{frames} frames of {SIZES[quality]} at videoQuality {quality} {seconds[1]:.1f} s "
                f"({seconds[0] / seconds[1]:.2f})"
            )
    return told


def status_while_rendering(folder: Path, templates: Path, calls: int) -> str:
    with studio(folder / "busy", templates, 4) as whole:
        jobs = whole.start(whole.project(templates / "96.yaml"), settings("spin", 1), 4)
        while any(whole.ask("GET", f"/renders/{job}")["status"] == "QUEUED" for job in jobs):
            time.sleep(0.05)
        time.sleep(2)
        took: list[float] = []
        for call in range(calls):
            began = time.perf_counter()
            answer = whole.ask("GET", f"/renders/{jobs[call % 4]}")
            took.append((time.perf_counter() - began) * 1000)
            assert answer["status"] == "RENDERING", answer
            time.sleep(0.01)
    cuts = statistics.quantiles(took, n=100)
    return f"a status call while four renders run p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=6, help="of four stills each, for each quality")
    parser.add_argument("--qualities", type=int, nargs="*", default=[0, 1, 2], choices=(0, 1, 2))
    parser.add_argument("--calls", type=int, default=500, help="of a status, while four renders run")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="glossi-bench-") as name:
        folder = Path(name)
        templates = folder / "templates"
        templates.mkdir()
        for frames in {24, *SPIN_FRAMES}:
            write_template(templates, frames)
        told = against_alone(folder, templates, given.qualities, given.jobs) if given.qualities else []
        told.append(status_while_rendering(folder, templates, given.calls))
    print(f"studio: {'; '.join(told)}; {load()}")


if __name__ == "__main__":
    main()
