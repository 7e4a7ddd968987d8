"""A session: the spec, the state and the service that a command works with, opened in that order and closed again."""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Container, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from glossi_sync.applying import (
    WEBHOOK_SECRET,
    Emit,
    Home,
    KeepSecret,
    NoSource,
    bring_home,
    keep_in,
    keep_sealed,
    plan_downloads,
    source_of,
)
from glossi_sync.applying.events import Noted
from glossi_sync.cli.diagnostics import logs_json, say
from glossi_sync.cli.options import given_variables
from glossi_sync.collecting import uncollected
from glossi_sync.planning import WHOLE, Cameras, Policy, Refresh, Scope, Survey, survey
from glossi_sync.planning.reviewed import Made, Options, Reviewed
from glossi_sync.reporting import JsonReport, Report, TextReport, reading
from glossi_sync.resources import Model
from glossi_sync.service import Glossi
from glossi_sync.service.pacing import Pace
from glossi_sync.spec import Desired, Hashed, HashedRemote, Spec, hash_models, read_given, read_spec
from glossi_sync.state import (
    FileStamp,
    Holder,
    PutDownload,
    RemoteStamp,
    State,
    StateError,
    default_location,
    key_file_of,
    location_of,
    open_state,
    service_identity,
    state_key,
    unseal,
)

LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Session:
    """What a command works with. ``service_name`` is how the user knows the service."""

    spec: Spec
    state: State
    service_name: str
    key_file: Path
    """Where the key to the state's secrets lies, unless the environment has it."""

    @property
    def previous(self) -> Path:
        """The folder of this machine's in which replaced pictures are kept for a report."""
        identity = self.state.service
        return Path(default_location(self.spec.folder, self.spec.workspace, identity)).with_suffix(".previous")

    def hash_models(self) -> Mapping[str, Model]:
        """Hash the spec's model files, through the state's cache.

        Raises:
            SpecError: a file is missing or is not what it should be.
        """
        return self.hash_files().models

    def hash_files(self) -> Hashed:
        """As ``hash_models``, with all that is known of the files afterwards.

        Raises:
            SpecError: a file is missing or is not what it should be.
        """
        with uncollected(lasting=True), reading(stderr(no_color=False)) as progress:
            hashed = hash_models(
                self.spec,
                self.state.stamps(),
                self.state.remote_stamps(),
                remember=self._remember,
                progress=progress,
            )
        self.state.put_stamps(
            {
                path: FileStamp(one.size, one.mtime_ns, one.inode, one.sha256, one.hashed_ns)
                for path, one in hashed.fresh.items()
            }
        )
        return hashed

    def _remember(self, remote: Mapping[str, HashedRemote]) -> None:
        stamps = {
            url: RemoteStamp(one.size, one.etag, one.sha256) for url, one in remote.items() if one.etag is not None
        }
        self.state.put_remote_stamps(stamps)

    async def survey(
        self,
        models: Mapping[str, Model],
        service: Glossi,
        *,
        policy: Policy | None = None,
        refresh: Refresh = Refresh.NONE,
        everything: bool = False,
        scope: Scope = WHOLE,
    ) -> Survey:
        """One look at all that a plan is decided from, and the plan; ``models`` are the session's, hashed.

        Raises:
            UnknownAddress, UnresolvedTemplate, ServiceError, StateError: as planning's ``survey`` raises them.
        """
        with uncollected(lasting=True):
            return await survey(
                self.spec,
                models,
                self.state,
                service,
                policy=policy or Policy(self.spec.retries),
                clock=time.time,
                refresh=refresh,
                everything=everything,
                scope=scope,
                cameras=self._cameras,
            )

    def _cameras(self) -> Mapping[str, Cameras]:
        """The cameras of the templates that are known here: of the embedded studio's own."""
        if self.spec.service.endpoint != LOCAL:
            return {}
        from glossi_sync.studio.template import bundled_templates  # noqa: PLC0415 (few plans ask for it)

        return {one.template_id: Cameras(len(one.bookmarks), len(one.shots)) for one in bundled_templates()}

    def policy(self, *, retry_failed: bool, in_doubt: str, allow_large_change: bool = False) -> Policy:
        """What the user lets an apply do, from the spec and the command's options."""
        guard = None if allow_large_change else self.spec.guard
        return Policy(self.spec.retries, retry_failed, in_doubt == "again", guard)

    @property
    def secret_place(self) -> str:
        """Where the webhook's secret is kept: the file that the spec names, or the state."""
        webhook = self.spec.webhook
        return self.state.location if webhook is None or webhook.secret_file is None else str(webhook.secret_file)

    def webhook_secret(self) -> str | None:
        """The secret that the webhook's deliveries are signed with, as it was kept; None where none is.

        Raises:
            StateError: the state, or the file that the spec names, cannot be read, or the secret not be opened.
        """
        webhook = self.spec.webhook
        if webhook is not None and webhook.secret_file is not None:
            try:
                return webhook.secret_file.read_text(encoding="utf-8").strip() or None
            except FileNotFoundError:
                return None
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                raise StateError(f"the webhook's secret cannot be read from {webhook.secret_file}: {reason}") from None
        sealed = self.state.secret(WEBHOOK_SECRET)
        if sealed is None:
            return None
        key = state_key(self.key_file, os.environ, create=False)
        return unseal(key, self.state.lineage, WEBHOOK_SECRET, sealed)

    def made(self, surveyed: Survey, options: Options, spec_path: Path, endpoint: str | None) -> Made:
        """How a plan was made, for the file that it is saved in; ``spec_path`` and ``endpoint`` as they were given."""
        news = surveyed.plan.seen
        seen = {address: news[oid].phase.value for address, oid in surveyed.realised.bindings.items() if oid in news}
        last_run = next(iter(self.state.runs()), None)
        return Made(
            options,
            spec_path.as_posix(),
            self.state.service,
            endpoint,
            None if last_run is None else last_run.run_id,
            seen,
            time.time(),
        )

    def keep_secret(self) -> KeepSecret:
        """How the webhook's secret is kept: in the file that the spec names, or sealed in the state."""
        webhook = self.spec.webhook
        if webhook is not None and webhook.secret_file is not None:
            return keep_in(webhook.secret_file)
        return keep_sealed(lambda: state_key(self.key_file, os.environ, create=True), self.state.lineage)


def load_spec(path: Path, endpoint: str | None, *, files: bool = False) -> Spec:
    """Read the spec; ``endpoint`` (``--endpoint``) and GLOSSI_API_KEY stand in for what it leaves out of the service.

    Its variables are those that the running command was given.

    Raises:
        SpecError: everything that is wrong with it, or with the variables.
    """
    given = read_given(*given_variables())
    spec = read_spec(path, env=os.environ, given=given, endpoint=endpoint, files=files)
    if spec.service.api_key is not None:
        return spec
    return replace(spec, service=replace(spec.service, api_key=os.environ.get("GLOSSI_API_KEY")))


@contextmanager
def open_session(
    path: Path, endpoint: str | None, location: str | None, *, create: bool, reviewed: Reviewed | None = None
) -> Iterator[Session]:
    """Read the spec and open its state; without ``create`` a state that does not exist is an empty one.

    A saved plan that is ``reviewed`` must be of both; no state is made where there is none that it could be of.

    Raises:
        SpecError, StateError: as reading and opening raise them.
        PlanMoved: the saved plan is of another spec, service or state.
    """
    with uncollected(lasting=True):
        spec = load_spec(path, endpoint)
    identity = service_identity(spec.service.endpoint)
    where = location_of(location, spec.folder, spec.workspace, identity)
    if reviewed is not None:
        reviewed.check_spec(spec, identity)
        with closing(open_state(where, service=identity, create=False)) as state:
            reviewed.check_state(state.location, state.lineage)
    state = open_state(where, service=identity, create=create)
    try:
        key_file = key_file_of(where, spec.folder, spec.workspace, identity)
        yield Session(spec, state, "the local studio" if identity == LOCAL else identity, key_file)
    finally:
        state.close()


@asynccontextmanager
async def connect(
    spec: Spec, *, verbose: bool = False, parallelism: int | None = None, holding: State | None = None
) -> AsyncIterator[Glossi]:
    """The client of the spec's service; for ``local`` the embedded studio is started, or joined where it runs.

    ``parallelism`` bounds the calls, and the uploads and downloads, that are under way at a time; ``holding`` is the
    state whose lock is held, for calls that change something.

    Raises:
        UserError: the studio cannot be started, or the endpoint or key cannot be used.
    """
    observe = _tell if verbose else None
    assure = None if holding is None else partial(asyncio.to_thread, holding.assure_lock)
    pace = Pace() if parallelism is None else Pace(start=min(Pace().start, parallelism), ceiling=parallelism)
    if spec.service.endpoint != LOCAL:
        async with Glossi(
            spec.service.endpoint, spec.service.api_key, observe=observe, assure=assure, pace=pace, transfers=pace
        ) as service:
            yield service
        return
    from glossi_sync.studio.embedded import EmbeddedStudio  # noqa: PLC0415

    with EmbeddedStudio(spec.folder / "state" / "studio") as studio:
        async with Glossi(
            studio.url, studio.api_key, observe=observe, assure=assure, pace=pace, transfers=pace
        ) as service:
            yield service


async def fetch_home(
    session: Session,
    desired: Mapping[str, Desired],
    service: Glossi,
    emit: Emit,
    about: Container[str] | None = None,
) -> Home:
    """Bring finished renders home, where the spec asks for it; a source that cannot be used is a note, not an end.

    ``about`` are the addresses whose renders are meant, if not all.

    Raises:
        StateError: the state cannot be read or written.
    """
    downloads = session.spec.downloads
    if downloads is None:
        return Home()
    due = plan_downloads(downloads, desired, session.state.realised(), session.state)
    if due.touched:
        session.state.write([PutDownload(one) for one in due.touched])
    # All were planned for, so that a file's path does not depend on who brings it.
    fetches = due.fetches if about is None else tuple(one for one in due.fetches if one.address in about)
    if not fetches:
        return Home()
    try:
        source = source_of(downloads, service)
    except NoSource as error:
        emit(Noted("downloads", str(error)))
        return Home()
    return await bring_home(downloads, fetches, source, session.state, emit, previous=session.previous)


def report(form: str, *, no_color: bool, verbose: bool) -> Report:
    """The report in the format that the user asked for."""
    if form == "json":
        return JsonReport(click.echo)
    return TextReport(stdout(no_color), stderr(no_color), verbose=verbose)


def holder(run_id: int, command: str, spec: str = "") -> Holder:
    """This process, as another one is told who holds the state; ``spec`` is the fingerprint of what it makes so."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "unknown"  # in a container, a user may have a number and no name
    return Holder(run_id, command, user, socket.gethostname(), os.getpid(), time.time(), spec)


def stdout(no_color: bool) -> Console:
    """The console for results. Piped output is not folded to a width that nobody chose."""
    width = None if sys.stdout.isatty() else 500
    return Console(no_color=no_color or None, highlight=False, soft_wrap=True, width=width)


def stderr(no_color: bool) -> Console:
    """The console for progress and diagnostics."""
    # FORCE_COLOR may make a terminal of anything, but for a log that a program reads.
    terminal = False if logs_json() else None
    return Console(stderr=True, no_color=no_color or None, highlight=False, force_terminal=terminal)


def interactive() -> bool:
    """Whether somebody is there to be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _tell(call: str, status: int | None, seconds: float) -> None:
    say(f"{call}: {status if status is not None else 'no answer'} in {seconds * 1000:.0f} ms", "debug")
