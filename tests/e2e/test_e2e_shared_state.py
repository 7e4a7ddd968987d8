"""A state in PostgreSQL, which several machines share: what one has made, the other need not; and who holds it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from counting_studio import Studio
from interrupting import applying, killed_at
from shop import Shop

from glossi_sync.state import document, location_of, open_state, service_identity


@dataclass
class SharedShop(Shop):
    """A machine of several: its folder has the spec and the models, and no state."""

    database: str = ""

    def environment(self, **more: str) -> dict[str, str]:
        caches = str(self.folder.parent / f"caches of {self.folder.name}")
        return super().environment(GLOSSI_STATE=self.database, XDG_CACHE_HOME=caches, **more)

    def check_state(self) -> None:
        service = service_identity(self.studio.url)
        where = location_of(self.database, self.folder, self.spec["workspace"], service)
        with closing(open_state(where, service=service, create=False)) as state:
            self.check_secrets(json.dumps(document.write(state.dump())))
        assert not list(self.folder.rglob("*.db"))

    def other_machine(self, folder: Path) -> SharedShop:
        shutil.copytree(self.folder, folder)
        return SharedShop(folder, self.studio, self.spec, set(self.secrets), self.database)


@pytest.fixture
def shared(new_shop: Callable[..., Shop], studio: Studio, state_database: str) -> Callable[[str], SharedShop]:
    """Makes a shop of a model, a project and a render, by its name."""

    def make(name: str) -> SharedShop:
        plain = new_shop(name)
        shop = SharedShop(
            plain.folder, studio, plain.spec, set(), state_database.replace("postgres:@", "postgres:hunter2@")
        )
        shop.secrets.add("hunter2")
        shop.model("lamp", "lamp")
        shop.spec |= {
            "templates": {"light": {"name": "Studio Light"}},
            "renderSettings": {"web": {"renderShots": False}},
            "projects": {"lamp": {"name": name, "models": ["lamp"], "template": "light", "renders": ["web"]}},
        }
        shop.save()
        return shop

    return make


def test_what_one_machine_has_made_another_need_not(shared: Callable[[str], SharedShop], tmp_path: Path) -> None:
    here = shared("two-machines")
    assert here.applied().summary["converged"]
    there = here.other_machine(tmp_path / "there")
    assert there.settled()
    there.model("chair", "chair")
    there.save()
    assert there.applied().actions() == {"model.chair": "create"}
    # The first machine gets that commit.
    shutil.copytree(there.folder, here.folder, dirs_exist_ok=True)
    assert here.settled()


def test_a_killed_apply_lets_go_and_the_next_goes_on_from_any_machine(
    shared: Callable[[str], SharedShop], studio: Studio, tmp_path: Path
) -> None:
    here = shared("killed-there")
    had = studio.count()
    there = here.other_machine(tmp_path / "there")
    for call in ("PUT upload", "POST /projects"):
        killed_at(here, call, "before")
    assert there.applied().summary["converged"]
    assert studio.count() - had == {"models": 1, "projects": 1, "render_jobs": 1}
    assert here.settled()


def test_an_apply_whose_lock_is_taken_away_writes_nothing_more_and_the_next_goes_on(
    shared: Callable[[str], SharedShop], studio: Studio, tmp_path: Path
) -> None:
    here = shared("unlocked")
    there = here.other_machine(tmp_path / "there")
    studio.hold("POST /projects", "before")
    running = applying(here)
    studio.wait_until_held()
    locked = there.run("apply", "--yes", code=4)
    assert "held by `glossi-sync apply` of" in locked.sentence
    assert f"pid {running.pid}  glossi-sync apply" in there.run("unlock", code=1).out
    assert "any more." in there.run("unlock", "--yes").out
    studio.let_go("through")
    ran = here.finish(running, code=1)
    assert "the lock is lost" in ran.err
    assert json.loads(ran.out.splitlines()[-1])["event"] == "summary"
    applied = there.applied()
    assert applied.summary["converged"]
    assert there.settled()
    # The project of the call that nobody could write down is known as a stray.
    assert "POST" in there.run("state", "strays").out or "project" in there.run("state", "strays").out
