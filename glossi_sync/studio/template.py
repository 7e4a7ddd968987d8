"""What a template IS: light, floor, backdrop, cameras, as a YAML file says them; no engine, no picture.

A template decides a project's pictures (guide, "Finding Available Templates"). It is written for no particular model:
every length is in units of the product's bounding radius (the product is scaled to radius 1, stands on the floor at
height 0, and is centred over the origin), every camera says how much of the frame the product fills rather than
where it stands. Angles are degrees. Azimuth 0 is the front of a glTF model (+Z), 90 its left-hand side as it looks
out, which the viewer of the front sees on the right (+X); elevation 90 is straight above (+Y).
Colours and radiances are linear light in the primaries of sRGB: 1 is a white card under the template's exposure.
"""

from __future__ import annotations

import difflib
import math
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Literal, TypeAlias

import jsonschema
import yaml

from glossi_sync.errors import UserError
from glossi_sync.schema_files import load_schema

Color: TypeAlias = tuple[float, float, float]
"""Red, green and blue in linear light."""

ToneMapping: TypeAlias = Literal["neutral", "filmic", "linear"]


class TemplateError(UserError):
    """A template that cannot be used; the message lists every mistake as ``file:line:column: where: what``."""


@dataclass(frozen=True, slots=True)
class GradientStop:
    """The environment's radiance at one elevation, -90 to 90 degrees."""

    elevation: float
    color: Color


@dataclass(frozen=True, slots=True)
class SoftBox:
    """A rectangle of light in the environment: its centre, its size in degrees, and how softly its edge ends."""

    azimuth: float
    elevation: float
    width: float
    height: float
    feather: float
    radiance: Color


@dataclass(frozen=True, slots=True)
class Environment:
    """What surrounds the product and is seen in its reflections; never seen directly (that is the backdrop)."""

    gradient: tuple[GradientStop, ...]
    soft_boxes: tuple[SoftBox, ...]
    intensity: float
    rotation: float


@dataclass(frozen=True, slots=True)
class Light:
    """One light at a great distance. ``size`` is its angular diameter in degrees: what makes its shadows soft."""

    name: str
    azimuth: float
    elevation: float
    size: float
    illuminance: float
    """What it adds to a white card that faces it."""
    color: Color
    shadows: bool


@dataclass(frozen=True, slots=True)
class Reflection:
    """The product's mirror image in the floor."""

    strength: float
    """Share of the light that the floor mirrors when looked at straight down; grows towards grazing views."""
    blur: float
    """Blur of the mirror image, in units of the product's radius."""
    fade: float
    """Height, in units of the product's radius, above which the mirror image has gone."""


@dataclass(frozen=True, slots=True)
class Grain:
    """The floor's fine texture: relative contrast, and the size of its coarsest feature in product radii."""

    strength: float
    scale: float


@dataclass(frozen=True, slots=True)
class Floor:
    """The ground at height 0; its colour is the backdrop's at radius 0."""

    shadow: float
    """How much of the light that the product keeps from the floor is missing there: 0 no shadow, 1 as in nature."""
    reflection: Reflection | None
    grain: Grain | None


@dataclass(frozen=True, slots=True)
class SweepStop:
    """The colour seen at one place of the sweep: 0 under the product, 1 at its top."""

    at: float
    color: Color


@dataclass(frozen=True, slots=True)
class Glow:
    """A pool of light on the backdrop, opposite the camera: its height, its extent, and the light it adds."""

    height: float
    width: float
    extent: float
    color: Color


@dataclass(frozen=True, slots=True)
class Hills:
    """A soft skyline: how far the sweep's stops rise and sink around the horizon, as a share of the sweep."""

    strength: float


@dataclass(frozen=True, slots=True)
class Backdrop:
    """One seamless surface: a flat floor that bends up into a wall all around."""

    flat: float
    """Radius of the flat part, in product radii."""
    bend: float
    """Radius of the bend between floor and wall."""
    height: float
    """Height of the wall's top."""
    sweep: tuple[SweepStop, ...]
    glow: Glow | None
    hills: Hills | None


@dataclass(frozen=True, slots=True)
class View:
    """A camera by direction and framing. ``fill`` is the share of the frame's tighter side that the product takes."""

    azimuth: float
    elevation: float
    field_of_view: float
    """Vertical, in degrees."""
    fill: float
    aim: tuple[float, float]
    """Which point of the product's outline lies in the middle of the frame: (0, 0) its centre, 1 its edges."""


@dataclass(frozen=True, slots=True)
class Bookmark:
    """A saved camera: one still for each variant."""

    name: str
    view: View


@dataclass(frozen=True, slots=True)
class Shot:
    """A video camera: the product turns by ``turn`` degrees while the view goes from ``view`` to ``to``."""

    name: str
    view: View
    to: View | None
    turn: float
    seconds: float
    frames_per_second: int

    @property
    def frames(self) -> int:
        """How many frames the shot has."""
        return max(1, round(self.seconds * self.frames_per_second))

    @property
    def loops(self) -> bool:
        """Whether the last frame leads into the first: whole turns, and a camera that stands still."""
        return self.to is None and self.turn % 360 == 0


@dataclass(frozen=True, slots=True)
class Template:
    """Everything that a project's pictures take from its template. Immutable and picklable."""

    template_id: str
    name: str
    description: str
    tone_mapping: ToneMapping
    exposure: float
    """In stops; 0 shows radiance 1 as white."""
    environment: Environment
    lights: tuple[Light, ...]
    floor: Floor
    backdrop: Backdrop
    bookmarks: tuple[Bookmark, ...]
    shots: tuple[Shot, ...]


def load_template(path: Path) -> Template:
    """Read one template file.

    Raises:
        TemplateError: the file cannot be read, is no YAML, or does not follow ``schemas/template.schema.json``.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise TemplateError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TemplateError(f"{path}: is not UTF-8 text: {error}") from error
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        document: Any = None if root is None else loader.construct_document(root)
        mistakes = [*_schema_mistakes(document)] or [*_mistakes_of_sense(document)]
    except yaml.MarkedYAMLError as error:
        # What is never closed is noticed at the file's end, and mended where it begins.
        unclosed = "end of stream" in (error.problem or "") or "<stream end>" in (error.problem or "")
        mark = (unclosed and error.context_mark) or error.problem_mark or error.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        what = " ".join(part for part in (error.context, error.problem) if part)
        raise TemplateError(f"{path}{place}: {what}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise TemplateError(f"{path}: is not valid YAML: {error}") from error
    if mistakes:
        placed = sorted((_position(root, mistake), str(mistake)) for mistake in mistakes)
        raise TemplateError("\n".join(f"{path}:{line}:{column}: {text}" for (line, column), text in placed))
    return _template(document)


def load_templates(folder: Path) -> tuple[Template, ...]:
    """Read every ``*.yaml`` and ``*.yml`` file in a folder, in the order of their names.

    Raises:
        TemplateError: the folder is missing, a file is wrong (all wrong files are named at once), or two files
            carry the same ``templateId`` or the same name.
    """
    if not folder.is_dir():
        raise TemplateError(f"{folder}: there is no such folder of templates")
    templates: dict[Path, Template] = {}
    mistakes: list[str] = []
    for path in sorted(p for p in folder.iterdir() if p.suffix in {".yaml", ".yml"} and p.is_file()):
        try:
            template = load_template(path)
        except TemplateError as error:
            mistakes.append(str(error))
            continue
        for other, known in templates.items():
            if known.template_id == template.template_id:
                mistakes.append(f"{path}: templateId: {template.template_id} is already taken by {other}")
            elif known.name == template.name:
                mistakes.append(f"{path}: name: '{template.name}' is already taken by {other}")
        templates[path] = template
    if mistakes:
        raise TemplateError("\n".join(mistakes))
    return tuple(templates.values())


@cache
def bundled_templates() -> tuple[Template, ...]:
    """The templates that the package brings along: the service's public ones."""
    with as_file(files("glossi_sync.studio") / "templates") as folder:
        return load_templates(folder)


_MAKE_UUID = "python -c 'import uuid; print(uuid.uuid4())'"


@dataclass(frozen=True, slots=True)
class _Mistake:
    """What is wrong, and the keys and indices that lead there; ``key`` names a key of that place itself."""

    path: tuple[str | int, ...]
    message: str
    key: str | None = None

    def __str__(self) -> str:
        place = ""
        for part in self.path:
            place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
        return f"{place}: {self.message}" if place else self.message


class _Loader(yaml.SafeLoader):
    """YAML without surprises: a key given twice is an error, not a silent last-one-wins; numbers are finite."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    seen: set[str] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(None, None, "a key must be text", key_node.start_mark)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key '{key}' is given twice", key_node.start_mark)
        seen.add(key)
    return {str(key): value for key, value in loader.construct_mapping(node, deep=True).items()}


def _number(loader: _Loader, node: yaml.ScalarNode) -> float:
    value = float(loader.construct_yaml_float(node))
    if not math.isfinite(value):
        raise yaml.constructor.ConstructorError(None, None, f"{node.value} is not a number", node.start_mark)
    return value


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_constructor("tag:yaml.org,2002:float", _number)


def _schema_mistakes(document: object) -> Iterator[_Mistake]:
    if not isinstance(document, dict):
        yield _Mistake((), "a template is a mapping that begins with templateId and name")
        return
    for error in jsonschema.Draft202012Validator(load_schema("template")).iter_errors(document):
        best = error
        while best.context:  # Of the ways to write a colour, the one that was nearly met says the most.
            best = min(best.context, key=lambda e: (e.validator == "type", len(e.absolute_path)))
        path = tuple(best.absolute_path)
        if path == ("templateId",):
            yield _Mistake(path, f"{document['templateId']!r} is no UUID; make one with {_MAKE_UUID}")
            continue
        if best.validator != "additionalProperties":
            yield _Mistake(path, best.message)
            continue
        known = list(best.schema["properties"])
        for key in (key for key in best.instance if key not in known):
            near = difflib.get_close_matches(key, known, 1)
            advice = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}"
            yield _Mistake(path, f"the key '{key}' is unknown; {advice}", key)


def _mistakes_of_sense(document: Mapping[str, Any]) -> Iterator[_Mistake]:
    for kind in ("bookmarks", "shots"):
        names = [entry["name"] for entry in document.get(kind, ())]
        for index, name in enumerate(names):
            if name in names[:index]:
                yield _Mistake((kind, index, "name"), f"'{name}' is already taken by {kind}[{names.index(name)}]")
    if not document.get("bookmarks") and not document.get("shots"):
        yield _Mistake((), "a template needs at least one bookmark or one shot, or there is nothing to render")
    for place, key in ((("environment", "gradient"), "elevation"), (("backdrop", "sweep"), "at")):
        values = [stop[key] for stop in document[place[0]][place[1]]]
        if values != sorted(set(values)):
            yield _Mistake(place, f"the stops must go upwards in {key}, each one once: {values}")


def _position(root: yaml.Node | None, mistake: _Mistake) -> tuple[int, int]:
    """Line and column, from 1, of the last thing on the way to a mistake that the file does have."""
    node, mark = root, root.start_mark if root else None
    for part in (*mistake.path, *([mistake.key] if mistake.key is not None else [])):
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            mark = node.start_mark
        elif isinstance(node, yaml.MappingNode):
            entry = next(((key, value) for key, value in node.value if key.value == part), None)
            if entry is None:
                break
            node, mark = entry[1], entry[0].start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _color(value: str | Sequence[float]) -> Color:
    if isinstance(value, str):
        red, green, blue = (_decode(int(value[i : i + 2], 16) / 255) for i in (1, 3, 5))
        return red, green, blue
    red, green, blue = (float(channel) for channel in value)
    return red, green, blue


def _decode(encoded: float) -> float:
    """One sRGB channel to linear light (IEC 61966-2-1)."""
    return encoded / 12.92 if encoded <= 0.04045 else float(((encoded + 0.055) / 1.055) ** 2.4)


def _scaled(color: Color, factor: float) -> Color:
    return color[0] * factor, color[1] * factor, color[2] * factor


def _view(entry: Mapping[str, Any], base: View | None = None) -> View:
    aim = entry.get("aim", base.aim if base else (0.0, 0.0))
    return View(
        azimuth=float(entry.get("azimuth", base.azimuth if base else 0.0)),
        elevation=float(entry.get("elevation", base.elevation if base else 10.0)),
        field_of_view=float(entry.get("fieldOfView", base.field_of_view if base else 24.0)),
        fill=float(entry.get("fill", base.fill if base else 0.78)),
        aim=(float(aim[0]), float(aim[1])),
    )


def _shot(entry: Mapping[str, Any]) -> Shot:
    view = _view(entry)
    return Shot(
        name=entry["name"],
        view=view,
        to=_view(entry["to"], view) if "to" in entry else None,
        turn=float(entry.get("turn", 0.0)),
        seconds=float(entry.get("seconds", 4.0)),
        frames_per_second=int(entry.get("framesPerSecond", 24)),
    )


def _environment(entry: Mapping[str, Any]) -> Environment:
    return Environment(
        gradient=tuple(GradientStop(float(s["elevation"]), _color(s["color"])) for s in entry["gradient"]),
        soft_boxes=tuple(
            SoftBox(
                azimuth=float(box["azimuth"]),
                elevation=float(box["elevation"]),
                width=float(box["width"]),
                height=float(box["height"]),
                feather=float(box.get("feather", 4.0)),
                radiance=_scaled(_color(box.get("color", (1.0, 1.0, 1.0))), float(box["radiance"])),
            )
            for box in entry.get("softBoxes", ())
        ),
        intensity=float(entry.get("intensity", 1.0)),
        rotation=float(entry.get("rotation", 0.0)),
    )


def _floor(entry: Mapping[str, Any]) -> Floor:
    reflection, grain = entry.get("reflection"), entry.get("grain")
    return Floor(
        shadow=float(entry.get("shadow", 1.0)),
        reflection=Reflection(
            strength=float(reflection["strength"]),
            blur=float(reflection.get("blur", 0.01)),
            fade=float(reflection.get("fade", 1.5)),
        )
        if reflection
        else None,
        grain=Grain(float(grain["strength"]), float(grain.get("scale", 0.3))) if grain else None,
    )


def _backdrop(entry: Mapping[str, Any]) -> Backdrop:
    glow = entry.get("glow")
    return Backdrop(
        flat=float(entry.get("flat", 7.0)),
        bend=float(entry.get("bend", 5.0)),
        height=float(entry.get("height", 16.0)),
        sweep=tuple(SweepStop(float(s["at"]), _color(s["color"])) for s in entry["sweep"]),
        glow=Glow(float(glow["height"]), float(glow["width"]), float(glow["extent"]), _color(glow["color"]))
        if glow
        else None,
        hills=Hills(float(entry["hills"]["strength"])) if "hills" in entry else None,
    )


def _template(document: Mapping[str, Any]) -> Template:
    return Template(
        template_id=str(uuid.UUID(document["templateId"])),
        name=document["name"],
        description=document.get("description", ""),
        tone_mapping=document.get("toneMapping", "neutral"),
        exposure=float(document.get("exposure", 0.0)),
        environment=_environment(document["environment"]),
        lights=tuple(
            Light(
                name=light["name"],
                azimuth=float(light["azimuth"]),
                elevation=float(light["elevation"]),
                size=float(light.get("size", 10.0)),
                illuminance=float(light["illuminance"]),
                color=_color(light.get("color", (1.0, 1.0, 1.0))),
                shadows=bool(light.get("shadows", True)),
            )
            for light in document.get("lights", ())
        ),
        floor=_floor(document.get("floor", {})),
        backdrop=_backdrop(document["backdrop"]),
        bookmarks=tuple(Bookmark(entry["name"], _view(entry)) for entry in document.get("bookmarks", ())),
        shots=tuple(_shot(entry) for entry in document.get("shots", ())),
    )
