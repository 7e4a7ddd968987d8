"""Videos: codec, container, size and length by videoQuality; the same frames make the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from glossi_sync.studio.engines.video import CODECS, Codec, VideoWriter

SIZE = (320, 180)


def frame(index: int) -> np.ndarray:
    """A red bar that wanders over a grey gradient."""
    picture = np.repeat(np.linspace(40, 200, SIZE[0], dtype=np.uint8)[None, :, None], SIZE[1], axis=0).repeat(3, axis=2)
    picture[60:120, index * 30 : index * 30 + 30] = (220, 30, 30)
    return picture


def write_video(
    path: Path, codec: Codec, size: tuple[int, int], draw: Callable[[int], np.ndarray], frames: int
) -> None:
    with VideoWriter(path, codec, *size, 24) as video:
        for index in range(frames):
            video.add(draw(index))


@pytest.mark.parametrize(
    ("quality", "codec", "pixels", "suffix", "file_type"),
    [
        (0, "h264", "yuv420p", "mp4", "MP4"),
        (1, "h264", "yuv420p", "mp4", "MP4"),
        (2, "prores", "yuv422p10le", "mov", "PRORES"),
    ],
)
def test_a_video_by_its_quality(
    tmp_path: Path, quality: int, codec: str, pixels: str, suffix: str, file_type: str
) -> None:
    kind = CODECS[quality]
    assert (kind.suffix, kind.file_type) == (suffix, file_type)
    path = tmp_path / f"a.{suffix}"
    write_video(path, kind, SIZE, frame, frames=6)
    with av.open(str(path)) as container:
        (stream,) = container.streams
        assert stream.type == "video"
        context = stream.codec_context
        assert (context.name, context.pix_fmt, (context.width, context.height)) == (codec, pixels, SIZE)
        assert (context.color_range, context.colorspace) == (1, 1), (
            "studio range, BT.709: players show the right colours"
        )
        assert stream.average_rate == 24
        shown = [picture.to_ndarray(format="rgb24") for picture in container.decode(stream)]
    assert len(shown) == 6
    for index, picture in enumerate(shown):
        assert np.abs(picture.astype(int) - frame(index)).mean() < 4


@pytest.mark.parametrize("quality", [0, 1, 2])
@pytest.mark.parametrize("size", [SIZE, (192, 108), (160, 90)])
def test_the_same_frames_make_the_same_bytes(tmp_path: Path, quality: int, size: tuple[int, int]) -> None:
    kind = CODECS[quality]
    path = tmp_path / f"a.{kind.suffix}"
    contents = set()
    for _ in range(6):
        write_video(path, kind, size, lambda i: frame(i)[: size[1], : size[0]], frames=5)
        contents.add(path.read_bytes())
    assert len(contents) == 1


def test_an_mp4_starts_to_play_before_it_has_been_read_whole(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", CODECS[0], SIZE, frame, frames=5)
    content = (tmp_path / "a.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_what_fails_while_drawing_is_told_as_it_is(tmp_path: Path) -> None:
    def draw(index: int) -> np.ndarray:
        if index == 2:
            raise ZeroDivisionError("no third frame")
        return frame(index)

    with pytest.raises(ZeroDivisionError, match="no third frame"):
        write_video(tmp_path / "a.mp4", CODECS[0], SIZE, draw, frames=5)
