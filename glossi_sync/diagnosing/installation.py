"""What is installed: Python, this package, and what its extras bring."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version

from glossi_sync import __version__
from glossi_sync.diagnosing.finding import Finding, note, ok, problem

OLDEST_PYTHON = (3, 11)

EXTRAS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "studio": (
        "the service on this machine",
        ("fastapi", "uvicorn", "httptools", "jinja2", "sqlalchemy", "numpy", "pillow", "av"),
    ),
    "buckets": ("files and state in buckets and on web servers", ("obstore",)),
    "postgres": ("records and state in PostgreSQL", ("psycopg",)),
    "dask": ("the studio's rendering on a Dask cluster", ("distributed",)),
    "usd": ("USD models at the studio", ("usd-core",)),
    "step": ("STEP models at the studio", ("cascadio",)),
    "report": ("`glossi-sync report`", ("numpy", "pillow", "av", "jinja2")),
    "watch": ("`glossi-sync watch`", ("watchfiles", "prometheus-client")),
}
"""The extras: what each is for, and the packages that it brings on every machine."""


def installation(needed: Mapping[str, str]) -> Iterator[Finding]:
    """Python, glossi-sync and its extras; ``needed`` are the extras that the setup asks for, each with the reason."""
    yield _python(sys.version_info[:3])
    yield ok("glossi-sync", __version__)
    for extra, (purpose, packages) in EXTRAS.items():
        yield _extra(extra, purpose, _versions(packages), needed.get(extra))


def _python(running: tuple[int, ...]) -> Finding:
    named = ".".join(map(str, running))
    if running[:2] < OLDEST_PYTHON:
        return problem("Python", f"Python {named} is too old", "Install Python 3.11 or newer, and glossi-sync into it.")
    return ok("Python", f"{named} on {platform.system()} {platform.machine()}")


def _extra(extra: str, purpose: str, versions: Mapping[str, str | None], reason: str | None) -> Finding:
    missing = [name for name, found in versions.items() if found is None]
    if not missing:
        return ok(f"extra {extra}", ", ".join(f"{name} {found}" for name, found in versions.items()))
    install = f"pip install 'glossi-sync[{extra}]'"
    if reason is not None:
        return problem(f"extra {extra}", f"{reason}, but {', '.join(missing)} cannot be found", install)
    return note(f"extra {extra}", f"not installed; it is for {purpose}, which nothing here asks for", install)


def _versions(packages: tuple[str, ...]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found
