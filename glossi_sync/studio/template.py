"""What a template IS: light, floor, backdrop, cameras, as a YAML file says them; no engine, no picture.

A template decides a project's pictures (guide, "Finding Available Templates"). It is written for no particular model:
every length is in units of the product's bounding radius (the product is scaled to radius 1, stands on the floor at
height 0, and is centred over the origin), every camera says how much of the frame the product fills rather than
where it stands. Angles are degrees. Azimuth 0 is the front of a glTF model (+Z), 90 its left-hand side as it looks
out, which the viewer of the front sees on the right (+X); elevation 90 is straight above (+Y).
Colours and radiances are linear light in the primaries of sRGB: 1 is a white card under the template's exposure.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Literal, TypeAlias

from glossi_sync.errors import UserError
from glossi_sync.studio import yaml_file
from glossi_sync.studio.yaml_file import Mistake

Color: TypeAlias = tuple[float, float, float]
"""Red, green and blue in linear light."""

ToneMapping: TypeAlias = Literal["neutral", "filmic", "linear"]

Easing: TypeAlias = Literal["smooth", "linear", "in", "out"]
"""How a camera begins and ends a movement: slowly at both ends, evenly, slowly at its beginning, or at its end."""


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
class EnvironmentPicture:
    """A photographed environment, small: a panorama laid out as in ``engines.panorama``.

    The pixels themselves rather than a path: a template goes to workers that may run on another machine.
    """

    height: int
    pixels: bytes = field(repr=False)
    """(height, 2 * height, 3) half floats, little-endian; scaled so that a white card on the floor receives 1."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What surrounds the product and is seen in its reflections; never seen directly (that is the backdrop)."""

    gradient: tuple[GradientStop, ...]
    """Empty where there is a picture."""
    soft_boxes: tuple[SoftBox, ...]
    intensity: float
    rotation: float
    picture: EnvironmentPicture | None = None


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
    stretch: float = 1.0
    """How many times longer than broad the features are, from left to right: what makes them the grain of wood."""


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
    """Light on the backdrop, opposite the camera: its height, its half-width and half-height, and what it adds."""

    height: float
    width: float
    extent: float
    color: Color
    aside: float = 0.0
    """Degrees to the right of where the camera looks."""
    panes: tuple[int, int] | None = None
    """Side by side and one above the other: the light comes through a window. None: a soft pool."""


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
class Keyframe:
    """Where a camera has arrived after a share ``at`` of its video, and how it went there from the one before."""

    at: float
    view: View
    easing: Easing


@dataclass(frozen=True, slots=True)
class Shot:
    """A video camera: it goes from ``view`` through the keyframes of ``path``, while the product turns by ``turn``."""

    name: str
    view: View
    path: tuple[Keyframe, ...]
    turn: float
    seconds: float
    frames_per_second: int

    @property
    def frames(self) -> int:
        """How many frames the shot has."""
        return max(1, round(self.seconds * self.frames_per_second))

    @property
    def loops(self) -> bool:
        """Whether the last frame leads into the first: product and camera end as they began, up to whole turns."""
        if self.turn % 360 != 0:
            return False
        last = self.path[-1].view if self.path else self.view
        around = (last.azimuth - self.view.azimuth) % 360 == 0
        return around and replace(last, azimuth=self.view.azimuth) == self.view


@dataclass(frozen=True, slots=True)
class Checks:
    """What a finished picture is held to before its job is called done; shares are of the product's pixels."""

    highlights: float = 0.25
    """The largest share that may be clipped to white."""
    shadows: float = 0.6
    """The largest share that may be clipped to black."""
    magenta: float = 0.25
    """The largest share that may have the colour that stands for a missing texture."""
    fill: float = 0.8
    """How much of its bookmark's ``fill`` the product takes at least; 0 lets it be cut by the frame, too."""


@dataclass(frozen=True, slots=True)
class Template:
    """Everything that a project's pictures take from its template. Immutable and picklable."""

    template_id: str
    name: str
    description: str
    tone_mapping: ToneMapping
    exposure: float
    """In stops; 0 shows radiance 1 as white."""
    white_point: float
    """The linear light, after tone mapping, that the picture shows as pure white."""
    environment: Environment
    lights: tuple[Light, ...]
    floor: Floor
    backdrop: Backdrop
    bookmarks: tuple[Bookmark, ...]
    shots: tuple[Shot, ...]
    checks: Checks
    engine: Literal["filament", "cycles"] | None = None
    """Which engine renders it; None: the studio's choice."""


def load_template(path: Path) -> Template:
    """Read one template file.

    Raises:
        TemplateError: the file cannot be read, is no YAML, or does not follow ``schemas/template.schema.json``.
    """
    picture: EnvironmentPicture | None = None

    def sense(document: Mapping[str, Any]) -> Iterator[Mistake]:
        nonlocal picture
        yield from _mistakes_of_sense(document)
        if "file" in document["environment"]:
            from glossi_sync.studio.hdr import HdrError, environment_picture  # noqa: PLC0415 - few need numpy for it

            try:
                picture = environment_picture(path.parent / document["environment"]["file"])
            except HdrError as error:
                yield Mistake(("environment", "file"), str(error))

    try:
        document = yaml_file.read(
            path,
            "template",
            begins_with="a template is a mapping that begins with templateId and name",
            sense=sense,
            better=_better,
        )
    except yaml_file.FileMistakes as error:
        raise TemplateError(str(error)) from error
    return _template(document, picture)


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


def _better(mistake: Mistake, document: Mapping[str, Any]) -> Mistake:
    if mistake.path != ("templateId",):
        return mistake
    return Mistake(mistake.path, f"{document['templateId']!r} is no UUID; make one with {_MAKE_UUID}")


def _mistakes_of_sense(document: Mapping[str, Any]) -> Iterator[Mistake]:
    for kind in ("bookmarks", "shots"):
        names = [entry["name"] for entry in document.get(kind, ())]
        for index, name in enumerate(names):
            if name in names[:index]:
                yield Mistake((kind, index, "name"), f"'{name}' is already taken by {kind}[{names.index(name)}]")
    if not document.get("bookmarks") and not document.get("shots"):
        yield Mistake((), "a template needs at least one bookmark or one shot, or there is nothing to render")
    environment = document["environment"]
    if ("gradient" in environment) == ("file" in environment):
        yield Mistake(("environment",), "what surrounds the product is said by 'gradient' or by 'file', by one of them")
    stops: list[tuple[tuple[str | int, ...], str, Sequence[Mapping[str, Any]]]] = [
        (("environment", "gradient"), "elevation", environment.get("gradient", ())),
        (("backdrop", "sweep"), "at", document["backdrop"]["sweep"]),
    ]
    for index, shot in enumerate(document.get("shots", ())):
        stops.append((("shots", index, "path"), "at", shot.get("path", ())))
        if "to" in shot and "path" in shot:
            yield Mistake(("shots", index), "where the camera goes is said by 'to' or by 'path', not by both", "to")
    for place, key, entries in stops:
        values = [stop[key] for stop in entries]
        if values != sorted(set(values)):
            yield Mistake(place, f"the stops must go upwards in {key}, each one once: {values}")


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
    view = last = _view(entry)
    path: list[Keyframe] = []
    for stop in entry.get("path", ({"at": 1.0, **entry["to"]},) if "to" in entry else ()):
        last = _view(stop, last)
        path.append(Keyframe(float(stop["at"]), last, stop.get("easing", "smooth")))
    return Shot(
        name=entry["name"],
        view=view,
        path=tuple(path),
        turn=float(entry.get("turn", 0.0)),
        seconds=float(entry.get("seconds", 4.0)),
        frames_per_second=int(entry.get("framesPerSecond", 24)),
    )


def _environment(entry: Mapping[str, Any], picture: EnvironmentPicture | None) -> Environment:
    return Environment(
        gradient=tuple(GradientStop(float(s["elevation"]), _color(s["color"])) for s in entry.get("gradient", ())),
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
        picture=picture,
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
        grain=Grain(float(grain["strength"]), float(grain.get("scale", 0.3)), float(grain.get("stretch", 1.0)))
        if grain
        else None,
    )


def _backdrop(entry: Mapping[str, Any]) -> Backdrop:
    glow = entry.get("glow")
    return Backdrop(
        flat=float(entry.get("flat", 7.0)),
        bend=float(entry.get("bend", 5.0)),
        height=float(entry.get("height", 16.0)),
        sweep=tuple(SweepStop(float(s["at"]), _color(s["color"])) for s in entry["sweep"]),
        glow=Glow(
            height=float(glow["height"]),
            width=float(glow["width"]),
            extent=float(glow["extent"]),
            color=_color(glow["color"]),
            aside=float(glow.get("aside", 0.0)),
            panes=(glow["panes"][0], glow["panes"][1]) if "panes" in glow else None,
        )
        if glow
        else None,
        hills=Hills(float(entry["hills"]["strength"])) if "hills" in entry else None,
    )


def _checks(entry: Mapping[str, Any]) -> Checks:
    usual = Checks()
    return Checks(
        highlights=float(entry.get("highlights", usual.highlights)),
        shadows=float(entry.get("shadows", usual.shadows)),
        magenta=float(entry.get("magenta", usual.magenta)),
        fill=float(entry.get("fill", usual.fill)),
    )


def _template(document: Mapping[str, Any], picture: EnvironmentPicture | None) -> Template:
    return Template(
        template_id=str(uuid.UUID(document["templateId"])),
        name=document["name"],
        description=document.get("description", ""),
        tone_mapping=document.get("toneMapping", "neutral"),
        exposure=float(document.get("exposure", 0.0)),
        engine=document.get("engine"),
        white_point=float(document.get("whitePoint", 1.0)),
        environment=_environment(document["environment"], picture),
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
        checks=_checks(document.get("checks", {})),
    )
