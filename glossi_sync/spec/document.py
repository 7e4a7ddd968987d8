"""The spec as read: what the user wrote, typed, with every default filled in. Paths are absolute, keys unique."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from glossi_sync.resources import RenderSettings, TemplateRef, Webhook


@dataclass(frozen=True, slots=True)
class Service:
    """Which service to reconcile with: ``local`` (the embedded studio) or the API's base URL, and the key for it."""

    endpoint: str = "local"
    api_key: str | None = None

    def __repr__(self) -> str:
        # A spec that is printed, logged or shown in a traceback must not tell the key.
        return f"Service(endpoint={self.endpoint!r}, api_key={'***' if self.api_key else None})"


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One entry of ``models``. ``name`` is what the service will call it (the key, where the spec gives none)."""

    key: str
    name: str
    file: str
    """As the user wrote it, but for a URL's query; for messages and diffs."""
    location: str
    """The absolute path, or the URL; as text, since 100,000 paths take 300 bytes and 10 microseconds each to make.

    A URL's query may be a signature: it is shown as ``file`` only.
    """
    file_type: str

    @property
    def path(self) -> Path:
        """Where a file of this machine lies."""
        return Path(self.location)


@dataclass(frozen=True, slots=True)
class RenderEntry:
    """One render of a project: a group of ``renderSettings`` by key, and the revision."""

    settings: str
    revision: int = 1


@dataclass(frozen=True, slots=True)
class ProjectEntry:
    """One entry of ``projects``; ``name`` is None where the service is to name it."""

    key: str
    name: str | None
    models: tuple[str, ...]
    template: str
    create_per_model: bool = False
    renders: tuple[RenderEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Downloads:
    """Where finished renders are brought: ``to`` a folder, under ``path``, fetched ``source`` (the spec's ``from``)."""

    to: Path
    path: str = "{project}/{settings}/{name}.{ext}"
    source: str = "auto"


@dataclass(frozen=True, slots=True)
class WebhookEntry:
    """The webhook, and the file (0600) in which its secret is kept, where the spec names one."""

    webhook: Webhook
    secret_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Guard:
    """The most that a plan may replace or forget: ``percent`` of the existing addresses, where there are at least
    ``existing`` of them (in a small state every change is a large share).
    """

    percent: int = 30
    existing: int = 10


@dataclass(frozen=True, slots=True)
class Generated:
    """What one catalogue made: of the spec's models, ``count`` from the one at ``first`` on, in the order of its rows.

    ``catalogue`` is its number among the spec's, ``rows`` the file or pattern that it names; ``digest`` is a hash of
    the rows, to tell whether they are still those.
    """

    catalogue: int
    rows: str
    first: int
    count: int
    digest: str


@dataclass(frozen=True, slots=True)
class Spec:
    """A whole spec, version 1 (contract, "The spec"). ``folder`` is where relative paths start and the state lies."""

    sources: tuple[Path, ...]
    folder: Path
    fingerprint: str
    """``sha256:…`` over the spec's files, the rows of its catalogues and the variables that it uses, but for those of
    the API key, which changes nothing of what is asked for. Plans name it."""
    workspace: str
    names_count: bool = False
    """``names: replace``: a changed name counts as a change."""
    retries: int = 2
    guard: Guard = field(default_factory=Guard)
    service: Service = field(default_factory=Service)
    models: Mapping[str, ModelEntry] = field(default_factory=dict)
    templates: Mapping[str, TemplateRef] = field(default_factory=dict)
    render_settings: Mapping[str, RenderSettings] = field(default_factory=dict)
    projects: Mapping[str, ProjectEntry] = field(default_factory=dict)
    webhook: WebhookEntry | None = None
    downloads: Downloads | None = None
    files_digest: str = ""
    """Of the spec's files alone, to tell whether positions in them still hold."""
    generated: tuple[Generated, ...] = ()

    def model_at(self, address: str) -> ModelEntry:
        """The entry of the model at ``address``."""
        return self.models[address.removeprefix("model.")]
