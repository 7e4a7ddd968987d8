"""Frames to a video file: H.264 in MP4, or ProRes 422 HQ in QuickTime. Knows pixels and containers, no scene."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

_BT709 = 1
"""The code point of ITU-R BT.709 for primaries, transfer and matrix alike (ITU-T H.273)."""


@dataclass(frozen=True, slots=True)
class Codec:
    """How a video of one quality is written."""

    encoder: str
    pixel_format: str
    suffix: str
    file_type: str
    options: tuple[tuple[str, str], ...]


# Of some widths, x264's macroblock tree makes other bytes each time (it reads beyond its rows).
_ALIKE = ("x264-params", "no-mbtree=1")

CODECS: tuple[Codec, ...] = (
    Codec("libx264", "yuv420p", "mp4", "MP4", (("preset", "veryfast"), ("crf", "21"), _ALIKE)),
    Codec("libx264", "yuv420p", "mp4", "MP4", (("preset", "faster"), ("crf", "18"), _ALIKE)),
    Codec("prores_ks", "yuv422p10le", "mov", "PRORES", (("profile", "3"), ("vendor", "apl0"))),
)
"""By videoQuality (guide, "Render Settings Explained"): 0 fastest, 1 balanced, 2 best (ProRes)."""


class VideoWriter:
    """A video file being written; a context manager. The same frames give the same bytes."""

    def __init__(self, path: Path, codec: Codec, width: int, height: int, frames_per_second: int) -> None:
        options = {"movflags": "+faststart"}
        self._container = av.open(str(path), "w", format="mov" if codec.suffix == "mov" else "mp4", options=options)
        self._format = codec.pixel_format
        # The encoder's own default follows the number of cores, and the bytes would follow it too.
        stream: Any = self._container.add_stream(codec.encoder, rate=frames_per_second, options=dict(codec.options))
        stream.width, stream.height, stream.pix_fmt = width, height, codec.pixel_format
        context = stream.codec_context
        context.thread_count = 2
        context.time_base = Fraction(1, frames_per_second)
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = ColorRange.MPEG
        self._stream = stream
        self._reformatter = VideoReformatter()
        self._count = 0

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()

    def add(self, picture: NDArray[np.uint8]) -> None:
        """Append one frame (height, width, 3), sRGB."""
        converted = self._converted(picture)
        converted.pts = self._count
        converted.time_base = self._stream.codec_context.time_base
        self._count += 1
        self._container.mux(self._stream.encode(converted))

    def _converted(self, picture: NDArray[np.uint8]) -> av.VideoFrame:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        return self._reformatter.reformat(
            frame,
            format=self._format,
            src_colorspace=Colorspace.ITU709,
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
        )
