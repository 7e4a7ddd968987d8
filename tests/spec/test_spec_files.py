"""Model files: a bad one is refused before anything is asked of the service, a good one is hashed once."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glossi_sync.spec import HashedFile, Spec, SpecError, hash_models, hashing, read_spec
from glossi_sync.spec.files import file_problem

SHARED = Path(os.environ.get("GLOSSI_TEST_MODELS") or Path(__file__).parents[3] / "shared" / "data" / "glb")
LONG_AGO = 1_600_000_000


def glb(payload: bytes = b"{}  ", *, version: int = 2, extra: int = 0, kind: bytes = b"JSON") -> bytes:
    """A GLB with one chunk; ``extra`` is added to the length that its header declares."""
    chunk = struct.pack("<I4s", len(payload), kind) + payload
    return struct.pack("<4sII", b"glTF", version, 12 + len(chunk) + extra) + chunk


def spec_of(folder: Path, files: dict[str, str]) -> Spec:
    """A spec of models by key, and of nothing else; its files are not looked at."""
    models = {key: {"file": file} for key, file in files.items()}
    path = folder / "glossi.yaml"
    path.write_text(json.dumps({"version": 1, "workspace": "shop", "models": models}))
    return read_spec(path, env={}, files=False)


def put(folder: Path, name: str, content: bytes, modified: int = LONG_AGO) -> Path:
    """A file that was modified long ago."""
    path = folder / name
    path.write_bytes(content)
    os.utime(path, (modified, modified))
    return path


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "lamp.glb is empty (0 bytes)"),
        (b"hello", "lamp.glb is not a GLB file: it does not start with 'glTF'"),
        (b'\n {"asset": {"version": "2.0"}}', "lamp.glb is glTF as text, not GLB: give it the suffix .gltf, or fileType: gltf"),
        (b"PK\3\4" + b"x" * 40, "lamp.glb is a ZIP archive, not GLB; is it USDZ? Then give it the suffix .usdz"),
        (b"glTF\2\0", "lamp.glb is cut short: 6 bytes do not hold even a GLB's header of 20"),
        (glb(version=1), "lamp.glb is glTF version 1; the service takes GLB of version 2"),
        (glb(extra=1000), "lamp.glb is cut short: its header declares 1,024 bytes, it has 24 (1,000 are missing)"),
        (glb() + b"x" * 3, "lamp.glb has 27 bytes where its header declares 24 (3 follow its end)"),
        (glb(kind=b"BIN\0"), "lamp.glb is a broken GLB file: its first chunk is not JSON"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
            "lamp.glb is a Git LFS pointer, not the model itself: run 'git lfs pull'",
        ),
    ],
)  # fmt: skip
def test_a_file_that_is_no_whole_glb_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    spec = spec_of(tmp_path, {"lamp": "lamp.glb"})
    put(tmp_path, "lamp.glb", content)
    for look in (lambda: read_spec(spec.sources[0], env={}), lambda: hash_models(spec, {})):
        with pytest.raises(SpecError) as caught:
            look()
        (problem,) = caught.value.problems
        assert problem.message == said
        assert problem.line == 1
        assert spec.sources[0].read_text()[problem.column - 1 :].startswith('"lamp.glb"')


@given(st.binary(min_size=4, max_size=200), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_cut_of_a_glb_is_refused_and_the_whole_is_not(
    tmp_path: Path, payload: bytes, data: st.DataObject
) -> None:
    whole = glb(payload)
    path = put(tmp_path, "lamp.glb", whole)
    assert file_problem(str(path), "lamp.glb", "glb") is None
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    assert file_problem(str(path), "lamp.glb", "glb") is not None


def test_what_is_no_file_is_refused_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    put(tmp_path, "models/lamp.obj", b"o")
    os.mkfifo(tmp_path / "pipe.obj")
    (tmp_path / "link.obj").symlink_to("nowhere")
    (tmp_path / "huge.obj").touch()
    os.truncate(tmp_path / "huge.obj", 2**30 + 1)
    reasons = {
        "models": "models is a folder, not a file",
        "pipe.obj": "pipe.obj is not a regular file",
        "models/lapm.obj": "there is no file models/lapm.obj; did you mean 'lamp.obj'?",
        "modls/lamp.obj": "there is no file modls/lamp.obj, nor its folder",
        "models/lamp.obj/x.obj": "there is no file models/lamp.obj/x.obj, nor its folder",
        "link.obj": "there is no file link.obj",
        "huge.obj": "huge.obj has 1,073,741,825 bytes; the service takes files of up to 1,073,741,824 (1 GB)",
    }
    for written, reason in reasons.items():
        told = file_problem(str(tmp_path / written), written, "obj")
        assert told is not None
        assert told.startswith(reason)


def test_all_bad_files_are_told_at_once_by_whoever_looks_first(tmp_path: Path) -> None:
    put(tmp_path, "good.glb", glb())
    put(tmp_path, "bad.glb", glb(extra=1))
    spec = spec_of(tmp_path, {"a": "none.obj", "b": "good.glb", "c": "bad.glb", "d": "none.obj"})
    for look in (lambda: read_spec(spec.sources[0], env={}), lambda: hash_models(spec, {})):
        with pytest.raises(SpecError) as caught:
            look()
        assert [problem.message.split()[-1] for problem in caught.value.problems] == [
            "none.obj",
            "missing)",
            "none.obj",
        ]


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no models at {SHARED}")
def test_real_models_are_accepted() -> None:
    models = sorted(SHARED.glob("*.glb"))
    assert models
    for path in models:
        assert file_problem(str(path), path.name, "glb") is None


def test_hashes_are_the_files_own_in_the_specs_order(tmp_path: Path) -> None:
    contents = {f"m{number}.obj": os.urandom(number * 700_000) for number in (3, 1, 2)}
    for name, content in contents.items():
        put(tmp_path, name, content)
    spec = spec_of(tmp_path, {name: name for name in contents})
    hashed = hash_models(spec, {}, threads=3)
    assert [(key, model.sha256, model.size) for key, model in hashed.models.items()] == [
        (name, hashlib.sha256(content).hexdigest(), len(content)) for name, content in contents.items()
    ]
    assert list(hashed.fresh) == [str(tmp_path / name) for name in contents]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that hashing has opened."""
    paths: list[str] = []

    def opening(path: str, *args: Any, **options: Any) -> Any:
        paths.append(path)
        return open(path, *args, **options)

    monkeypatch.setattr(hashing, "open", opening, raising=False)
    return paths


def test_a_file_that_is_named_twice_is_hashed_once(tmp_path: Path, opened: list[str]) -> None:
    put(tmp_path, "lamp.glb", glb())
    models = hash_models(spec_of(tmp_path, {"a": "lamp.glb", "b": "./lamp.glb"}), {}).models
    assert models["a"].sha256 == models["b"].sha256
    assert len(opened) == 1


def test_a_file_that_has_not_changed_is_not_opened(tmp_path: Path, opened: list[str]) -> None:
    put(tmp_path, "lamp.glb", glb())
    spec = spec_of(tmp_path, {"a": "lamp.glb"})
    first = hash_models(spec, {})
    opened.clear()
    second = hash_models(spec, first.fresh)
    assert (second.models, second.fresh, opened) == (first.models, {}, [])


def _rewritten(path: Path) -> None:
    path.write_bytes(glb(b"[]  "))
    os.utime(path, (LONG_AGO, LONG_AGO + 1))


def _grown(path: Path) -> None:
    path.write_bytes(glb(b"[ ]     "))
    os.utime(path, (LONG_AGO, LONG_AGO))


def _replaced(path: Path) -> None:
    """Another file of the same size and time takes the name, as ``mv`` and ``rsync -t`` do it."""
    path.rename(path.with_suffix(".old"))
    path.write_bytes(glb(b"[]  "))
    os.utime(path, (LONG_AGO, LONG_AGO))


@pytest.mark.parametrize("change", [_rewritten, _grown, _replaced])
def test_a_file_that_has_changed_in_any_way_is_hashed_again(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path = put(tmp_path, "lamp.glb", glb())
    spec = spec_of(tmp_path, {"a": "lamp.glb"})
    first = hash_models(spec, {})
    change(path)
    second = hash_models(spec, first.fresh)
    assert second.models["a"].sha256 == hashlib.sha256(path.read_bytes()).hexdigest() != first.models["a"].sha256
    assert list(second.fresh) == [str(path)]


def test_a_stamp_made_within_the_clocks_tick_is_not_trusted(tmp_path: Path) -> None:
    """Racily clean: written again after it was hashed, in the same tick, a file looks as it did before."""
    path = put(tmp_path, "lamp.glb", glb())
    status = path.stat()
    spec = spec_of(tmp_path, {"a": "lamp.glb"})
    for later_ns, trusted in ((0, False), (hashing.RACY_NS, False), (hashing.RACY_NS + 1, True)):
        stamp = HashedFile(status.st_size, status.st_mtime_ns, status.st_ino, "0" * 64, status.st_mtime_ns + later_ns)
        assert (hash_models(spec, {str(path): stamp}).models["a"].sha256 == "0" * 64) is trusted


class _Growing:
    """A file to which somebody still writes, a few times or for ever."""

    def __init__(self, path: Path, times: int) -> None:
        self.path, self.times = path, times

    def __call__(self, path: str, *args: Any, **options: Any) -> Any:
        file = open(path, *args, **options)
        if self.times:
            self.times -= 1
            # Between fstat and the last read, as far as one thread can be between: on the first look at its status.
            os.utime(self.path, ns=(0, self.path.stat().st_mtime_ns))
            whole = file.readinto

            class Changing:
                fileno = staticmethod(file.fileno)

                def __enter__(inner) -> Any:
                    return inner

                def __exit__(inner, *_: object) -> None:
                    file.close()

                def readinto(inner, buffer: bytearray) -> int:
                    with open(self.path, "ab") as other:
                        other.write(b"v 0 0 0\n")
                    return whole(buffer) or 0

            return Changing()
        return file


def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, "lamp.obj", b"o lamp\n")
    spec = spec_of(tmp_path, {"a": "lamp.obj"})
    monkeypatch.setattr(hashing, "open", _Growing(path, 1), raising=False)
    assert hash_models(spec, {}).models["a"].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_that_keeps_changing_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path, "lamp.obj", b"o lamp\n")
    spec = spec_of(tmp_path, {"a": "lamp.obj"})
    monkeypatch.setattr(hashing, "open", _Growing(path, 99), raising=False)
    with pytest.raises(SpecError, match=r"lamp\.obj keeps changing while it is read"):
        hash_models(spec, {})


def test_progress_ends_at_all_bytes(tmp_path: Path) -> None:
    for number in range(5):
        put(tmp_path, f"{number}.obj", b"x" * 300_000)
    told: list[tuple[int, int]] = []
    hash_models(spec_of(tmp_path, {f"m{n}": f"{n}.obj" for n in range(5)}), {}, progress=lambda *at: told.append(at))
    assert told[-1] == (1_500_000, 1_500_000)
    assert told == sorted(told)


def test_a_failure_of_the_one_who_watches_stops_hashing_and_is_not_hidden(tmp_path: Path) -> None:
    put(tmp_path, "a.obj", b"x")

    def interrupted(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hash_models(spec_of(tmp_path, {"a": "a.obj"}), {}, progress=interrupted)


def test_a_spec_without_models_hashes_nothing(tmp_path: Path) -> None:
    assert hash_models(spec_of(tmp_path, {}), {}).models == {}
