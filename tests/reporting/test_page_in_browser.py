"""The report in a real browser, from disk: Debian's Chromium, headless. Skipped where there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from glossi_sync.reporting.page import Style, write_page
from glossi_sync.reporting.page.contents import File, Page, Part, Product
from glossi_sync.state import Run

sync_api = pytest.importorskip("playwright.sync_api")

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium: apt-get install chromium")

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
LONG = "A name that is much longer than any card, and_has_no_space_where_it_could_be_broken_into_two_lines"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sandbox = [] if getattr(os, "geteuid", lambda: 1)() else ["--no-sandbox"]
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=BROWSER, args=sandbox)
        yield running
        running.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty products, one of which has failed and one has changed; ``linked.html`` shows the files themselves."""
    folder = tmp_path_factory.mktemp("report")
    for name, colour in (("front.png", "teal"), ("was.png", "red")):
        Image.new("RGB", (64, 36), colour).save(folder / name)

    def product(number: int) -> Product:
        status = {0: "failed", 1: "changed"}.get(number, "complete")
        was = folder / "was.png" if number == 1 else None
        front = File(LONG if number == 1 else "Front View", "PNG", False, folder / "front.png", was)
        render = Part(f"render.p{number}/web", "web", "completed", status, 0.0, files=(front,))
        model = Part(f"model.p{number}", LONG, "ready", "complete", 0.0, error=LONG if number == 0 else None)
        return Product(
            f"project.p{number}", f"{LONG if number < 2 else 'Chair'} {number}", status, LONG, (model,), (render,)
        )

    run = Run(1, LONG, 0.0, 9.0, LONG, {"start": 80})
    page = Page(LONG, "the local studio", 0.0, tuple(map(product, range(80))), (run,))
    write_page(page, folder / "report.html")
    write_page(page, folder / "linked.html", Style(linked=True))
    return folder


class Visit:
    """A page that is open; ``troubles`` is what a visitor would not want to meet."""

    def __init__(self, browser: Any, file: Path, anchor: str = "", **options: Any) -> None:
        self.troubles: list[str] = []
        self.asked: set[str] = set()
        self.page = browser.new_context(**options).new_page()
        self.page.set_default_timeout(10_000)
        self.page.on("console", lambda message: self.troubles.append(message.text))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("request", lambda request: self.asked.add(request.url))
        self.page.goto(file.as_uri() + anchor)
        self.asked = {url for url in self.asked if not url.startswith((file.as_uri(), "data:"))}

    def shown(self) -> int:
        return int(self.page.locator(".product:not([hidden])").count())


def test_the_page_is_searched_and_shown_in_part(browser: Any, folder: Path) -> None:
    visit = Visit(browser, folder / "report.html")
    page = visit.page
    assert visit.shown() == 60
    page.get_by_role("button", name="Show 20 more of 80").click()
    assert visit.shown() == 80
    search = page.get_by_role("searchbox")
    search.fill("chair .p7")
    assert visit.shown() == 11, "7, and 70 to 79"
    search.fill("no such thing")
    assert visit.shown() == 0 and page.get_by_text("No product is like that.").is_visible()
    search.fill("")
    page.locator("label", has_text="failed").click()
    page.locator("label", has_text="changed").click()
    assert visit.shown() == 2
    assert (visit.troubles, visit.asked) == ([], set())


def test_a_picture_is_shown_large_and_an_anchor_is_found_wherever_it_stands(browser: Any, folder: Path) -> None:
    visit = Visit(browser, folder / "report.html", "#project.p79")
    page = visit.page
    last = page.locator(".product").nth(79)
    last.locator("[data-zoom]").click()
    large = page.locator("dialog img")
    assert large.is_visible() and large.get_attribute("src") == (folder / "front.png").as_uri()
    page.keyboard.press("Escape")
    assert not large.is_visible() and page.url.endswith("report.html#project.p79")
    assert visit.troubles == []


def test_without_javascript_everything_is_there(browser: Any, folder: Path) -> None:
    visit = Visit(browser, folder / "report.html", java_script_enabled=False)
    assert visit.shown() == 80
    assert not visit.page.locator(".search").is_visible() and not visit.page.locator("dialog").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(browser: Any, folder: Path, scheme: str) -> None:
    visit = Visit(browser, folder / "report.html", **PHONE, color_scheme=scheme)
    assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    ground = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(20, 19, 18)") is (scheme == "dark")
    assert visit.troubles == []


def test_linked_pictures_are_shown_from_where_they_lie(browser: Any, folder: Path) -> None:
    visit = Visit(browser, folder / "linked.html")
    assert visit.page.locator(".product img").first.evaluate("one => one.complete && one.naturalWidth") == 64
    assert visit.asked == {(folder / name).as_uri() for name in ("front.png", "was.png")}
    assert visit.troubles == []
