"""A session: the spec, the state and the service that a command works with, opened in that order and closed again."""

from __future__ import annotations

import getpass
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import click
from rich.console import Console

from glossi_sync.applying import (
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
from glossi_sync.cli.options import given_variables
from glossi_sync.collecting import uncollected
from glossi_sync.planning import Policy, Refresh, Survey, survey
from glossi_sync.reporting import JsonReport, Report, TextReport, reading
from glossi_sync.resources import Model
from glossi_sync.service import Glossi
from glossi_sync.spec import Desired, Hashed, HashedRemote, Spec, hash_models, read_given, read_spec
from glossi_sync.state import (
    FileStamp,
    Holder,
    RemoteStamp,
    State,
    default_location,
    open_state,
    service_identity,
    state_key,
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
    ) -> Survey:
        """One look at all that a plan is decided from, and the plan; ``models`` are the session's, hashed.

        Raises:
            UnresolvedTemplate, ServiceError, StateError: as planning's ``survey`` raises them.
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
            )

    def policy(self, *, retry_failed: bool, in_doubt: str, allow_large_change: bool = False) -> Policy:
        """What the user lets an apply do, from the spec and the command's options."""
        guard = None if allow_large_change else self.spec.guard
        return Policy(self.spec.retries, retry_failed, in_doubt == "again", guard)

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
def open_session(path: Path, endpoint: str | None, location: str | None, *, create: bool) -> Iterator[Session]:
    """Read the spec and open its state; without ``create`` a state that does not exist is an empty one.

    Raises:
        SpecError, StateError: as reading and opening raise them.
    """
    with uncollected(lasting=True):
        spec = load_spec(path, endpoint)
    identity = service_identity(spec.service.endpoint)
    where = location or default_location(spec.folder, spec.workspace, identity)
    state = open_state(where, service=identity, create=create)
    try:
        key_file = Path(where).with_suffix(".key")
        yield Session(spec, state, "the local studio" if identity == LOCAL else identity, key_file)
    finally:
        state.close()


@asynccontextmanager
async def connect(spec: Spec, *, verbose: bool = False) -> AsyncIterator[Glossi]:
    """The client of the spec's service; for ``local`` the embedded studio is started, or joined where it runs.

    Raises:
        UserError: the studio cannot be started, or the endpoint or key cannot be used.
    """
    if spec.service.endpoint != LOCAL:
        async with Glossi(spec.service.endpoint, spec.service.api_key, observe=_tell if verbose else None) as service:
            yield service
        return
    from glossi_sync.studio.embedded import EmbeddedStudio  # noqa: PLC0415

    with EmbeddedStudio(spec.folder / "state" / "studio") as studio:
        async with Glossi(studio.url, studio.api_key, observe=_tell if verbose else None) as service:
            yield service


async def fetch_home(session: Session, desired: Mapping[str, Desired], service: Glossi, emit: Emit) -> Home:
    """Bring finished renders home, where the spec asks for it; a source that cannot be used is a note, not an end.

    Raises:
        StateError: the state cannot be read or written.
    """
    downloads = session.spec.downloads
    if downloads is None:
        return Home()
    fetches = plan_downloads(downloads, desired, session.state.realised(), session.state)
    if not fetches:
        return Home()
    try:
        source = source_of(downloads, service)
    except NoSource as error:
        emit(Noted("downloads", str(error)))
        return Home()
    return await bring_home(downloads, fetches, source, session.state, emit)


def report(form: str, *, no_color: bool, verbose: bool) -> Report:
    """The report in the format that the user asked for."""
    if form == "json":
        return JsonReport(click.echo)
    return TextReport(stdout(no_color), stderr(no_color), verbose=verbose)


def holder(run_id: int, command: str) -> Holder:
    """This process, as another one is told who holds the state."""
    return Holder(run_id, command, getpass.getuser(), socket.gethostname(), os.getpid(), time.time())


def stdout(no_color: bool) -> Console:
    """The console for results. Piped output is not folded to a width that nobody chose."""
    width = None if sys.stdout.isatty() else 500
    return Console(no_color=no_color or None, highlight=False, soft_wrap=True, width=width)


def stderr(no_color: bool) -> Console:
    """The console for progress and diagnostics."""
    return Console(stderr=True, no_color=no_color or None, highlight=False)


def interactive() -> bool:
    """Whether somebody is there to be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def _tell(call: str, status: int | None, seconds: float) -> None:
    click.echo(f"{call}: {status if status is not None else 'no answer'} in {seconds * 1000:.0f} ms", err=True)
