"""The spec's folder: is there room for the pictures, and does git hold what it should not?"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from glossi_sync.diagnosing.finding import Finding, note, ok, problem
from glossi_sync.resources import RenderSettings
from glossi_sync.spec import Spec

_PICTURES, _VIDEOS = 4, 2
"""Cameras of a template, about."""
_PICTURE_MB = (0.8, 1.6, 6.0)
_VIDEO_MB = (1.5, 3.0, 12.0)
_PRORES = 15
"""How much larger a ProRes video is."""
_SECONDS = 10
_KEY = "glsi_[A-Za-z0-9]{10}_[A-Za-z0-9]{20,}"
_SHOWN = 5


def room(spec: Spec) -> Iterator[Finding]:
    """Free space where pictures will lie, against a rough guess of what the spec's renders take."""
    if spec.downloads is None:
        return
    here = spec.downloads.to
    while not here.exists():
        here = here.parent
    free = shutil.disk_usage(here).free / 1e6
    counts: dict[str, int] = {}
    for project in spec.projects.values():
        for render in project.renders:
            counts[render.settings] = counts.get(render.settings, 0) + (
                len(project.models) if project.create_per_model else 1
            )
    wanted = sum(number * megabytes(spec.render_settings[key]) for key, number in counts.items())
    told = f"{_size(free)} free at {here}; the spec's {sum(counts.values()):,} renders take {_size(wanted)}, roughly"
    if wanted > free:
        yield problem("disk", told, "Make room, or set downloads.to to a larger disk.")
    else:
        yield ok("disk", told)


def megabytes(settings: RenderSettings) -> float:
    """What one render takes, roughly: a template of four cameras and two shots, a model of one variant."""
    pictures = _PICTURES * _PICTURE_MB[settings.image_quality] if settings.render_bookmarks else 0
    each = _VIDEO_MB[settings.video_resolution] * (_PRORES if settings.video_quality == 2 else 1)
    return pictures + (_VIDEOS * each if settings.render_shots else 0)


def repository(spec: Spec) -> Iterator[Finding]:
    """What of the state, the renders and the keys is in git, where the spec's folder is in a repository."""
    inside = _git(spec.folder, "rev-parse", "--is-inside-work-tree")
    if inside is None or inside.strip() != "true":
        return
    kept = _git(spec.folder, "ls-files", "-z", "--", "state", "*.key", ":!state/README.md") or ""
    files = [name for name in kept.split("\0") if name]
    if files:
        advice = "git rm -r --cached state, and /state/ into .gitignore: ids and upload URLs lie there."
        yield problem("git", f"git has {_listed(files)}", advice)
    leaking = (_git(spec.folder, "grep", "-lIE", "-e", _KEY, "--", ".") or "").splitlines()
    if leaking:
        advice = "Replace the key at the service, and write ${env:GLOSSI_API_KEY} instead: git's history keeps it."
        yield problem("git", f"an API key stands in {_listed(leaking)}", advice)
    if not files and _git(spec.folder, "check-ignore", "-q", "state/x.db") is None:
        yield note("git", "nothing keeps the folder state out of git", "Write /state/ and /renders/ into .gitignore.")
    elif not files and not leaking:
        yield ok("git", "neither state nor keys are in it")


def _git(folder: Path, *arguments: str) -> str | None:
    """What git answers; None where it answers no, or is not there."""
    git = shutil.which("git")
    if git is None:
        return None
    try:
        ran = subprocess.run(  # noqa: S603 - nothing of it comes from elsewhere
            [git, "-C", str(folder), *arguments], capture_output=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ran.stdout.decode("utf-8", "replace") if ran.returncode == 0 else None


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _size(megabytes: float) -> str:
    return f"{megabytes / 1000:,.1f} GB" if megabytes >= 1000 else f"{megabytes:,.0f} MB"
