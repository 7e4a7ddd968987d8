"""Radiance pictures as environments: what is read of them, how bright they are taken to be, and what is refused."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from glossi_sync.studio import hdr
from glossi_sync.studio.engines.panorama import panorama, panorama_directions
from glossi_sync.studio.hdr import ROWS, HdrError, environment_picture
from glossi_sync.studio.template import Environment, EnvironmentPicture, SoftBox, TemplateError, load_template

Rgbe = NDArray[np.uint8]
"""Pixels as the file holds them (height, width, 4): red, green, blue, exponent."""


def rgbe(light: NDArray[np.float64]) -> Rgbe:
    """Linear light (height, width, 3) with a shared exponent."""
    most = light.max(axis=-1)
    _, exponent = np.frexp(most)
    pixels = np.zeros((*light.shape[:2], 4), np.uint8)
    pixels[..., :3] = np.ldexp(light, 8 - exponent[..., None])
    pixels[..., 3] = np.where(most > 1e-30, exponent + 128, 0)
    return pixels


def flat(pixels: Rgbe) -> bytes:
    return pixels.tobytes()


def runs(pixels: Rgbe) -> bytes:
    """Run-length encoded, channel by channel: runs of three or more of one value, all else as it is."""
    data = bytearray()
    for row in pixels:
        data += struct.pack(">BBH", 2, 2, len(row))
        for channel in row.T:
            place = 0
            while place < len(channel):
                same = 1
                while place + same < len(channel) and same < 127 and channel[place + same] == channel[place]:
                    same += 1
                data += bytes((128 + same, channel[place])) if same > 2 else bytes((1, channel[place]))
                place += same if same > 2 else 1
    return bytes(data)


def file_of(pixels: Rgbe, encode: Callable[[Rgbe], bytes] = runs) -> bytes:
    height, width = pixels.shape[:2]
    return b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\nEXPOSURE=1\n\n-Y %d +X %d\n" % (height, width) + encode(pixels)


def pixels_of(picture: EnvironmentPicture) -> NDArray[np.float64]:
    return np.frombuffer(picture.pixels, "<f2").reshape(picture.height, 2 * picture.height, 3).astype(np.float64)


def grey(height: int = 8, level: float = 0.25) -> Rgbe:
    return rgbe(np.full((height, 2 * height, 3), level))


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], EnvironmentPicture]:
    def environment(content: bytes) -> EnvironmentPicture:
        (tmp_path / "sky.hdr").write_bytes(content)
        return environment_picture(tmp_path / "sky.hdr")

    return environment


Read = Callable[[bytes], EnvironmentPicture]


@given(arrays(np.uint8, (8, 16, 4), elements=st.integers(0, 255) | st.sampled_from((0, 128, 130))))
def test_both_encodings_hold_the_same_light(pixels: Rgbe) -> None:
    pixels[:, :, 3] = np.clip(pixels[:, :, 3], 100, 150)
    pixels[0, 0] = (9, 9, 9, 128)  # A row that begins with 2, 2, 0, 16 says that it is encoded.

    def light(encode: Callable[[Rgbe], bytes]) -> NDArray[np.float32]:
        data = encode(pixels)
        place, rows = 0, []
        for _ in range(8):
            channels, place = hdr._row(data, place, 16)
            rows.append(channels.T)
        assert place == len(data)
        return np.stack(rows)

    assert (light(runs) == pixels).all()
    if not (pixels[:, 0, :2] == 2).all(axis=-1).any():
        assert (light(flat) == pixels).all()


@pytest.mark.parametrize("height", [4, 100, 256, 300, 512])
@pytest.mark.parametrize("level", [0.001, 1.0, 500.0])
def test_a_card_on_the_floor_is_white_whatever_the_files_scale(read: Read, height: int, level: float) -> None:
    pixels = pixels_of(read(file_of(grey(height, level))))
    assert pixels.shape == (ROWS, 2 * ROWS, 3)
    assert np.allclose(pixels, 1, rtol=0.01)


def test_a_large_picture_is_made_small_by_its_mean(read: Read) -> None:
    stripes = np.zeros((512, 1024, 3))
    stripes[:, ::2] = (2.0, 1.0, 0.5)
    pixels = pixels_of(read(file_of(rgbe(stripes), flat)))
    assert np.allclose(pixels, pixels[0, 0], rtol=0.01)
    assert pixels[0, 0] / pixels[0, 0, 1] == pytest.approx((2.0, 1.0, 0.5), rel=0.01)


@pytest.mark.parametrize("rotation", [0.0, 90.0, -45.0])
def test_a_photographed_light_shines_from_where_a_soft_box_in_its_place_does(read: Read, rotation: float) -> None:
    box = SoftBox(azimuth=70, elevation=30, width=24, height=18, feather=2, radiance=(4.0, 4.0, 4.0))
    still = Environment((), (box,), intensity=1.0, rotation=0.0, picture=read(file_of(grey(8, 1e-6))))
    drawn = panorama(still, ROWS) + 0.001
    picture = read(file_of(rgbe(drawn.astype(np.float64))))
    turned = panorama(Environment((), (), intensity=1.0, rotation=rotation, picture=picture), 64)
    towards, solid_angles = panorama_directions(64)
    middle = (towards * (turned[..., 0] * solid_angles)[..., None])[turned[..., 0] > 0.5].sum(axis=0)
    azimuth = np.degrees(np.arctan2(middle[0], middle[2]))
    assert azimuth == pytest.approx(70 - rotation, abs=1.5)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no Radiance picture"),
        (b"\x89PNG\r\n\x1a\n", "is no Radiance picture"),
        (b"#?RADIANCE\nFORMAT=32-bit_rle_xyze\n\n-Y 4 +X 8\n", "holds no 32-bit_rle_rgbe pixels"),
        (file_of(grey()).replace(b"-Y 8 +X 16", b"+X 16 -Y 8"), "does not say its size"),
        (file_of(grey()).replace(b"-Y 8 +X 16", b"-Y 8 +X 8"), "is 8 by 8: a panorama is twice as wide as high"),
        (file_of(grey()).replace(b"-Y 8 +X 16", b"-Y 99999 +X 199998"), "at most 8192 high"),
        (file_of(grey())[:-3], "is truncated"),
        (file_of(grey(), flat)[:-3], "is truncated"),
        (file_of(np.zeros((8, 16, 4), np.uint8)), "is black"),
    ],
)
def test_what_is_no_panorama_is_refused(read: Read, content: bytes, said: str) -> None:
    with pytest.raises(HdrError, match=said):
        read(content)


@given(noise=st.binary(max_size=200), at=st.integers(0, 120))
def test_whatever_a_file_holds_it_is_read_or_refused(
    noise: bytes, at: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = file_of(grey())
    path = tmp_path_factory.getbasetemp() / "noise.hdr"
    path.write_bytes(whole[:at] + noise + whole[at + len(noise) // 2 :])
    try:
        picture = environment_picture(path)
    except HdrError as error:
        assert str(error).startswith(str(path))
    else:
        assert np.isfinite(pixels_of(picture)).all()


def test_a_template_finds_its_file_beside_itself(tmp_path: Path) -> None:
    text = """\
templateId: 6d0a5b8e-4f0f-4d6f-9a56-0c2f6f5a1e77
name: Our Corner
environment: {file: light/sky.hdr, rotation: 30}
backdrop: {sweep: [{at: 0, color: "#ffffff"}]}
bookmarks: [{name: Front View}]
"""
    (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(TemplateError, match=r"own.yaml:3:15: environment.file: .*sky.hdr cannot be read"):
        load_template(tmp_path / "own.yaml")
    (tmp_path / "light").mkdir()
    (tmp_path / "light" / "sky.hdr").write_bytes(file_of(grey()))
    template = load_template(tmp_path / "own.yaml")
    assert template.environment.picture is not None
    assert panorama(template.environment, 64) == pytest.approx(1, rel=0.01)
    assert len(repr(template)) < 5000, "no log shows its pixels"
