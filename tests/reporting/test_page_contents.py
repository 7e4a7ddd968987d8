"""The report's page: what stands on it, what differs between two pictures, and that no name is anything but text."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from worlds import NOW, Catalogue, converge

from glossi_sync.applying import Previous
from glossi_sync.applying.previous import keep
from glossi_sync.reporting.page import (
    ExtraMissing,
    Memory,
    Page,
    Style,
    page_of,
    page_of_run,
    pictures,
    write_page,
    writing,
)
from glossi_sync.resources import Phase
from glossi_sync.spec import ProjectEntry, RenderEntry
from glossi_sync.state import Download, Intent, Realised, RenderedFile, Run, Subject

SHOP = Catalogue(
    models=(("lamp", "0", "Desk Lamp"), ("oak", "1", "Oak Chair"), ("torn", "2", "Torn")),
    projects=(
        ProjectEntry("lamp", None, ("lamp",), "studio", renders=(RenderEntry("web"),)),
        ProjectEntry("oak", "Chairs", ("oak", "lamp"), "dark", renders=(RenderEntry("film"), RenderEntry("web"))),
    ),
)
RUN = Run(7, "apply", 0.0, 1000.0, "converged", {"start": 3}, {"POST /renders": 1})


class Studio:
    """A converged shop whose renders have files at home: small pictures of one colour."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.realised = converge(SHOP.desired())
        self.files: dict[int, list[RenderedFile]] = {}
        self.downloads: dict[str, Download] = {}
        self.runs: tuple[Run, ...] = (RUN,)

    def oid(self, address: str) -> int:
        return self.realised.bindings[address]

    def change(self, address: str, **fields: Any) -> None:
        oid = self.oid(address)
        changed = dataclasses.replace(self.realised.objects[oid], **fields)
        self.realised = Realised(
            {**self.realised.objects, oid: changed}, self.realised.bindings, self.realised.in_doubt
        )

    def file(self, address: str, name: str, colour: str | bytes | None = "teal", *, number: str = "") -> RenderedFile:
        """A finished file of a render; ``colour`` None: it is not at home, bytes: it is no picture."""
        key = f"{address}{number}-{len(self.files.get(self.oid(address), ()))}"
        one = RenderedFile(key, name, f"{key}.png", "PNG", is_video=False)
        self.files.setdefault(self.oid(address), []).append(one)
        path = f"{address}/{len(self.downloads)}.png"
        target = self.folder / path
        if colour is not None:
            self.downloads[path] = Download(path, one.id, 1)
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(colour, bytes):
                target.write_bytes(colour)
            else:
                Image.new("RGB", (64, 36), colour).save(target)
        return one

    def replaced(self, one: RenderedFile, colour: str) -> None:
        """What lay in a file's place before."""
        was = self.folder / "was.png"
        Image.new("RGB", (64, 36), colour).save(was)
        keep(self.folder / "previous", was, now=one.id, before=f"before {one.id}")

    def memory(self) -> Memory:
        return Memory(
            inputs=lambda oids: {oid: {"template": {"id": "t", "name": f"Template {oid}"}} for oid in oids},
            files=lambda oids: {oid: self.files[oid] for oid in oids if oid in self.files},
            downloads=self.downloads,
            runs=self.runs,
            folder=self.folder,
            previous=Previous.in_folder(self.folder / "previous"),
        )

    def page(self) -> Page:
        return page_of("shop", "the local studio", self.realised, self.memory(), at=NOW)

    def written(self, style: Style | None = None) -> tuple[str, Any]:
        target = self.folder / "out/report.html"
        written = write_page(self.page(), target, style)
        assert [path.name for path in target.parent.iterdir()] == ["report.html"]
        return target.read_text(encoding="utf-8"), written


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


def statuses(page: Page) -> list[tuple[str, str]]:
    return [(product.address, product.status) for product in page.products]


def test_a_product_is_a_project_with_its_models_and_renders_and_a_model_without_one_stands_alone(
    studio: Studio,
) -> None:
    studio.file("render.oak/web", "Front")
    page = studio.page()
    assert statuses(page) == [("model.torn", "complete"), ("project.lamp", "complete"), ("project.oak", "complete")]
    oak = page.products[2]
    assert (oak.label, oak.template) == ("Chairs", f"Template {studio.oid('project.oak')}")
    assert [one.address for one in oak.parts()] == ["model.oak", "model.lamp", "render.oak/film", "render.oak/web"]
    (file,) = oak.renders[1].files
    assert file.path == studio.folder / "render.oak/web/0.png" and file.before is None
    assert page.products[1].label == "Desk Lamp"
    assert page.counts() == {"complete": 3} and page.files() == 1


def test_what_is_in_trouble_comes_first(studio: Studio) -> None:
    studio.replaced(studio.file("render.lamp/web", "Front"), "red")
    assert statuses(studio.page())[0] == ("project.lamp", "changed")
    studio.change("model.torn", phase=Phase.FAILED, error="torn in two")
    studio.change("render.oak/web", phase=Phase.QUEUED)
    assert statuses(studio.page()) == [
        ("model.torn", "failed"),
        ("project.oak", "in progress"),
        ("project.lamp", "changed"),
    ]
    bindings = {address: oid for address, oid in studio.realised.bindings.items() if address != "render.lamp/web"}
    doubt = Intent(1, 7, "start", "POST /renders", (Subject("render.lamp/web", "d"),), NOW)
    studio.realised = Realised(studio.realised.objects, bindings, (doubt,))
    assert statuses(studio.page())[:2] == [("model.torn", "failed"), ("project.lamp", "held")]
    text, _ = studio.written()
    assert "torn in two" in text and "glossi-sync resolve render.lamp/web" in text


def test_the_page_of_a_run_shows_what_it_touched(studio: Studio) -> None:
    left = studio.realised.bindings
    for one in studio.realised.objects.values():
        studio.realised = Realised({**studio.realised.objects, one.oid: dataclasses.replace(one, since=10.0)}, left)
    run = Run(8, "apply", 2000.0, 3000.0, "converged")

    def page(found: dict[str, int]) -> Page:
        memory = studio.memory()
        return page_of_run("shop", "x", run, studio.realised, memory, left=left, found=found, at=NOW)

    assert page(dict(left)).products == () and page(dict(left)).untouched == 3
    assert [one.address for one in page({**left, "render.oak/web": 1}).products] == ["project.oak"]
    studio.change("model.lamp", since=2500.0)
    assert [one.address for one in page(dict(left)).products] == ["project.lamp", "project.oak"]


def test_of_a_run_whose_pictures_were_replaced_since_the_kept_ones_are_shown(studio: Studio) -> None:
    old = studio.file("render.lamp/web", "Front", None)
    was = studio.folder / "was.png"
    Image.new("RGB", (8, 8)).save(was)
    kept = keep(studio.folder / "previous", was, now="a newer one", before=old.id)
    (product,) = [one for one in studio.page().products if one.address == "project.lamp"]
    assert product.renders[0].files[0].path == kept


class Seen(HTMLParser):
    """The elements of a page, with their attributes, and its texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_pictures_stand_in_the_page_and_lead_to_the_files(studio: Studio) -> None:
    studio.file("render.lamp/web", "Front View", "teal")
    studio.file("render.lamp/web", "Not here", None)
    studio.file("render.lamp/web", "No picture", b"nonsense")
    text, written = studio.written()
    seen = Seen(text)
    (image,) = [one for one in seen.named("img") if one.get("alt") == "Front View"]
    assert str(image["src"]).startswith("data:image/webp;base64,") and image["loading"] == "lazy"
    assert "../render.lamp/web/0.png" in [one.get("href") for one in seen.named("a")]
    assert "not at home: `glossi-sync download` brings it" in text
    assert "cannot be shown: it is neither a picture nor a video" in text
    assert (written.files, written.changed, written.products) == (1, 0, 3)
    linked = Seen(studio.written(Style(linked=True))[0])
    (image,) = [one for one in linked.named("img") if one.get("alt") == "Front View"]
    assert image["src"] == "../render.lamp/web/0.png"


def test_before_and_after_stand_side_by_side_with_a_measure(studio: Studio) -> None:
    one = studio.file("render.lamp/web", "Front", "teal")
    studio.replaced(one, "red")
    text, written = studio.written()
    assert written.changed == 1
    alts = [image["alt"] for image in Seen(text).named("img") if image.get("alt")]
    assert alts == ["before: Front", "after: Front", "what differs: Front"]
    assert "100.0 % of the pixels changed" in text


def test_a_page_that_is_cut_says_so_and_keeps_what_is_in_trouble(studio: Studio) -> None:
    studio.change("render.oak/web", phase=Phase.FAILED, error="the lamp is out")
    text, written = studio.written(Style(most=1))
    assert (written.products, written.left_out) == (1, 2)
    assert "1 of 3 products are shown" in " ".join(text.split()) and "2 are left out" in text
    assert [one["id"] for one in Seen(text).named("article")] == ["project.oak"]


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</title><h1>x",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "\u202egnp.eci",
    "\ud800",
    "a\0b",
    "]]><!--",
    "../../../etc/passwd",
]


def page_that_says(text: str) -> Seen:
    """A page with ``text`` wherever a user or the service may put one."""
    with tempfile.TemporaryDirectory() as folder:
        studio = Studio(Path(folder))
        studio.replaced(studio.file("render.lamp/web", text), "red")
        studio.change("render.oak/web", phase=Phase.FAILED, error=text)
        studio.change("project.oak", label=text)
        studio.change("model.lamp", label=text)
        studio.runs = (dataclasses.replace(RUN, command=text, outcome=text),)
        page = page_of(text, text, studio.realised, studio.memory(), at=NOW)
        write_page(page, Path(folder, "report.html"))
        return Seen(Path(folder, "report.html").read_text(encoding="utf-8"))


def shape(seen: Seen) -> list[tuple[str, list[str]]]:
    return [(tag, sorted(attributes)) for tag, attributes in seen.elements]


HARMLESS = shape(page_that_says("x"))


@given(st.text(st.characters(exclude_categories=()), max_size=20) | st.sampled_from(HOSTILE))
@example("".join(HOSTILE))
@settings(max_examples=25)
def test_no_name_is_anything_but_text(name: str) -> None:
    hostile = page_that_says(f"x{name}")
    assert shape(hostile) == HARMLESS
    links = [one.get("src") or one.get("href") for _, one in hostile.elements if one.get("src") or one.get("href")]
    assert all(str(link).startswith(("data:", "render.", "previous/")) for link in links)


def test_the_page_asks_nobody_for_anything(studio: Studio) -> None:
    studio.file("render.lamp/web", "Front")
    text, _ = studio.written()
    assert "http://" not in text and "https://" not in text
    (policy,) = [one["content"] for one in Seen(text).named("meta") if one.get("http-equiv")]
    assert str(policy).startswith("default-src 'none'; ")


@pytest.mark.parametrize("missing", ["jinja2", "numpy", "PIL", "av"])
def test_without_its_extra_the_report_says_what_to_install(
    studio: Studio, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    writing._template.cache_clear()
    with pytest.raises(ExtraMissing, match=r"pip install 'glossi-sync\[report\]'"):
        studio.written()
    assert not (studio.folder / "out").exists()


# --- differences -----------------------------------------------------------------------------------------------------


def picture(
    *boxes: tuple[int, int, int, int], size: tuple[int, int] = (256, 128), colour: str = "white"
) -> Image.Image:
    drawn = Image.new("RGB", size, "gray")
    for box in boxes:
        ImageDraw.Draw(drawn).rectangle(box, colour)
    return drawn


def test_pictures_that_are_alike_do_not_differ() -> None:
    found = pictures.difference(picture((10, 10, 90, 90)), picture((10, 10, 90, 90)))
    assert (found.changed, found.resized) == (0.0, False)
    assert found.similarity == pytest.approx(1.0)


@pytest.mark.parametrize("width", [1, 64, 128, 256])
def test_the_share_is_that_of_the_pixels_that_changed(width: int) -> None:
    found = pictures.difference(picture(), picture((0, 0, width - 1, 127)))
    assert found.changed == pytest.approx(width / 256)
    assert found.similarity < 1.0
    assert found.similarity == pytest.approx(pictures.difference(picture((0, 0, width - 1, 127)), picture()).similarity)


def test_what_nobody_sees_is_no_change() -> None:
    almost = picture().point(lambda value: value + 5)
    assert pictures.difference(picture(), almost).changed == 0.0


def test_a_picture_of_another_size_is_compared_at_the_new_ones() -> None:
    found = pictures.difference(picture(size=(64, 32)), picture(size=(1024, 512)))
    assert (found.changed, found.resized, found.heat.original) == (0.0, True, (1024, 512))
    assert (found.heat.width, found.heat.height) == (512, 256)


@given(st.tuples(st.integers(1, 40), st.integers(1, 40)), st.tuples(st.integers(1, 40), st.integers(1, 40)))
@settings(max_examples=30)
def test_pictures_of_any_sizes_can_be_compared(one: tuple[int, int], two: tuple[int, int]) -> None:
    found = pictures.difference(picture(size=one), picture(size=two))
    assert found.changed == 0.0 and -1.0 <= found.similarity <= 1.0


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "I;16", "1", "CMYK"])
def test_pictures_of_every_kind_are_shown(mode: str, tmp_path: Path) -> None:
    path = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
    Image.new(mode, (20, 10)).save(path)
    shown = pictures.small(pictures.still(path))
    assert (shown.width, shown.height) == (20, 10)


def test_a_picture_is_scaled_down_and_never_up(tmp_path: Path) -> None:
    for side, expected in ((3000, 720), (100, 100)):
        Image.new("RGB", (side, side // 2)).save(tmp_path / "x.png")
        shown = pictures.small(pictures.still(tmp_path / "x.png"))
        assert (shown.width, shown.original) == (expected, (side, side // 2))


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", bytes(range(100)), b"RIFF0000WEBPVP8 "])
def test_what_is_no_picture_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(pictures.Unreadable, match="^cannot be shown: "):
        pictures.still(tmp_path / "x.png")


def test_of_a_video_the_first_frame_is_shown(tmp_path: Path) -> None:
    video = pytest.importorskip("glossi_sync.studio.engines.video")
    np = pytest.importorskip("numpy")
    with video.VideoWriter(tmp_path / "x.mp4", video.CODECS[0], 64, 32, 24) as writer:
        for shade in (200, 10):
            writer.add(np.full((32, 64, 3), shade, np.uint8))
    assert pictures.still(tmp_path / "x.mp4").getpixel((32, 16))[0] == pytest.approx(200, abs=6)
