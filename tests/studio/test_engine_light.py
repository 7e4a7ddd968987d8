"""The light that pictures are made of: panoramas, probes, tone curves, and the mean of passes. No engine is needed."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from glossi_sync.studio.engines.light_probe import light_probe
from glossi_sync.studio.engines.panorama import direction, disc, light_samples, panorama, panorama_directions
from glossi_sync.studio.engines.pictures import Accumulator, Negative, developed, passes, write_png
from glossi_sync.studio.engines.tone import DECODED, encoded, radiance_for, tone_mapped
from glossi_sync.studio.template import Environment, GradientStop, SoftBox, Template, bundled_templates

WHITE = (1.0, 1.0, 1.0)
templates = pytest.mark.parametrize("template", bundled_templates(), ids=lambda template: template.name)


def room(*boxes: SoftBox, color: tuple[float, float, float] = (0.25, 0.5, 1.0)) -> Environment:
    return Environment((GradientStop(0.0, color),), boxes, intensity=1.0, rotation=0.0)


# --- panoramas ---


def test_a_soft_box_hangs_where_the_template_says() -> None:
    box = SoftBox(azimuth=70, elevation=30, width=20, height=10, feather=1, radiance=(4.0, 4.0, 4.0))
    pixels = panorama(room(box, color=(0.0, 0.0, 0.0)), 180)
    towards, solid_angles = panorama_directions(180)
    weight = pixels[..., 0] * solid_angles
    middle = (towards * weight[..., None]).sum(axis=(0, 1))
    assert middle / np.linalg.norm(middle) == pytest.approx(direction(70, 30), abs=0.01)
    # 20 by 10 degrees, as seen from the middle of the room.
    assert weight.sum() / 4 == pytest.approx(np.radians(20) * np.radians(10), rel=0.03)


def test_the_floor_hides_what_of_a_soft_box_hangs_below_it() -> None:
    box = SoftBox(azimuth=0, elevation=10, width=20, height=80, feather=2, radiance=WHITE)
    pixels = panorama(room(box, color=(0.0, 0.0, 0.0)), 180)
    assert pixels[:80].max() == pytest.approx(1.0)
    assert pixels[100:].max() == 0.0
    below = panorama(room(replace(box, elevation=-40), color=(0.0, 0.0, 0.0)), 180)
    assert below[110:140].max() == pytest.approx(1.0), "a card on the floor is meant to be there"


def test_solid_angles_make_a_whole_sphere() -> None:
    assert panorama_directions(64)[1].sum() == pytest.approx(4 * np.pi, rel=1e-3)


@templates
@pytest.mark.parametrize("count", [4, 32, 160])
def test_light_samples_stand_for_all_of_a_templates_light(template: Template, count: int) -> None:
    samples = light_samples(template, count)
    assert samples.weights.sum(axis=0) == pytest.approx(WHITE)
    assert (samples.weights >= 0).all()
    assert (samples.directions[:, 1] > 0.02).all(), "light from below the floor casts no shadow on it"
    assert np.linalg.norm(samples.directions, axis=1) == pytest.approx(1)
    assert len(samples.directions) <= count + 16


@given(st.floats(-180, 180), st.floats(-90, 90), st.floats(0.1, 40), st.integers(1, 64))
def test_a_disc_of_light_is_as_wide_as_it_should_be(azimuth: float, elevation: float, size: float, count: int) -> None:
    axis = direction(azimuth, elevation)
    angles = np.degrees(np.arccos(np.clip(disc(axis, size, count) @ axis, -1, 1)))
    assert angles.max() <= size / 2 + 1e-4
    if count > 16:
        assert angles.max() > size / 2 * 0.9


# --- probes ---


def test_in_a_room_of_one_colour_everything_reflects_that_colour() -> None:
    probe = light_probe(room())
    for level in probe.levels:
        assert np.abs(level / (0.25, 0.5, 1.0) - 1).max() < 1e-3
    assert probe.irradiance[0] == pytest.approx((0.25, 0.5, 1.0), rel=1e-3)
    assert probe.irradiance[1:] == pytest.approx(0, abs=1e-3)


@templates
def test_rougher_levels_show_the_same_light_only_softer(template: Template) -> None:
    levels = light_probe(template.environment).levels
    assert [level.shape for level in levels] == [(6, 256 >> k, 256 >> k, 3) for k in range(5)]
    for before, level in pairwise(levels):
        assert level.max() <= before.max() * 1.02
        assert level.min() >= before.min() * 0.98
        assert level.mean() == pytest.approx(before.mean(), rel=0.15)


def irradiance(probe: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """As Filament's shaders work it out."""
    x, y, z = normal
    return np.array([1, y, z, x, x * y, y * z, 3 * z * z - 1, z * x, x * x - y * y]) @ probe


@templates
def test_irradiance_is_what_a_white_card_receives(template: Template) -> None:
    pixels = panorama(template.environment, 64)
    towards, solid_angles = panorama_directions(64)
    probe = light_probe(template.environment).irradiance
    for azimuth, elevation in ((0, 0), (90, 0), (180, 20), (-60, 40), (0, 90), (0, -90)):
        card = direction(azimuth, elevation)
        cosine = np.maximum(towards @ card, 0)
        received = (pixels * (cosine * solid_angles)[..., None]).sum(axis=(0, 1)) / np.pi
        assert irradiance(probe, card) == pytest.approx(received, rel=0.3, abs=0.01)
        assert (irradiance(probe, card) > 0).all()


def test_a_probe_is_a_ktx_file() -> None:
    probe = light_probe(room())
    content = probe.ktx()
    assert content[:12] == b"\xabKTX 11\xbb\r\n\x1a\n"
    numbers = struct.unpack_from("<13I", content, 12)
    assert numbers[6:12] == (256, 256, 0, 0, 6, 5), "width, height, depth, elements, faces, levels"
    metadata = content[64 : 64 + numbers[12]]
    (length,) = struct.unpack_from("<I", metadata)
    key, _, text = metadata[4 : 4 + length].partition(b"\0")
    assert key == b"sh"
    assert [float(word) for word in text.rstrip(b"\0").split()] == pytest.approx(probe.irradiance.ravel(), abs=1e-6)
    position = 64 + numbers[12]
    for level in probe.levels:
        (face,) = struct.unpack_from("<I", content, position)
        assert face == level.shape[1] ** 2 * 8
        position += 4 + 6 * face
    assert position == len(content)


# --- tone curves, and the mean of passes ---


@given(
    st.lists(st.floats(0, 0.95), min_size=3, max_size=3),
    st.sampled_from(("neutral", "filmic", "linear")),
)
def test_what_a_template_wants_to_be_seen_is_seen(wanted: list[float], mapping: str) -> None:
    """Exact but for the brightest saturated colours of the neutral curve, which it desaturates."""
    color = np.array(wanted)
    if mapping == "neutral" and color.max() > 0.75:
        color[:] = color.max()
    seen = tone_mapped(radiance_for(color, mapping), mapping)  # type: ignore[arg-type]
    assert seen == pytest.approx(color, abs=2e-3)


def test_encoding_undoes_decoding() -> None:
    assert encoded()[DECODED] / 256 == pytest.approx(np.arange(256), abs=0.03)
    assert (np.diff(encoded().astype(int)) >= 0).all()


@pytest.mark.parametrize("count", [1, 2, 6, 16])
def test_passes_are_centred(count: int) -> None:
    steps = passes(count)
    assert len(steps) == count
    assert sorted(step.lamp for step in steps) == list(range(count))
    for values in zip(*((*step.pixel, step.warmth) for step in steps), strict=True):
        assert sorted(values) == pytest.approx((np.arange(count) + 0.5) / count - 0.5), "evenly, about 0"


def test_the_mean_is_taken_in_linear_light() -> None:
    black_and_white = [np.full((2, 3, 4), level, np.uint8) for level in (0, 255)]
    accumulator = Accumulator(3, 2)
    for reading in black_and_white:
        accumulator.add(reading)
    mean = accumulator.mean()
    assert mean.shape == (2, 3, 3)
    assert np.unique(developed(mean)).tolist() == [187, 188], "half the light, which sRGB writes as 187.5"
    accumulator.add(black_and_white[1])
    assert accumulator.mean().min() == 65535, "each mean begins anew"


@given(st.integers(0, 65535))
def test_dithering_keeps_the_mean_and_adds_no_more_than_a_level(light: int) -> None:
    picture = developed(np.full((64, 64, 3), light, np.uint16))
    wanted = encoded()[light] / 256
    assert np.abs(picture - wanted).max() < 1
    assert picture.mean() == pytest.approx(wanted, abs=0.05)


def test_a_picture_is_written_as_it_is_and_always_alike(tmp_path: Path) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)
    for name in ("a.png", "b.png"):
        write_png(picture, tmp_path / name)
    content = (tmp_path / "a.png").read_bytes()
    assert content == (tmp_path / "b.png").read_bytes()
    image = Image.open(io.BytesIO(content))
    assert (image.format, image.mode, image.size) == ("PNG", "RGB", (30, 20))
    assert (np.asarray(image) == picture).all()


@given(st.floats(0.5, 1.0))
def test_the_white_point_is_white_and_so_is_all_beyond_it(white: float) -> None:
    light = np.array([0.0, white * 0.5, min(1.0, white + 1e-4), 1.0])
    levels = developed(np.tile(np.round(light * 65535).astype(np.uint16)[:, None, None], (1, 64, 3)), white)
    assert (levels[0] == 0).all()
    assert levels[1].mean() == pytest.approx(187.5, abs=0.5), "half of white, as sRGB writes it"
    assert (levels[2:] == 255).all()


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (32, 4), (33, 40), (100, 6)])
def test_a_negative_is_enlarged_evenly_and_its_middle_laid_upon_it(size: tuple[int, int]) -> None:
    high, wide = size
    slope = np.linspace(1000, 60000, high * wide).reshape(high, wide, 1).repeat(3, axis=2).astype(np.uint16)
    picture = Negative(slope, 1.0, half=True).developed()
    assert picture.shape == (2 * high, 2 * wide, 3)
    coarse = developed(slope).astype(int)
    means = picture.reshape(high, 2, wide, 2, 3).mean(axis=(1, 3))
    assert np.abs(means - coarse)[1:-1, 1:-1].max(initial=0) < 4
    assert abs(picture.mean() - coarse.mean()) < 2
    black = Negative(slope, 1.0, half=True, middle=np.zeros((2, 2, 3), np.uint16)).developed()
    assert (black[high - 1 : high + 1, wide - 1 : wide + 1] == 0).all()
    changed = (black != picture).any(axis=-1)
    assert changed.sum() <= 4
