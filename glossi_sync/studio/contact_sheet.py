"""Contact sheets: several models on several templates in one picture, to see a set of templates at a glance.

Rendered in this process by Filament, without a service: for choosing and for writing templates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image, ImageDraw, ImageFont

from glossi_sync.errors import UserError
from glossi_sync.studio.engines import EngineError, RenderRequest, Settings, SourceModel
from glossi_sync.studio.engines.filament import Draft, FilamentEngine
from glossi_sync.studio.template import Template

_FINER = 2
"""Each picture is rendered so many times larger than it is shown."""
_GAP = 0.02
_HEAD = 0.15
"""Of a tile's side: the room between tiles, and the height of the line of names."""
_PAPER, _INK = (255, 255, 255), (60, 60, 64)


class ContactSheetError(UserError):
    """The sheet could not be made; the message says which picture failed, and why."""


def write_contact_sheet(
    models: Sequence[Path], templates: Sequence[Template], out: Path, *, bookmark: str, tile: int
) -> None:
    """Render every model on every template, and write one picture.

    Args:
        out: its suffix says the format: ``.jpg``, ``.webp``, ``.png``.
        bookmark: the camera's name; a template that has none of that name is shown from its first bookmark.
        tile: the side of each picture in pixels.

    Raises:
        ContactSheetError: a model cannot be rendered, or the file not be written.
    """
    if out.suffix.lower() not in {".jpg", ".jpeg", ".webp", ".png"}:
        raise ContactSheetError(f"{out}: a contact sheet is a .jpg, a .webp or a .png file")
    if not templates:
        raise ContactSheetError("there is no template to show")
    missing = [str(model) for model in models if not model.is_file()]
    if missing:
        raise ContactSheetError(f"there is no file {', '.join(missing)}")
    engine = FilamentEngine(Draft((tile * _FINER, tile * _FINER), passes=6, shadows=96, patch=448))
    gap, head = max(1, round(tile * _GAP)), round(tile * _HEAD)
    size = len(templates) * (tile + gap) + gap, head + len(models) * (tile + gap)
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=max(8, round(tile * 0.072)))
    for column, template in enumerate(templates):
        x = gap + column * (tile + gap)
        draw.text((x + tile / 2, head / 2), template.name, fill=_INK, font=font, anchor="mm")
        for row, model in enumerate(models):
            picture = _picture(engine, model, _one_camera(template, bookmark))
            small = picture.resize((tile, tile), Image.Resampling.LANCZOS)
            sheet.paste(small, (x, head + row * (tile + gap)))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(out, quality=86)
    except OSError as error:
        raise ContactSheetError(f"{out} cannot be written: {error.strerror or error}") from error


def _one_camera(template: Template, bookmark: str) -> Template:
    named = tuple(camera for camera in template.bookmarks if camera.name == bookmark)
    return replace(template, bookmarks=named or template.bookmarks[:1], shots=())


def _picture(engine: FilamentEngine, model: Path, template: Template) -> Image.Image:
    with TemporaryDirectory() as folder:
        settings = Settings(render_shots=False, render_variants=False)
        request = RenderRequest((SourceModel(model.stem, model),), template, settings, Path(folder))
        try:
            (file,) = engine.render(request)
        except EngineError as error:
            raise ContactSheetError(f"{model} on '{template.name}': {error}") from error
        with Image.open(Path(folder) / file.file_name) as picture:
            return picture.convert("RGB")
