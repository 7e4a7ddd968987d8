"""A render: one project's pictures and videos under one group of settings.

::

    (nothing) --start--> queued ~~the service works~~> completed
                           ^  \\~~> failed
                           '--retry----'

``start`` is the one call that costs money when it is asked twice, so in doubt it is held.
Its digest is H(project's digest, all six settings spelled out, revision). Source: guide, Steps 4 and 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from types import MappingProxyType

from glossi_sync.resources.digest import digest
from glossi_sync.resources.lifecycle import InDoubt, Kind, Lifecycle, Phase, Step

START = Step("start", "POST /renders", Phase.QUEUED, InDoubt.HOLD, may_stray=True)
RETRY = Step("retry", "POST /renders/{id}/retry", Phase.QUEUED, InDoubt.LOOK_FIRST)

LIFECYCLE = Lifecycle(
    kind=Kind.RENDER,
    steps=(START,),
    complete=Phase.COMPLETED,
    failed=Phase.FAILED,
    waiting=Phase.QUEUED,
    retry=RETRY,
)


SETTING_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "render_bookmarks": "renderBookmarks",
        "render_shots": "renderShots",
        "render_variants": "renderVariants",
        "image_quality": "imageQuality",
        "video_quality": "videoQuality",
        "video_resolution": "videoResolution",
    }
)
"""The fields of ``RenderSettings`` by the names that the user writes and the service reads."""


@dataclass(frozen=True, slots=True)
class RenderSettings:
    """The six render settings with the guide's defaults (guide, "Render Settings Explained")."""

    render_bookmarks: bool = True
    render_shots: bool = True
    render_variants: bool = True
    image_quality: int = 1
    video_quality: int = 1
    video_resolution: int = 1


_spelled_out = attrgetter(*SETTING_NAMES)
"""All six, in their order. (dataclasses.astuple copies them deeply, which takes ten times as long as the hash.)"""


@dataclass(frozen=True, slots=True)
class Render:
    """A render's inputs: its project's digest, its settings, and a revision that the user counts up to render again."""

    project: str
    settings: RenderSettings
    revision: int = 1

    def digest(self) -> str:
        """The render's digest."""
        return digest(Kind.RENDER, self.project, _spelled_out(self.settings), self.revision)
