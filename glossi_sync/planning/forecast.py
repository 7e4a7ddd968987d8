"""Forecast: the pictures and videos to expect of a plan, and how long it may take; from what has been before.

The service does not tell what a template renders (guide, "Finding Available Templates"): how many cameras it has shows
in the renders that were finished on it. A project that was rendered before gives as much again. Of a template that was
used for other projects, each picture is taken once for every look of every model, and how many looks a model has only
its own renders show: such a number is a lower bound. What nobody can know yet is counted as unknown, not guessed.

Time is what earlier runs have taken for each of the step that takes the longest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nlargest
from math import log
from types import MappingProxyType
from typing import Any

from glossi_sync.planning.change import Change, Forecast, Plan
from glossi_sync.resources import Kind, Phase, Project, Render, RenderSettings
from glossi_sync.resources.render import SETTING_NAMES
from glossi_sync.spec import Desired
from glossi_sync.state import Object, Realised, RenderedFile, Run

MOST_RENDERS = 500
"""So many of the finished renders, the newest, are looked at."""

MOST_RUNS = 5
"""The time is the median of so many runs: those that did about as much."""

_SLOWEST_FIRST = (("start", "retry"), ("upload",), ("create",), ("record", "confirm"), ("put", "delete"))
"""Steps by how long the service takes over what they ask for."""


@dataclass(frozen=True, slots=True)
class Cameras:
    """How many stills and videos a template takes of one look of a product: its bookmarks and shots."""

    bookmarks: int
    shots: int


@dataclass(frozen=True, slots=True)
class Memory:
    """What of the state a forecast is made from: inputs and files by oid (``State.inputs``, ``State.files``), the runs.

    ``cameras`` are those of templates that are known from elsewhere, by id: of the studio's own.
    """

    inputs: Callable[[Iterable[int]], Mapping[int, Mapping[str, Any]]]
    files: Callable[[Iterable[int]], Mapping[int, Sequence[RenderedFile]]]
    runs: Callable[[], Sequence[Run]]
    cameras: Callable[[], Mapping[str, Cameras]] = field(default=lambda: MappingProxyType({}))


def forecast(plan: Plan, desired: Mapping[str, Desired], realised: Realised, memory: Memory) -> Forecast | None:
    """What an apply of the plan may bring; None where it has nothing to do."""
    if plan.is_empty:
        return None
    renders = [change for change in plan.acting() if _will_render(change) and change.address in desired]
    expected = _expect(renders, desired, realised, memory) if renders else Forecast()
    seconds, runs = _seconds(plan.steps, memory)
    return Forecast(
        expected.renders, expected.pictures, expected.videos, expected.at_least, expected.unknown, seconds, runs
    )


def _will_render(change: Change) -> bool:
    return change.kind is Kind.RENDER and (bool(change.steps) or change.waits)


# --- pictures and videos ---------------------------------------------------------------------------------------------


def _expect(renders: Sequence[Change], desired: Mapping[str, Desired], realised: Realised, memory: Memory) -> Forecast:
    known = _Known(realised, memory)
    pictures = videos = unknown = 0
    at_least = False
    for change in renders:
        want = desired[change.address]
        project = desired[want.parents[0]]
        assert isinstance(want.inputs, Render) and isinstance(project.inputs, Project)
        wanted = want.inputs.settings
        stills = known.of(project, wanted, videos=False) if wanted.render_bookmarks else _Number(0)
        films = known.of(project, wanted, videos=True) if wanted.render_shots else _Number(0)
        pictures += stills.count if stills else 0
        videos += films.count if films else 0
        unknown += stills is None or films is None
        at_least |= any(one is not None and one.at_least for one in (stills, films))
    return Forecast(len(renders), pictures, videos, at_least, unknown)


@dataclass(frozen=True, slots=True)
class _Number:
    count: int
    at_least: bool = False


class _Known:
    """What the finished renders show: how many files a project gave, and the fewest that any gave on a template."""

    def __init__(self, realised: Realised, memory: Memory) -> None:
        self._of_project: dict[tuple[str, bool, bool], int] = {}
        self._of_template: dict[tuple[str, bool, bool], int] = {}
        self._cameras: Mapping[str, Cameras] | None = None
        self._memory = memory
        finished = (one for one in realised.objects.values() if one.kind is Kind.RENDER and _is_finished(one, realised))
        newest = nlargest(MOST_RENDERS, finished, key=lambda one: one.since)
        projects = {one.oid: realised.objects[one.parents[0]] for one in newest}
        inputs = memory.inputs({*projects, *(project.oid for project in projects.values())})
        files = memory.files(projects)
        for oid, project in projects.items():
            settings = inputs.get(oid, {}).get("settings", {})
            template = inputs.get(project.oid, {}).get("template", {}).get("id")
            variants = settings.get(SETTING_NAMES["render_variants"])
            if oid not in files or template is None or variants is None:
                continue
            for is_video, switch in ((False, "render_bookmarks"), (True, "render_shots")):
                if settings.get(SETTING_NAMES[switch]):
                    count = sum(file.is_video is is_video for file in files[oid])
                    # The newest come first.
                    self._of_project.setdefault((project.digest, variants, is_video), count)
                    key = template, variants, is_video
                    self._of_template[key] = min(count, self._of_template.get(key, count))

    def of(self, project: Desired, settings: RenderSettings, *, videos: bool) -> _Number | None:
        assert isinstance(project.inputs, Project)
        variants = settings.render_variants
        same = self._of_project.get((project.digest, variants, videos))
        if same is not None:
            return _Number(same)
        template = project.inputs.template_id
        if self._cameras is None:
            self._cameras = self._memory.cameras()
        if template in self._cameras:
            cameras = self._cameras[template]
            looks = len(project.inputs.models) if variants else 1
            return _Number((cameras.shots if videos else cameras.bookmarks) * looks, at_least=variants)
        fewest = self._of_template.get((template, variants, videos))
        return None if fewest is None else _Number(fewest, at_least=variants)


def _is_finished(one: Object, realised: Realised) -> bool:
    return one.phase is Phase.COMPLETED and bool(one.parents) and one.parents[0] in realised.objects


# --- time ------------------------------------------------------------------------------------------------------------


def _seconds(steps: Mapping[str, int], memory: Memory) -> tuple[float | None, int]:
    """The seconds that so many steps may take, and of how many runs that is the median."""
    slowest, count = _work(steps)
    if not count:
        return None, 0
    alike = [
        (_work(run.steps)[1], run.ended - run.started)
        for run in memory.runs()
        # What came of a run that was stopped or that failed in part says little about one that goes through.
        if run.ended is not None and run.outcome == "converged" and _work(run.steps)[0] == slowest
    ]
    # A hundred renders at a time are not a hundred times one: runs of about the same size are asked, the newest first.
    alike.sort(key=lambda run: abs(log(run[0] / count)))
    nearest = alike[:MOST_RUNS]
    if not nearest:
        return None, 0
    each = sorted(seconds / did for did, seconds in nearest)
    return each[len(each) // 2] * count, len(nearest)


def _work(steps: Mapping[str, int]) -> tuple[tuple[str, ...], int]:
    """The slowest of the steps, and how many there are of it."""
    for names in _SLOWEST_FIRST:
        count = sum(steps.get(name, 0) for name in names)
        if count:
            return names, count
    return (), 0
