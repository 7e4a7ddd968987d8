"""A workshop whose pictures can be looked at: a still and a short video for each render job, when a test says so."""

from __future__ import annotations

import threading

import anyio.to_thread
from PIL import Image
from studio_client import DelayWorkshop

from glossi_sync.studio.engines import RenderedFile, RenderRequest
from glossi_sync.studio.tasks import KeptFile, RenderTask


class PictureWorkshop(DelayWorkshop):
    """Renders as long as ``open`` is set; a job that has begun waits for it."""

    def __init__(self) -> None:
        super().__init__(capacity=1)
        self.open = threading.Event()
        self.open.set()

    async def render(self, task: RenderTask) -> tuple[KeptFile, ...]:
        await anyio.to_thread.run_sync(self.open.wait, 30)
        return task.carry_out(_draw)


def _draw(request: RenderRequest) -> tuple[RenderedFile, ...]:
    stills = ("Front View - Default", "Top View - Default") if request.settings.render_bookmarks else ()
    for number, _ in enumerate(stills):
        Image.new("RGB", (1280, 720), (60 * number + 40, 90, 160)).save(request.folder / f"{number}.png")
    files = [RenderedFile(name, f"{number}.png", "PNG", False) for number, name in enumerate(stills)]
    if request.settings.render_shots:
        _film(str(request.folder / "spin.mp4"))
        files.append(RenderedFile("360 Spin - Default", "spin.mp4", "MP4", True))
    return tuple(files)


def _film(path: str) -> None:
    import av

    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for number in range(48):
            frame = av.VideoFrame.from_image(Image.new("RGB", (320, 180), (number * 5, 90, 160)))
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
