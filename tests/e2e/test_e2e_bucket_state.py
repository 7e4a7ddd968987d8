"""A state in a bucket, which several machines share: held by one, taken away from it, taken up by another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from counting_studio import Studio
from interrupting import applying, product
from remote_places import SECRET, Bucket
from shop import Shop
from test_e2e_shared_state import SharedShop


@pytest.fixture
def shared(new_shop: Callable[..., Shop], studio: Studio, bucket: Bucket) -> Callable[[str], SharedShop]:
    """Makes a shop of a model, a project and a render, by its name."""

    def make(name: str) -> SharedShop:
        plain = product(new_shop, name)
        return SharedShop(plain.folder, studio, plain.spec, {SECRET}, f"{bucket.url}/states/{name}")

    return make


def test_an_apply_whose_lock_is_taken_away_writes_nothing_more_and_the_next_goes_on(
    shared: Callable[[str], SharedShop], studio: Studio, tmp_path: Path
) -> None:
    here = shared("unlocked-at-the-bucket")
    there = here.other_machine(tmp_path / "there")
    studio.hold("POST /projects", "before")
    running = applying(here)
    studio.wait_until_held()
    assert "already, its lease ends in " in there.run("apply", "--yes", code=4).sentence
    assert f"pid {running.pid}  glossi-sync apply" in there.run("unlock", "--yes").out
    studio.let_go("through")
    ran = here.finish(running, code=1)
    assert "its lock is lost" in ran.err
    assert json.loads(ran.out.splitlines()[-1])["event"] == "summary"
    assert there.applied().summary["converged"]
    assert there.settled()
