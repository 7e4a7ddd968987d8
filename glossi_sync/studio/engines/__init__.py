"""Engines: what turns models on a template into pictures and videos.

An engine runs in a worker process of its own, because a native renderer that crashes must not take the server along.
It knows files and templates; it knows nothing of HTTP, records, workspaces or queues. What passes in and out is
picklable data: a ``RenderRequest`` goes in, ``RenderedFile`` rows come out, their files lie in the request's folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from glossi_sync.studio.template import Template


class EngineError(Exception):
    """A job that cannot be rendered; the message is what the service answers as ``errorMessage``."""


class EngineUnavailable(EngineError):
    """The engine cannot run on this machine; the message names what is missing and the line that mends it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The six render settings (guide, Step 4, "Render Settings Explained"), with the guide's defaults."""

    render_bookmarks: bool = True
    render_shots: bool = True
    render_variants: bool = True
    image_quality: int = 1
    """0 = 720p, 1 = 1080p, 2 = 4K."""
    video_quality: int = 1
    """0 = fastest (MP4), 1 = balanced (MP4), 2 = best (ProRes, ``.mov``)."""
    video_resolution: int = 1
    """0 = 720p, 1 = 1080p, 2 = 4K."""


@dataclass(frozen=True, slots=True)
class SourceModel:
    """One model of a project: its name at the service and its GLB file on this machine."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """Everything that decides a job's pictures; ``folder`` exists and is empty."""

    models: tuple[SourceModel, ...]
    template: Template
    settings: Settings
    folder: Path


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """One finished file, lying in the request's folder under ``file_name``."""

    name: str
    """Display name as in the guide: ``Front View - Default``, ``Front View - Oak``."""
    file_name: str
    file_type: str
    """``PNG``, ``MP4`` or ``PRORES``."""
    is_video: bool


class Engine(Protocol):
    """One way to render. ``check`` says whether it can run here, ``render`` does a whole job."""

    name: str

    def check(self) -> None:
        """Raise EngineUnavailable, with the line that mends it, where this machine cannot run the engine."""
        ...

    def render(self, request: RenderRequest) -> tuple[RenderedFile, ...]:
        """Render every bookmark and shot that the settings ask for.

        Raises:
            EngineError: the job cannot be rendered; the message says why.
        """
        ...
