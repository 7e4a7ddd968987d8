"""The embedded studio: a studio as a child of this process, which ends with it, however it ends.

The child listens on a free loopback port. It notices the end of its owner, a SIGKILL included, because its standard
input ends. Where another process already serves the data folder, that studio is used instead, and stays as long as it
is used: two applies at once share one studio, and whichever is finished first leaves it to the other.

Importing this costs nothing, and needs nothing of the studio extra; entering it without says what to install.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from glossi_sync.service import wire
from glossi_sync.studio.data_folder import DataFolder, StudioError

if TYPE_CHECKING:
    import httpx

__all__ = ["EmbeddedStudio", "StudioError"]

START_SECONDS = 60.0
"""How long a studio may take to answer before that is an error; it takes about one on an idle machine."""

_STOP_SECONDS = 10.0
_MAX_LOG_BYTES = 1024 * 1024


class EmbeddedStudio:
    """A running studio, between ``__enter__`` and ``__exit__``.

    Args:
        data: its data folder; made where it is missing, and kept.
        workers: worker processes; None: one for each processor core.
        templates: a folder of the workspace's own template files.
        engine: ``module:class`` of the engine that renders; None: the studio's default.

    ``workers``, ``templates`` and ``engine`` have no effect on a studio that another process has started.

    Raises (on entering):
        StudioError: the studio extra is not installed, or the studio cannot be started or reached.
    """

    def __init__(
        self,
        data: Path,
        *,
        workers: int | None = None,
        templates: Path | None = None,
        engine: str | None = None,
    ) -> None:
        self._folder = DataFolder(data.absolute())
        options = {"--workers": workers, "--templates": templates and templates.absolute(), "--engine": engine}
        self._options = [text for name, value in options.items() if value is not None for text in (name, str(value))]
        self._url: str | None = None
        self._child: _Child | None = None
        self._attachment: _Attachment | None = None

    @property
    def url(self) -> str:
        """The endpoint: ``http://127.0.0.1:<port>/api/v1``."""
        assert self._url is not None, "the studio has not been entered"
        return self._url

    @property
    def api_key(self) -> str:
        """A key to the studio's workspace."""
        return self._folder.api_key()

    def __enter__(self) -> Self:
        _check_extra()
        self._folder.create()
        give_up = time.monotonic() + START_SECONDS
        while not self._start(give_up) and not self._attach():
            if time.monotonic() > give_up:
                where = self._folder.address() or "it has not said where it listens"
                raise StudioError(
                    f"another process holds the studio's data folder {self._folder.path}, and its studio does not"
                    f" answer ({where}): end that process"
                )
            time.sleep(0.05)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._attachment is not None:
            self._attachment.close()
        if self._child is not None:
            self._child.leave()
        self._url = self._child = self._attachment = None

    def _start(self, give_up: float) -> bool:
        """Whether a studio of our own runs now; False where another one has the folder."""
        if self._folder.is_locked():
            return False
        child = _Child(self._folder, self._options)
        said = child.next_line(give_up)
        if said is None:
            raise StudioError(child.last_words())
        if "url" not in said:
            child.leave()
            return False
        self._child, self._url = child, str(said["url"])
        return True

    def _attach(self) -> bool:
        """Whether the folder's studio is held on to now; False where it does not answer (yet, or any more)."""
        url = self._folder.address()
        if url is None:
            return False
        attachment = _Attachment.of(url, self.api_key)
        if attachment is None:
            return False
        self._attachment, self._url = attachment, url
        return True


class _Child:
    """The studio's process. Its standard input is our life; its standard output says what happens, a line at a time."""

    def __init__(self, folder: DataFolder, options: list[str]) -> None:
        self._log_file = folder.log
        if self._log_file.exists() and self._log_file.stat().st_size > _MAX_LOG_BYTES:
            self._log_file.unlink()
        with self._log_file.open("ab") as log:
            self._log_begins = log.tell()
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
                # -P: a file in the user's folder must not take the place of a module.
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "glossi_sync.studio",
                    "--data",
                    str(folder.path),
                    "--stop-with-stdin",
                    *options,
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # Ctrl-C is for us; the studio goes when we go.
                start_new_session=True,
            )
        self._lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        assert self._process.stdin is not None and self._process.stdout is not None
        self._stdin = self._process.stdin
        threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True).start()

    def _listen(self, output: IO[bytes]) -> None:
        with output:
            for line in output:
                self._lines.put(json.loads(line))
        self._lines.put(None)

    def next_line(self, give_up: float) -> dict[str, Any] | None:
        """What the studio says next; None where it has ended or says nothing until then."""
        try:
            return self._lines.get(timeout=max(0.0, give_up - time.monotonic()))
        except queue.Empty:
            self._process.kill()
            return None

    def last_words(self) -> str:
        """Why the studio did not start."""
        status = self._process.wait()
        self._stdin.close()
        with self._log_file.open("rb") as log:
            log.seek(self._log_begins)
            said = log.read().decode("utf-8", "replace").strip().splitlines()[-12:]
        reason = "\n".join(said) or f"it ended with status {status} and said nothing"
        return f"the embedded studio could not start: {reason}\n(its log: {self._log_file})"

    def leave(self) -> None:
        """Let go of the studio. It ends, unless others hold on to it; one that does neither is killed."""
        self._stdin.close()
        said = self.next_line(time.monotonic() + _STOP_SECONDS)
        if said is None or "staying" not in said:
            self._process.wait()


class _Attachment:
    """An open answer of a studio that somebody else has started."""

    def __init__(self, client: httpx.Client, response: httpx.Response, lines: Iterator[bytes]) -> None:
        self._client = client
        self._response = response
        self._lines = lines

    @classmethod
    def of(cls, url: str, api_key: str) -> _Attachment | None:
        """Hold on to the studio at ``url``; None where it does not let us."""
        import httpx  # noqa: PLC0415 - only this needs it

        client = httpx.Client(timeout=10, trust_env=False)
        try:
            request = client.build_request("GET", url + wire.ATTACH_PATH, headers={wire.API_KEY_HEADER: api_key})
            response = client.send(request, stream=True)
            lines = response.iter_raw()
            if response.status_code == 200 and next(lines, None):
                return cls(client, response, lines)
        except httpx.HTTPError:
            pass
        client.close()
        return None

    def close(self) -> None:
        self._response.close()
        self._client.close()


def _check_extra() -> None:
    missing = [name for name in ("fastapi", "uvicorn", "sqlalchemy", "numpy", "PIL") if find_spec(name) is None]
    if missing:
        raise StudioError(
            "the local studio is not installed (missing: "
            + ", ".join(missing)
            + "). Install it with: pip install 'glossi-sync[studio]'"
        )
