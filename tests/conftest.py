"""For all tests: no property has a deadline, because a busy machine proves nothing; and a bucket for whoever wants one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings
from remote_places import Bucket, s3

from glossi_sync.spec import stores

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(scope="module")
def new_bucket() -> Iterator[Callable[[], Bucket]]:
    with s3() as running:
        yield running


@pytest.fixture
def bucket(new_bucket: Callable[[], Bucket], monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A new bucket, which the environment knows how to reach; what it does not answer is not waited for for long."""
    fresh = new_bucket()
    monkeypatch.setitem(stores._RETRIES, "max_retries", 2)
    for name, value in fresh.environment.items():
        monkeypatch.setenv(name, value)
    return fresh
