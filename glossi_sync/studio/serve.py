"""Serve: a studio as a server of its own, from its data folder to its sockets.

One process serves, its worker processes work. It ends within about two seconds of SIGTERM or Ctrl-C (or, where it was
started for another process, when that one closes its standard input), whatever it was doing: unfinished work stays
unfinished in the records and is taken up at the next start.
"""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, MappingProxyType

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from glossi_sync.service import wire
from glossi_sync.studio import records as rows
from glossi_sync.studio.addresses import Allowed, AllowedTransport
from glossi_sync.studio.api.context import Audience, Templates
from glossi_sync.studio.app import create_app, new_uuid
from glossi_sync.studio.data_folder import DataFolder, StudioError
from glossi_sync.studio.faults import Faults, FaultyDoor, read_faults
from glossi_sync.studio.keys import DEFAULT_WORKSPACE, FOLDERS_KEY, GIVEN_KEY
from glossi_sync.studio.records import Records, RecordsError
from glossi_sync.studio.storage import FolderStorage, Storage, StorageAway
from glossi_sync.studio.template import Template, TemplateError, bundled_templates, load_templates
from glossi_sync.studio.workshop import FILAMENT, WorkerPool, Workshop


def serve(
    data: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    records: str | None = None,
    storage: str | None = None,
    workers: int | str | None = None,
    templates: Mapping[str, Path] = MappingProxyType({}),
    api_key: str | None = None,
    public_url: str | None = None,
    engine: str = FILAMENT,
    upload_seconds: float = wire.UPLOAD_URL_SECONDS,
    faults: Path | None = None,
    webhook_allow: Sequence[str] = (),
    stop_with_stdin: bool = False,
    on_ready: Callable[[str], None] = lambda _: None,
    on_page: Callable[[str], None] = lambda _: None,
    on_staying: Callable[[], None] = lambda: None,
    log_level: str = "WARNING",
) -> None:
    """Run a studio until it is told to stop. Only from a process's main thread.

    Args:
        data: the data folder; made where it is missing.
        port: 0 takes a free one.
        records: the URL of the database of its records; None: SQLite, in the data folder.
        storage: the bucket of its files (``s3://bucket/prefix``); None: the data folder.
        workers: worker processes; None: one for each processor core; ``dask://host:port``: that cluster's.
        templates: folders of workspaces' own template files, by the name of the workspace.
        api_key: a key to the workspace beside the folder's own (``DataFolder.api_key``). One that was given to an
            earlier run is not valid any more.
        public_url: the origin under which clients reach the studio, where it is not the one that they say.
        engine: ``module:class`` of the engine that renders.
        faults: a file of what is to go wrong on purpose (``faults``).
        webhook_allow: where webhooks may lead to beside this machine: hosts, addresses, networks, or ``*``.
        stop_with_stdin: stop when standard input ends, unless somebody else holds on to the studio
            (``wire.ATTACH_PATH``); then ``on_staying`` is called, and the last of them takes it along.
        on_page: called after ``on_ready`` with an address that opens the default workspace's page, once.
        on_ready: called with the endpoint's URL (``http://…/api/v1``) once requests are answered.

    Raises:
        StudioError: the studio cannot start; the message says why.
    """
    if api_key is not None and not re.fullmatch("[!-~]+", api_key):
        raise StudioError("an API key must be of visible ASCII characters alone, without spaces: choose another")
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=log_level.upper())
    logging.getLogger("uvicorn.error").addFilter(_is_no_cancellation)
    folder = DataFolder(data.absolute())
    folder.create()
    with folder.locked(), _listening(host, port) as listener:
        audience = Audience()
        mishaps = None if faults is None else read_faults(faults)
        own_url = f"http://{_authority(host, listener)}"
        app = _app(
            folder,
            records_url=records,
            storage_url=storage,
            workers=workers,
            templates=templates,
            api_key=api_key,
            public_url=public_url,
            engine=engine,
            upload_seconds=upload_seconds,
            own_url=own_url,
            webhook_allow=webhook_allow,
            audience=audience,
            faults=mishaps,
        )
        url = own_url + wire.API_PREFIX

        def ready() -> None:
            folder.announce(url)
            on_ready(url)
            ticket = app.state.page_access.ticket(folder.api_key())
            on_page(f"{url.removesuffix(wire.API_PREFIX)}/?ticket={ticket}")

        served = app if mishaps is None else FaultyDoor(app, mishaps, app.openapi())
        server = _Server(served, ready, audience)
        owner = _Owner(server, audience, on_staying)
        if stop_with_stdin:
            server.at_start(owner.watch)
        server.run(sockets=[listener])
        app.state.studio.records.close()
    if not server.started:
        raise StudioError("the studio could not start: its log says why")


def _app(
    folder: DataFolder,
    *,
    records_url: str | None,
    storage_url: str | None,
    workers: int | str | None,
    templates: Mapping[str, Path],
    api_key: str | None,
    public_url: str | None,
    engine: str,
    upload_seconds: float,
    own_url: str,
    webhook_allow: Sequence[str],
    audience: Audience,
    faults: Faults | None,
) -> FastAPI:
    now = time.time()
    try:
        records = Records(records_url or folder.records_url)
        records.claim()
        workspace_id = records.now(lambda c: rows.ensure_workspace(c, DEFAULT_WORKSPACE, new_uuid(), now))
        records.now(lambda c: rows.set_key(c, workspace_id, FOLDERS_KEY, folder.api_key(), now))
        if api_key != folder.api_key():
            records.now(lambda c: rows.set_key(c, workspace_id, GIVEN_KEY, api_key, now))
        storage = _storage(folder, storage_url, workers)
        return create_app(
            records=records,
            storage=storage,
            workshop=_workshop(workers, engine, storage),
            templates_=_templates(records, templates),
            signing_secret=folder.signing_key(),
            upload_seconds=upload_seconds,
            public_url=public_url,
            own_url=own_url,
            webhook_transport=AllowedTransport(_allowed(webhook_allow)),
            audience=audience,
            faults=faults,
        )
    except (RecordsError, TemplateError, StorageAway) as error:
        raise StudioError(str(error)) from error
    except OSError as error:
        raise StudioError(f"the studio's data folder {folder.path} cannot be used: {error}") from error


def _storage(folder: DataFolder, url: str | None, workers: int | str | None) -> Storage:
    if url is None:
        in_folder = FolderStorage(folder.path)
        in_folder.clear_unfinished()
        return in_folder
    try:
        from glossi_sync.studio.storage.bucket import BucketStorage  # noqa: PLC0415 - only with its extra
    except ImportError:
        raise StudioError("files in a bucket need their extra: pip install 'glossi-sync[buckets]'") from None
    try:
        # The workers of a cluster are elsewhere, and work in folders of their own machines.
        return BucketStorage(url, working=None if isinstance(workers, str) else folder.path / "working")
    except ValueError as error:
        raise StudioError(str(error)) from error


def _workshop(workers: int | str | None, engine: str, storage: Storage) -> Workshop:
    if not isinstance(workers, str):
        return WorkerPool(workers, engine=engine)
    try:
        from glossi_sync.studio.dask_cluster import DaskCluster  # noqa: PLC0415 - only with its extra
    except ImportError:
        raise StudioError("a Dask cluster as workers needs its extra: pip install 'glossi-sync[dask]'") from None
    try:
        return DaskCluster(workers, depot=storage.depot, engine=engine)
    except ValueError as error:
        raise StudioError(str(error)) from error


def _allowed(entries: Sequence[str]) -> Allowed:
    try:
        return Allowed.of(entries)
    except ValueError as error:
        raise StudioError(f"webhooks cannot be allowed to lead there: {error}") from error


def _templates(records: Records, folders: Mapping[str, Path]) -> Templates:
    public = bundled_templates()
    taken = {template.template_id: template.name for template in public}
    known = {workspace.name: workspace.workspace_id for workspace in records.now(rows.workspaces)}
    of_workspace: dict[str, tuple[Template, ...]] = {}
    for name, folder in folders.items():
        if name not in known:
            raise StudioError(
                f"there is no workspace {name!r} that the templates in {folder} could be for:"
                f" 'glossi-sync studio workspace create {name}' makes it"
            )
        own = load_templates(folder)
        for template in own:
            if template.template_id in taken:
                raise TemplateError(
                    f"{folder}: the template {template.name!r} has the templateId {template.template_id} of the"
                    f" studio's own {taken[template.template_id]!r}: give it one of its own"
                )
        of_workspace[known[name]] = own
    return Templates(public=public, of_workspace=of_workspace)


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        raise StudioError(f"the studio cannot listen on {host} port {port}: {error}: choose another port") from error
    with listener:
        yield listener


def _authority(host: str, listener: socket.socket) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - what to show, not where to listen
    return f"{f'[{shown}]' if ':' in shown else shown}:{listener.getsockname()[1]}"


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    # A long upload that the end of the studio cuts off is no defect, and deserves no traceback.
    return record.exc_info is None or not isinstance(record.exc_info[1], asyncio.CancelledError)


class _Server(uvicorn.Server):
    """uvicorn's server, which says when it is ready, and whose process ends normally on a signal."""

    def __init__(self, app: ASGIApp, ready: Callable[[], None], audience: Audience) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                ws="none",
                lifespan="on",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                # Longer than a client's longest pause between polls: a connection that is closed just as it is used
                # again would leave the client in doubt about a POST.
                timeout_keep_alive=75,
                timeout_graceful_shutdown=1,
            )
        )
        self._ready = ready
        self._audience = audience
        self._at_start: list[Callable[[], None]] = []

    def at_start(self, action: Callable[[], None]) -> None:
        self._at_start.append(action)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            for action in self._at_start:
                action()
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._audience.closed.set()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        def stop(_: int, __: FrameType | None) -> None:
            self.should_exit = True

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, action in before.items():
                signal.signal(number, action)


class _Owner:
    """The process that a studio was started for: as long as it holds our standard input open, it is there."""

    def __init__(self, server: uvicorn.Server, audience: Audience, on_staying: Callable[[], None]) -> None:
        self._server = server
        self._audience = audience
        self._on_staying = on_staying
        self._gone = False

    def watch(self) -> None:
        """Begin to watch. From the server's event loop."""
        loop = asyncio.get_running_loop()
        self._audience.on_change = self._leave_if_alone

        def wait_for_the_end() -> None:
            while sys.stdin.buffer.read(4096):
                pass
            loop.call_soon_threadsafe(self._left)

        threading.Thread(target=wait_for_the_end, daemon=True).start()

    def _left(self) -> None:
        self._gone = True
        self._leave_if_alone()
        if not self._server.should_exit:
            self._on_staying()

    def _leave_if_alone(self) -> None:
        if self._gone and self._audience.listeners == 0:
            self._audience.closed.set()
            self._server.should_exit = True
