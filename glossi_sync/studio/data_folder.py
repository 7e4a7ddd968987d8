"""The data folder: everything that a studio keeps, and what its processes find each other by.

    records.db      records            api-key      a key to the default workspace, made at the first start (0600)
    files/          results, models    signing-key  what upload URLs are signed with (0600)
    incoming/       uploads arriving   lock         held by the one server that uses the folder, as long as it lives
    working/        jobs rendering     address      where that server listens
                                       studio.log   what an embedded studio said

Standard library only, and filelock where it is used: ``embedded`` is imported by every apply.
"""

from __future__ import annotations

import json
import os
import secrets
import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from glossi_sync.errors import UserError


class StudioError(UserError):
    """The studio cannot be started or reached; the message says why, and what to do."""


class FolderBusy(StudioError):
    """Another server uses the data folder."""


@dataclass(frozen=True, slots=True)
class DataFolder:
    """A studio's data folder at an absolute path; ``create`` it before use."""

    path: Path

    @property
    def records_url(self) -> str:
        return f"sqlite:///{self.path / 'records.db'}"

    @property
    def log(self) -> Path:
        return self.path / "studio.log"

    def create(self) -> None:
        """Make the folder where it is missing, for its owner alone.

        Raises:
            StudioError: it cannot be made.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StudioError(f"the studio's data folder {self.path} cannot be made: {error.strerror}") from error

    def api_key(self) -> str:
        """The folder's own API key, made when it is first asked for."""
        return self._secret("api-key", new_api_key)

    def replace_api_key(self) -> str:
        """Another key in the place of the folder's own; the caller tells the records."""
        api_key = new_api_key()
        _write_private(self.path / "api-key", api_key + "\n")
        return api_key

    def signing_key(self) -> bytes:
        """What upload URLs are signed with, made when it is first asked for."""
        return self._secret("signing-key", lambda: secrets.token_hex(32)).encode()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the one server of this folder.

        Raises:
            FolderBusy: another process is.
        """
        from filelock import FileLock, Timeout  # noqa: PLC0415 - see the module's docstring

        lock = FileLock(self.path / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            where = self.address()
            raise FolderBusy(
                f"the data folder {self.path} is in use by another studio"
                + (f", at {where}" if where else "")
                + ": stop that one, or give this one another folder"
            ) from None
        except OSError as error:
            raise StudioError(f"the data folder {self.path} cannot be used: {error.strerror or error}") from error
        try:
            yield
        finally:
            self._address_file.unlink(missing_ok=True)
            lock.release()

    def is_locked(self) -> bool:
        """Whether a server uses the folder at this moment."""
        try:
            with self.locked():
                return False
        except FolderBusy:
            return True

    def announce(self, url: str) -> None:
        """Write down where the server listens."""
        _write_private(self._address_file, json.dumps({"url": url, "pid": os.getpid()}))

    def address(self) -> str | None:
        """Where the folder's server listens; None where it has not said so. May be out of date after a SIGKILL."""
        try:
            return str(json.loads(self._address_file.read_text(encoding="utf-8"))["url"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @property
    def _address_file(self) -> Path:
        return self.path / "address"

    def _secret(self, name: str, make: Callable[[], str]) -> str:
        path = self.path / name
        try:
            return path.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            _write_private(path, make() + "\n")
            return path.read_text(encoding="utf-8").strip()


def new_api_key() -> str:
    """A key that nobody has: ``glsi_`` and 50 random letters and digits (298 bits)."""
    return f"glsi_{_random_word(10)}_{_random_word(40)}"


def _write_private(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _random_word(length: int) -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))
