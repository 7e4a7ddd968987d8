"""Uploads: 200 files of 20 MB to a server on this machine, beside as many ``curl`` at a time on the same files.

    python benchmarks/uploads.py --files 200

Ours are ``Glossi.upload``, the very coroutine that an apply uploads with, in a process of its own; it proves each
file's SHA-256 on the way. ``curl -T`` does not, so it is run once more with ``sha256sum -c`` before each file, as a
script must that is to send what was planned and nothing else. (The guide's ``--data-binary`` is slower: it reads the
file into memory first.) The server takes the bytes from the kernel without looking at them (MSG_TRUNC), in a process
of its own with a thread for each connection, so that it costs little beside any client. Memory is told for a tenth of
the files, too.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from catalogue import write_catalogue
from measuring import Ran, load, run

from glossi_sync.service import Glossi
from glossi_sync.spec import Spec, hash_models, read_spec

FILE_BYTES = 20_000_000
AT_A_TIME = 16
TAKEN_AT_ONCE = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--upload", nargs=3, metavar=("SPEC", "URL", "FILES"), help=argparse.SUPPRESS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        _serve()
        return
    if given.upload:
        print(asyncio.run(_upload(Path(given.upload[0]), given.upload[1], int(given.upload[2]))))
        return
    if shutil.which("curl") is None or shutil.which("xargs") is None:
        sys.exit("curl and xargs are not installed")
    with tempfile.TemporaryDirectory(prefix="glossi-bench-") as folder, _server() as url:
        spec = write_catalogue(Path(folder), given.files, size=FILE_BYTES)
        digests = {path: one.sha256 for path, one in hash_models(_read(spec), {}).fresh.items()}
        listed = Path(folder) / "files"
        listed.write_text("\n".join(digests) + "\n", encoding="utf-8")
        for file, digest in digests.items():
            Path(f"{file}.sum").write_text(f"{digest}  {file}\n", encoding="utf-8")
        few = _ours(spec, url, max(1, given.files // 10))
        rounds = [
            (_ours(spec, url, given.files), _curl(listed, url), _curl(listed, url, proven=True))
            for _ in range(given.times)
        ]
    sent = given.files * FILE_BYTES / 1e6
    ours = statistics.median(sent / float(one.output) for one, _, _ in rounds)
    curl = statistics.median(sent / plain.seconds for _, plain, _ in rounds)
    proof = statistics.median(sent / proven.seconds for _, _, proven in rounds)
    peak = max(one.peak for one, _, _ in rounds)
    print(
        f"uploads: {given.files} files of {FILE_BYTES / 1e6:.0f} MB, {AT_A_TIME} at a time: {ours:.0f} MB/s, "
        f"{ours / curl:.2f} of curl's {curl:.0f}, {ours / proof:.2f} of curl's with sha256sum {proof:.0f}; "
        f"{peak / 1e6:.0f} MB of memory ({few.peak / 1e6:.0f} MB for a tenth of the files); {load()}"
    )


def _ours(spec: Path, url: str, files: int) -> Ran:
    return run([sys.executable, __file__, "--upload", str(spec), url, str(files)]).good()


def _curl(listed: Path, url: str, *, proven: bool = False) -> Ran:
    """All files by curl; ``proven`` by a sum that lies beside each."""
    curl = f"curl -sS -f -H 'Content-Type: model/gltf-binary' -T {{}} {url}/upload"
    command = f"sha256sum --status -c {{}}.sum && {curl}" if proven else curl
    return run(["xargs", "-a", str(listed), "-P", str(AT_A_TIME), "-I", "{}", "sh", "-c", command]).good()


async def _upload(spec_path: Path, url: str, files: int) -> float:
    """Upload so many of the spec's files; the seconds that it took."""
    spec = _read(spec_path)
    models = list(hash_models(spec, {}).models.items())[:files]
    slots = asyncio.Semaphore(AT_A_TIME)
    async with Glossi(f"{url}/api/v1", "benchmark") as service:

        async def send(key: str, size: int, sha256: str) -> None:
            async with slots:
                path = spec.folder / "models" / f"{key}.glb"
                await service.upload(f"{url}/upload", path, file_type="glb", size=size, sha256=sha256)

        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for key, model in models:
                group.create_task(send(key, model.size, model.sha256))
        return time.perf_counter() - began


def _read(spec_path: Path) -> Spec:
    return read_spec(spec_path, env={}, endpoint="local")


@contextmanager
def _server() -> Iterator[str]:
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def _serve() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    """Take uploads from one connection, one after the other, until it is closed."""
    with connection:
        received = b""
        while True:
            while b"\r\n\r\n" not in received:
                piece = connection.recv(65536)
                if not piece:
                    return
                received += piece
            head, _, received = received.partition(b"\r\n\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
            left = int(fields[b"content-length"]) - len(received)
            received = b""
            if b"expect" in fields:
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            while left > 0:
                taken = connection.recv_into(_NOWHERE, min(left, TAKEN_AT_ONCE), socket.MSG_TRUNC)
                if taken == 0:
                    return
                left -= taken
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


_NOWHERE = bytearray(TAKEN_AT_ONCE)
"""What recv_into asks for; with MSG_TRUNC nothing is written to it."""


if __name__ == "__main__":
    main()
