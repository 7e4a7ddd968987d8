"""Writing the page: pictures are made product by product, and the page goes to its file as it comes."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

from glossi_sync.errors import UserError
from glossi_sync.planning.explain import size
from glossi_sync.reporting.page.contents import File, Page, Product
from glossi_sync.reporting.status import age

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

    from glossi_sync.reporting.page.pictures import Difference, Picture

MOST_PRODUCTS = 500
"""Shown on a page unless it is asked for more: a browser takes so many with ease."""

MOST_VIDEO_BYTES = 4_000_000
"""The largest video that is put into the page; one that is larger is linked to."""

_HERE = Path(__file__).parent

_MANY = 12
"""A page of more products than this can be searched."""

_TOGETHER = 32
"""Products whose pictures are made at once and held in memory."""

_WORKERS = 4
_PLAYED = {".mp4": "video/mp4", ".m4v": "video/mp4", ".webm": "video/webm"}
"""What browsers play, by suffix; ProRes they do not."""


class ExtraMissing(UserError):
    """What the page is made with is not installed."""

    def __init__(self) -> None:
        super().__init__("The report is made with the extra `report`: pip install 'glossi-sync[report]'")


@dataclass(frozen=True, slots=True)
class Style:
    """How a page is made: pictures in it or ``linked`` from where they lie, how many products, how large a video."""

    linked: bool = False
    most: int = MOST_PRODUCTS
    video_bytes: int = MOST_VIDEO_BYTES


@dataclass(frozen=True, slots=True)
class Written:
    """What a page holds: its bytes, the products shown and not shown, files shown, and those that changed."""

    size: int
    products: int
    left_out: int
    files: int
    changed: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A file as the page shows it. All URLs are data of this program or quoted paths.

    ``picture`` is a still (a video's first frame), ``video`` what plays, ``href`` where the file lies beside the page;
    ``trouble`` is told where there is nothing to see.
    """

    file: File
    picture: Picture | None = None
    before: Picture | None = None
    difference: Difference | None = None
    video: str | None = None
    href: str | None = None
    trouble: str | None = None


@dataclass(slots=True)
class _Counted:
    files: int = 0
    changed: int = 0


def write_page(
    page: Page, target: Path, style: Style | None = None, *, tell: Callable[[int, int], None] = lambda done, of: None
) -> Written:
    """Write the page to ``target``, which is replaced once the page is whole; ``tell`` hears of each product.

    Raises:
        ExtraMissing: the extra ``report`` is not installed.
        OSError: it cannot be written.
    """
    style = style or Style()
    template, script = _template()
    target.parent.mkdir(parents=True, exist_ok=True)
    shown = page.products[: style.most]
    counted = _Counted()
    values = {
        "page": page,
        "shown": len(shown),
        "left_out": len(page.products) - len(shown),
        "products": _drawn(shown, partial(_show, target.parent.resolve(), style), counted, tell),
        "many": len(shown) > _MANY,
        "script": script,
        "script_hash": f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
    }
    arriving = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        # A name may hold what is no character (half of a surrogate pair); it becomes a question mark.
        with arriving.open("w", encoding="utf-8", errors="replace", newline="\n") as file:
            for piece in template.generate(values):
                file.write(piece)
        arriving.replace(target)
    finally:
        arriving.unlink(missing_ok=True)
    return Written(target.stat().st_size, len(shown), len(page.products) - len(shown), counted.files, counted.changed)


@cache
def _template() -> tuple[Template, Markup]:
    """The page's template, and its script, which is this program's own. Raises ExtraMissing."""
    try:
        import av  # noqa: F401, PLC0415
        import numpy  # noqa: F401, PLC0415
        import PIL  # noqa: F401, PLC0415
        from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415
        from markupsafe import Markup  # noqa: PLC0415
    except ImportError:
        raise ExtraMissing from None
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(moment=_moment, share=_share, age=age, slug=_slug)
    script = Markup((_HERE / "report.js").read_text(encoding="utf-8"))  # noqa: S704
    return environment.get_template("report.html.jinja"), script


@dataclass(frozen=True, slots=True)
class Drawn:
    """A product with its files as the page shows them, by its renders' addresses."""

    product: Product
    files: Mapping[str, tuple[Shown, ...]] = field(default_factory=dict)


def _drawn(
    products: Sequence[Product], show: Callable[[File], Shown], counted: _Counted, tell: Callable[[int, int], None]
) -> Iterator[Drawn]:
    """Products with their pictures; a few at a time are made together."""
    left = iter(products)
    done = 0
    with ThreadPoolExecutor(_WORKERS) as pool:
        while together := list(islice(left, _TOGETHER)):
            files = [[(render, file) for render in product.renders for file in render.files] for product in together]
            drawn = pool.map(lambda one: show(one[1]), [one for of_one in files for one in of_one])
            for product, of_one in zip(together, files, strict=True):
                shown: dict[str, list[Shown]] = {}
                for render, _ in of_one:
                    shown.setdefault(render.address, []).append(next(drawn))
                seen = [one for ones in shown.values() for one in ones]
                counted.files += sum(one.picture is not None for one in seen)
                counted.changed += sum(one.difference is not None for one in seen)
                done += 1
                tell(done, len(products))
                yield Drawn(product, {address: tuple(ones) for address, ones in shown.items()})


def _show(folder: Path, style: Style, file: File) -> Shown:
    """A file as a page in ``folder`` shows it."""
    from glossi_sync.reporting.page import pictures  # noqa: PLC0415

    if file.path is None:
        return Shown(file, trouble="not at home: `glossi-sync download` brings it")
    href = _href(file.path, folder)
    try:
        after = pictures.still(file.path)
    except pictures.Unreadable as unreadable:
        return Shown(file, href=href, trouble=str(unreadable))
    video = _video(file.path, href, style) if file.is_video else None
    picture = _picture(pictures.small(after), href if not file.is_video else None, style)
    if file.before is None:
        return Shown(file, picture, video=video, href=href)
    try:
        was = pictures.still(file.before)
    except pictures.Unreadable:
        return Shown(file, picture, video=video, href=href)
    compared = pictures.difference(was, after)
    before = _picture(pictures.small(was), _href(file.before, folder) if not file.is_video else None, style)
    return Shown(file, picture, before, compared, video, href)


def _picture(small: Picture, href: str | None, style: Style) -> Picture:
    """The picture itself, or the file that it was made from."""
    from glossi_sync.reporting.page.pictures import Picture  # noqa: PLC0415

    if style.linked and href is not None:
        return Picture(href, small.width, small.height, small.original)
    return small


def _video(path: Path, href: str | None, style: Style) -> str | None:
    """What a browser plays: the video itself where it is small enough, or where it lies."""
    media_type = _PLAYED.get(path.suffix.lower())
    if media_type is None:
        return None
    if style.linked or path.stat().st_size > style.video_bytes:
        return href
    return f"data:{media_type};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _href(path: Path, folder: Path) -> str | None:
    """Where a file lies as seen from the page; None where no relative path leads there (another drive)."""
    try:
        relative = os.path.relpath(path.resolve(), folder)
    except ValueError:
        return None
    return quote(PurePosixPath(*Path(relative).parts).as_posix(), errors="surrogateescape")


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def _share(changed: float) -> str:
    """A share for people: ``0 %`` only where nothing has changed."""
    if not changed:
        return "0 %"
    return "under 0.1 %" if changed < 0.001 else f"{changed:.1%}".replace("%", " %")


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower())


def summary(written: Written, target: Path) -> str:
    """``report.html: 4 products, 34 pictures and videos, 3 changed (2.1 MB)``."""
    parts = [f"{written.products} {'product' if written.products == 1 else 'products'}"]
    parts.append(f"{written.files} pictures and videos")
    if written.changed:
        parts.append(f"{written.changed} with what they were before")
    text = f"{target}: {', '.join(parts)} ({size(written.size)})."
    if written.left_out:
        text += f" {written.left_out} products were left out; --limit shows more."
    return text
