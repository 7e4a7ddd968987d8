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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI

from glossi_sync.service import wire
from glossi_sync.studio import records as rows
from glossi_sync.studio.api.context import Audience, Templates
from glossi_sync.studio.app import create_app, new_uuid
from glossi_sync.studio.data_folder import DataFolder, StudioError
from glossi_sync.studio.records import Records, RecordsError
from glossi_sync.studio.storage import Storage
from glossi_sync.studio.template import Template, TemplateError, bundled_templates, load_templates
from glossi_sync.studio.workshop import FILAMENT, WorkerPool

DEFAULT_WORKSPACE = "default"


def serve(
    data: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    workers: int | None = None,
    templates: Path | None = None,
    api_key: str | None = None,
    public_url: str | None = None,
    engine: str = FILAMENT,
    upload_seconds: float = wire.UPLOAD_URL_SECONDS,
    stop_with_stdin: bool = False,
    on_ready: Callable[[str], None] = lambda _: None,
    on_staying: Callable[[], None] = lambda: None,
    log_level: str = "WARNING",
) -> None:
    """Run a studio until it is told to stop. Only from a process's main thread.

    Args:
        data: the data folder; made where it is missing.
        port: 0 takes a free one.
        workers: worker processes; None: one for each processor core.
        templates: a folder of the workspace's own template files.
        api_key: a key to the workspace beside the folder's own (``DataFolder.api_key``). One that was given to an
            earlier run is not valid any more.
        public_url: the origin under which clients reach the studio, where it is not the one that they say.
        engine: ``module:class`` of the engine that renders.
        stop_with_stdin: stop when standard input ends, unless somebody else holds on to the studio
            (``wire.ATTACH_PATH``); then ``on_staying`` is called, and the last of them takes it along.
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
        app = _app(
            folder,
            workers=workers,
            templates=templates,
            api_key=api_key,
            public_url=public_url,
            engine=engine,
            upload_seconds=upload_seconds,
            audience=audience,
        )
        url = f"http://{_authority(host, listener)}{wire.API_PREFIX}"

        def ready() -> None:
            folder.announce(url)
            on_ready(url)

        server = _Server(app, ready, audience)
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
    workers: int | None,
    templates: Path | None,
    api_key: str | None,
    public_url: str | None,
    engine: str,
    upload_seconds: float,
    audience: Audience,
) -> FastAPI:
    now = time.time()
    try:
        records = Records(folder.records_url)
        workspace_id = records.now(lambda c: rows.ensure_workspace(c, DEFAULT_WORKSPACE, new_uuid(), now))
        records.now(lambda c: rows.set_key(c, workspace_id, "folder", folder.api_key(), now))
        if api_key != folder.api_key():
            records.now(lambda c: rows.set_key(c, workspace_id, "given", api_key, now))
        storage = Storage(folder.path)
        storage.clear_unfinished()
        return create_app(
            records=records,
            storage=storage,
            workshop=WorkerPool(workers, engine=engine),
            templates_=_templates(workspace_id, templates),
            signing_secret=folder.signing_key(),
            upload_seconds=upload_seconds,
            public_url=public_url,
            audience=audience,
        )
    except (RecordsError, TemplateError) as error:
        raise StudioError(str(error)) from error
    except OSError as error:
        raise StudioError(f"the studio's data folder {folder.path} cannot be used: {error}") from error


def _templates(workspace_id: str, folder: Path | None) -> Templates:
    public = bundled_templates()
    own: Sequence[Template] = load_templates(folder) if folder is not None else ()
    taken = {template.template_id: template.name for template in public}
    for template in own:
        if template.template_id in taken:
            raise TemplateError(
                f"{folder}: the template {template.name!r} has the templateId {template.template_id} of the studio's"
                f" own {taken[template.template_id]!r}: give it one of its own"
            )
    return Templates(public=tuple(public), of_workspace={workspace_id: tuple(own)})


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

    def __init__(self, app: FastAPI, ready: Callable[[], None], audience: Audience) -> None:
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
