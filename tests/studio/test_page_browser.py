"""The page in a real browser: Debian's Chromium, headless. Skipped where there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from picture_workshop import PictureWorkshop
from studio_client import InProcess, inside_studio

from glossi_sync.studio import records as rows

sync_api = pytest.importorskip("playwright.sync_api")

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium: apt-get install chromium")

DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 860}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}


@dataclass
class Site:
    """A studio and a browser; ``visit`` opens the page, and notes what a visitor would not want to meet."""

    inside: InProcess
    workshop: PictureWorkshop
    browser: Any
    troubles: list[str] = field(default_factory=list)
    made: dict[str, str] = field(default_factory=dict)

    def visit(self, address: str = "/", **options: Any) -> Any:
        context = self.browser.new_context(**{**DESKTOP, **options})
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda m: self.troubles.append(m.text) if m.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("request", self._check_origin)
        page.on("response", lambda r: self.troubles.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        ticket = self.inside.app.state.page_access.ticket("glsi_test")
        page.goto(f"{self.inside.api.origin}/?ticket={ticket}")
        if address != "/":
            page.goto(self.inside.api.origin + address)
        return page

    def _check_origin(self, request: Any) -> None:
        if not request.url.startswith(self.inside.api.origin):
            self.troubles.append(f"asks {request.url}")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    sandbox = [] if getattr(os, "geteuid", lambda: 1)() else ["--no-sandbox"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shared(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    workshop = PictureWorkshop()
    with inside_studio(tmp_path_factory.mktemp("site"), workshop=workshop) as inside:
        api = inside.api
        model = api.ready("A lamp with a name that is much longer than any card, and_has_no_space_where_it_could_break")
        project = api.project(model)
        job = api.start(project, renderShots=True)
        api.finished(job)
        made = {"model": model, "project": project, "job": job}
        yield Site(inside, workshop, chromium, made=made)


@pytest.fixture
def site(shared: Site) -> Iterator[Site]:
    """The one site of all these tests; none of them may leave a trouble."""
    shared.workshop.open.set()
    yield shared
    for context in shared.browser.contexts:
        context.close()
    troubles, shared.troubles[:] = list(shared.troubles), []
    assert not troubles


def test_a_render_is_watched_until_its_pictures_appear_by_themselves(site: Site) -> None:
    api = site.inside.api
    site.workshop.open.clear()
    job = api.start(api.project(site.made["model"], template_id=api.template_id()), renderShots=True)
    page = site.visit()
    row = page.locator(f'#live li:has(a[href="/renders/{job}"])')
    row.locator(".status-rendering").wait_for()
    assert page.locator("figure").count() == 3
    site.workshop.open.set()
    page.locator(f'figure a[href="/renders/{job}"]').nth(2).wait_for()
    row.wait_for(state="detached")
    assert page.locator("figure").count() == 6


def test_the_jobs_own_page_follows_it_to_its_end(site: Site) -> None:
    api = site.inside.api
    site.workshop.open.clear()
    job = api.start(site.made["project"])
    page = site.visit(f"/renders/{job}")
    page.locator(".status-rendering").first.wait_for()
    page.locator("progress").wait_for()
    site.workshop.open.set()
    page.locator(".status-completed").wait_for()
    assert page.locator("figure img").count() == 2 and page.locator("[hx-trigger]").count() == 0


def test_videos_play_and_pictures_are_looked_at_one_after_the_other(site: Site) -> None:
    page = site.visit(f"/renders/{site.made['job']}")
    page.wait_for_function(
        "() => { const v = document.querySelector('video'); return v.currentTime > 0.1 && !v.paused }"
    )
    page.wait_for_function("() => [...document.querySelectorAll('figure img')].every(i => i.naturalWidth === 800)")
    page.locator("[data-picture]").first.click()
    caption = page.locator("dialog[open] p")
    assert caption.inner_text() == "Front View - Default"
    page.wait_for_function("() => document.querySelector('dialog img').naturalWidth === 1280")
    page.keyboard.press("ArrowRight")
    assert caption.inner_text() == "Top View - Default"
    page.keyboard.press("ArrowRight")
    page.locator("dialog .previous").click()
    assert caption.inner_text() == "Front View - Default"
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0


def test_a_long_list_goes_on_as_one_scrolls_and_is_searched_as_one_types(chromium: Any, tmp_path: Path) -> None:
    with inside_studio(tmp_path) as inside:
        models = [
            rows.Model(f"m{i}", "workspace", f"Model {i:03}", f"{i}.glb", "glb", f"k/{i}", "PENDING", created_at=i)
            for i in range(100)
        ]
        inside.studio.records.now(lambda c: rows.add_models(c, models))
        site = Site(inside, PictureWorkshop(), chromium)
        page = site.visit("/models", viewport={"width": 1000, "height": 500})
        assert page.locator(".card .name").count() < 100
        for _ in range(20):
            page.mouse.wheel(0, 3000)
            page.wait_for_timeout(100)
            if page.locator(".card .name").count() == 100:
                break
        names = page.locator(".card .name").all_inner_texts()
        assert names == [f"Model {i:03}" for i in reversed(range(100))]

        page.locator("input[type=search]").press_sequentially("el 04")
        page.wait_for_function("() => document.querySelectorAll('.card .name').length === 10")
        assert page.url.endswith("/models?q=el%2004")
        page.reload()
        assert page.locator(".card .name").count() == 10
        page.locator(".card a").first.click()
        page.locator("h1", has_text="Model 049").wait_for()
        page.go_back()
        assert page.locator("input[type=search]").input_value() == "el 04"
        page.context.close()
        assert not site.troubles


def test_nothing_sticks_out_on_a_phone(site: Site) -> None:
    page = site.visit(**PHONE)
    made = site.made
    for address in ("/", "/models", f"/models/{made['model']}", "/projects", f"/projects/{made['project']}", "/renders",
                    f"/renders/{made['job']}", "/deliveries", "/docs"):  # fmt: skip
        page.goto(site.inside.api.origin + address)
        width, content = page.evaluate("() => [innerWidth, document.documentElement.scrollWidth]")
        assert content <= width == 390, address
        small = page.evaluate("() => [...document.querySelectorAll('nav a')].filter(a => a.offsetHeight < 24).length")
        assert address == "/docs" or not small


def test_it_is_dark_where_one_likes_it_dark(site: Site) -> None:
    def brightness(scheme: str) -> tuple[int, int]:
        page = site.visit(color_scheme=scheme)
        colours = page.evaluate(
            "() => { const s = getComputedStyle(document.body); return [s.backgroundColor, s.color] }"
        )
        ground, ink = (sum(map(int, colour[4:-1].split(", "))) for colour in colours)
        return ground, ink

    (light, dark_ink), (dark, light_ink) = brightness("light"), brightness("dark")
    assert light > 600 and dark_ink < 200
    assert dark < 100 and light_ink > 600


def test_the_door_is_opened_with_a_key_and_closed_again(site: Site) -> None:
    page = site.visit()
    page.get_by_role("button", name="Leave").click()
    page.locator("#key").fill("glsi_wrong")
    page.get_by_role("button", name="Open").click()
    page.get_by_role("alert").wait_for()
    page.locator("#key").fill("glsi_test")
    page.keyboard.press("Enter")
    page.locator("#live").wait_for()
    assert page.url == site.inside.api.origin + "/"
    # What was meant: a 401 for the closed door, and one for the wrong key.
    assert all("401" in trouble for trouble in site.troubles)
    site.troubles.clear()


def test_without_scripts_everything_is_there_all_the_same(site: Site) -> None:
    page = site.visit(java_script_enabled=False)
    assert page.locator("figure img").count() >= 2
    page.locator("nav a", has_text="Models").click()
    page.locator(".card a").first.click()
    assert page.locator("dt", has_text="Triangles").count() == 1
