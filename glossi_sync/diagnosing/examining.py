"""The order in which a setup is looked at; what stands on something that is broken is left out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from glossi_sync.applying import WEBHOOK_SECRET
from glossi_sync.diagnosing import place, service, state
from glossi_sync.diagnosing.engines import engines
from glossi_sync.diagnosing.environment import environment
from glossi_sync.diagnosing.finding import Finding, note, ok, problem
from glossi_sync.diagnosing.installation import installation
from glossi_sync.errors import UserError
from glossi_sync.resources import Template
from glossi_sync.spec import Spec
from glossi_sync.spec.remote import is_remote
from glossi_sync.state import key_file_of, location_of, open_state, service_identity

LOCAL = "local"
_SHOWN = 10
_BUCKETS = ("s3://", "gs://", "az://")
_DATABASES = ("postgresql://", "postgres://")


@dataclass(frozen=True, slots=True)
class Setup:
    """What is looked at: a spec, as ``load`` reads it and its files, and the state that the user named, if any.

    ``variables`` is the environment, of which the names ``known`` mean something; ``now`` tells Unix seconds;
    ``render`` asks for a test picture.
    """

    spec_path: Path
    load: Callable[[], Spec]
    state_location: str | None
    variables: Mapping[str, str]
    known: Collection[str]
    now: Callable[[], float]
    render: bool = False


def diagnose(setup: Setup) -> Iterator[Finding]:
    """Look at everything; each finding comes as soon as it is known. Changes nothing."""
    said, spec = _read(setup)
    yield from installation(_needed(setup, spec))
    yield from environment(setup.variables, setup.known)
    local = spec is not None and spec.service.endpoint == LOCAL
    yield from engines(needed=local, render=setup.render)
    yield from said
    if spec is None:
        return
    yield from _state(setup, spec)
    if local:
        yield ok("endpoint", "local: the studio on this machine, which starts and ends with each command")
        yield from service.templates(spec, _bundled())
    else:
        yield from service.hosted(spec, setup.now)
    yield from service.receiver(spec)
    yield from place.room(spec)
    yield from place.repository(spec)


def _read(setup: Setup) -> tuple[list[Finding], Spec | None]:
    path = setup.spec_path
    if not path.exists():
        advice = "`glossi-sync init FOLDER` writes one for a folder of models; -f names another."
        return [problem("spec", f"there is no {path} here", advice)], None
    try:
        spec = setup.load()
    except (UserError, OSError) as error:
        lines = str(error).splitlines()
        more = [f"… and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
        advice = "`glossi-sync validate` says all of it."
        return [problem("spec", "\n".join([*islice(lines, _SHOWN), *more]), advice)], None
    counts = f"{len(spec.models):,} models, {len(spec.projects):,} projects"
    found = [ok("spec", f"{path} is good: {counts}")]
    if not spec.projects:
        found.append(note("spec", "it has no projects, so nothing will be rendered"))
    return found, spec


def _needed(setup: Setup, spec: Spec | None) -> dict[str, str]:
    """The extras that the setup cannot do without, each with the reason."""
    needed: dict[str, str] = {}
    where = setup.state_location or ""
    if where.startswith(_DATABASES):
        needed["postgres"] = "the state is in PostgreSQL"
    if where.startswith(_BUCKETS):
        needed["buckets"] = "the state is in a bucket"
    if spec is None:
        return needed
    if spec.service.endpoint == LOCAL:
        needed["studio"] = "the spec's service is the studio on this machine"
    if any(is_remote(model.location) for model in spec.models.values()):
        needed["buckets"] = "models lie in a bucket or on a web server"
    if spec.downloads is not None and spec.downloads.source.startswith(_BUCKETS):
        needed["buckets"] = "finished renders are brought home from a bucket"
    types = {model.file_type for model in spec.models.values()} if "studio" in needed else set()
    if types & {"usd", "usdz"}:
        needed["usd"] = "the spec has USD models"
    if types & {"step", "stp"}:
        needed["step"] = "the spec has STEP models"
    return needed


def _state(setup: Setup, spec: Spec) -> Iterator[Finding]:
    identity = service_identity(spec.service.endpoint)
    where = location_of(setup.state_location, spec.folder, spec.workspace, identity)
    in_file = "://" not in str(where)
    if in_file and (old := state.outdated(Path(where))) is not None:
        yield old
        return
    try:
        opened = open_state(where, service=identity, create=False)
    except (UserError, OSError) as error:
        yield problem("state", str(error))
        return
    try:
        yield from state.opened(opened)
        if in_file:
            yield from state.folder(Path(where))
        if spec.webhook is not None:
            kept = spec.webhook.secret_file
            if kept is None:
                key_file = key_file_of(where, spec.folder, spec.workspace, identity)
                yield state.secret(opened, WEBHOOK_SECRET, key_file, setup.variables)
            elif kept.exists():
                yield ok("webhook secret", f"kept in {kept}")
                yield from state.private(kept)
            else:
                yield note("webhook secret", f"{kept} is not there yet", "An apply that sets the webhook writes it.")
    finally:
        opened.close()


def _bundled() -> tuple[Template, ...]:
    """The templates that the embedded studio has."""
    from glossi_sync.studio.template import bundled_templates  # noqa: PLC0415

    return tuple(Template(one.template_id, one.name, one.description) for one in bundled_templates())
