"""Mistakes and misfortunes: each is one clear sentence, ends with the contract's exit code, and loses nothing."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from counting_studio import Elsewhere, Studio, running_studio
from shop import SCRIPT, Running, Shop
from ten_mistakes import TEN_MISTAKES


def test_ten_mistakes_in_a_spec_are_told_at_their_ten_places_at_once(new_shop: Callable[..., Shop]) -> None:
    shop = new_shop("mistaken")
    (shop.folder / "glossi.yaml").write_text(TEN_MISTAKES, encoding="utf-8")
    places = [(3, 8), (6, 5), (7, 11), (9, 11), (11, 3), (13, 23), (16, 14), (17, 15), (18, 20), (21, 12)]
    for command in (("validate",), ("plan",), ("apply", "--yes")):
        ran = shop.run(*command, code=1)
        assert ran.out == ""
        lines = ran.err.splitlines()
        assert [line.split(": ")[0] for line in lines] == [f"glossi.yaml:{line}:{column}" for line, column in places]
        assert "did you mean 'lamp'?" in lines[6]
    assert not (shop.folder / "state").exists()


def test_a_truncated_model_is_refused_before_anything_is_asked(new_shop: Callable[..., Shop], studio: Studio) -> None:
    shop = new_shop("truncated")
    shop.model("lamp", "lamp")
    shop.save()
    good = shop.run("validate").out
    assert good == "glossi.yaml: 1 model, 0 projects, 0 groups of render settings: good.\n"
    lamp = shop.folder / "models/lamp.glb"
    lamp.write_bytes(lamp.read_bytes()[:-9])
    arrived, reads = studio.arrived(), studio.reads()
    for command in (("validate",), ("plan",), ("apply", "--yes")):
        sentence = shop.run(*command, code=1).sentence
        assert re.fullmatch(r"glossi\.yaml:\d+:11: models/lamp\.glb .*\d+ bytes.*", sentence), sentence
    lamp.unlink()
    assert "there is no file models/lamp.glb" in shop.run("validate", code=1).sentence
    assert (studio.arrived(), studio.reads()) == (arrived, reads)


def test_a_wrong_key_is_one_sentence_and_loses_nothing(made: Shop) -> None:
    del made.spec["projects"]["room"]
    made.save()
    wrong = "glsi_wrong_0123456789"
    made.secrets.add(wrong)
    before = made.studio.arrived(), made.state.read_bytes()
    for command in (("plan",), ("apply", "--yes"), ("status",), ("templates",), ("apply", "--yes", "-v")):
        ran = made.run(*command, code=1, GLOSSI_API_KEY=wrong)
        [sentence] = [line for line in ran.err.splitlines() if not line.endswith(" ms")]
        assert "answered 401 Unauthorized" in sentence and "Check GLOSSI_API_KEY" in sentence
        assert ran.out == ""
    without = made.run("plan", code=1, GLOSSI_API_KEY="")
    assert re.search(r"GLOSSI_API_KEY|apiKey", without.sentence)
    assert made.studio.arrived() == before[0]
    assert made.applied().actions() == {"project.room": "forget"}


def test_an_endpoint_that_nobody_answers_is_one_sentence_and_the_next_apply_goes_on(
    new_shop: Callable[..., Shop], elsewhere: Elsewhere | None, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    shop = new_shop("alone")
    shop.spec["service"]["endpoint"] = f"http://127.0.0.1:{port}/api/v1"
    shop.model("lamp", "lamp")
    shop.spec |= {"templates": {"light": {"name": "Studio Light"}}}
    shop.spec["projects"] = {"lamp": {"models": ["lamp"], "template": "light"}}
    shop.save()
    sentence = shop.run("apply", "--yes", code=1).sentence
    assert f"nothing listens at 127.0.0.1 port {port}" in sentence and "Nothing was sent" in sentence
    assert shop.run("state", "list").code == 0
    with running_studio(tmp_path / "studio", port=port, elsewhere=elsewhere) as own:
        shop.studio = own
        assert shop.applied().summary["converged"]
    # Another service than the one that the state is of: its ids would mean nothing there.
    refused = shop.run("plan", "--endpoint", "http://127.0.0.1:9/api/v1", "--state", str(shop.state), code=1).sentence
    assert "belongs to the service" in refused


@contextmanager
def small_disk(shop: Shop, kind: str) -> Iterator[Callable[..., Running]]:
    """What is yielded starts the console script where the state has only a little room to grow."""
    place = shop.folder / "state"
    if kind == "limit":
        resource = pytest.importorskip("resource")
        if not hasattr(resource, "prlimit"):
            pytest.skip("no limits for other processes here")

        def start_limited(*arguments: str) -> Running:
            running = shop.start(*arguments)
            most = shop.state.stat().st_size + 16_384
            resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (most, most))
            return running

        yield start_limited
        return
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    mounted = subprocess.run(mount, check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no tmpfs here: {mounted.stderr.strip()}")

    def start_confined(*arguments: str) -> Running:
        # SQLite's shared memory takes 32 kB of it.
        most = shop.state.stat().st_size + 98_304
        subprocess.run(["mount", "-o", f"remount,size={most}", place], check=True)
        return shop.start(*arguments)

    try:
        yield start_confined
    finally:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.skipif(os.name != "posix", reason="needs a disk that can be made small")
@pytest.mark.parametrize("kind", ["limit", "tmpfs"])
def test_a_full_disk_under_the_state_is_one_sentence_and_loses_nothing(
    new_shop: Callable[..., Shop], studio: Studio, kind: str
) -> None:
    shop = new_shop("full")
    ready = "SELECT count(*) FROM models WHERE status = 'READY'"
    [(had,)] = studio.rows(ready)
    with small_disk(shop, kind) as start:
        shop.save()
        shop.run("apply", "--yes")
        for number in range(6):
            shop.model(f"lamp{number}", f"lamp {number}")
        shop.save()
        before = studio.arrived()
        sentence = shop.finish(start("apply", "--yes", "--uploads", "1"), code=1).err.splitlines()[-1]
        assert re.match(r"the state .*\.db cannot be written: the disk (is full|refused)", sentence), sentence
        assert sentence.endswith("run again (everything written before is kept)")
        assert studio.arrived() != before, "the disk was to become full in the middle"
        shop.run("state", "list")
        if kind == "tmpfs":
            subprocess.run(["mount", "-o", "remount,size=8m", shop.folder / "state"], check=True)
        assert shop.applied().summary["converged"]
        assert studio.rows(ready) == [(had + 6,)], "every file was taken once"
        assert shop.settled()


def test_without_a_terminal_and_without_yes_nothing_is_done(made: Shop) -> None:
    del made.spec["projects"]["room"]
    made.save()
    reads = made.studio.reads()
    assert "run `apply --yes`" in made.run("apply", code=1).sentence
    assert made.studio.reads() == reads
    assert made.plan()["summary"]["forget"] == 1


def test_on_a_terminal_the_plan_is_shown_and_no_means_no(made: Shop) -> None:
    pty = pytest.importorskip("pty")
    del made.spec["projects"]["room"]
    made.save()
    for answer, code, said in (("n\n", 1, "Nothing was changed."), ("", 130, "Interrupted."), ("y\n", 0, "")):
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            [SCRIPT, "apply"],
            cwd=made.folder,
            env=made.environment(TERM="dumb"),
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
        ) as process:
            asked = b""
            while b"[y/N]" not in asked:
                asked += os.read(ours, 1000)
            os.write(ours, answer.encode())
            while code == 130 and process.poll() is None:
                # Again, in case that the first one came just before the program began to read.
                process.send_signal(signal.SIGINT)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(1)
            assert process.stdout is not None
            shown = process.stdout.read().decode()
            assert process.wait(30) == code
        os.close(theirs)
        with suppress(OSError):  # the end of a terminal is an error on Linux
            while more := os.read(ours, 1000):
                asked += more
        os.close(ours)
        assert "Apply this plan?" in asked.decode() and said in asked.decode()
        assert "project.room" in shown and "Plan: 1 to forget" in shown
        assert made.plan()["summary"]["forget"] == (code != 0)
