"""The watch's loop: one run at a time, one more for whatever comes meanwhile, ever later while runs fail."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glossi_sync.watching import Backoff, Came, Outcome, Stillness, Triggers, watch
from glossi_sync.watching.folders import FolderWatch, roots_of


class Script:
    """A run that comes out as the script says, and stops the watch at its end; pauses are told, not waited for."""

    def __init__(self, *outcomes: Outcome | Came, during: Callable[[int], None] = lambda number: None) -> None:
        self.outcomes = [one if isinstance(one, Outcome) else Outcome(one) for one in outcomes]
        self.during = during
        self.reasons: list[tuple[str, ...]] = []
        self.pauses: list[float | None] = []
        self.triggers = Triggers()
        wait, rest = self.triggers.wait, self.triggers.rest
        self.triggers.wait = lambda seconds: self._pause(seconds) or wait(0)  # type: ignore[method-assign]
        self.triggers.rest = lambda seconds: self._pause(seconds) or rest(0)  # type: ignore[method-assign]

    def _pause(self, seconds: float | None) -> None:
        self.pauses.append(seconds)

    def __call__(self, reasons: tuple[str, ...]) -> Outcome:
        self.reasons.append(reasons)
        self.during(len(self.reasons))
        if len(self.reasons) == len(self.outcomes):
            self.triggers.stop()
        return self.outcomes[len(self.reasons) - 1]

    def play(self, every: float | None = 600, answered: Callable[[str], bool] = lambda reason: False) -> None:
        watch(self, self.triggers, Backoff(5, 300), every=every, answered=answered)


def test_whatever_comes_during_a_run_causes_exactly_one_more() -> None:
    def during(number: int) -> None:
        if number == 1:
            for _ in range(100):
                script.triggers.pull("changed files")
            script.triggers.pull("a webhook event")

    script = Script(*[Came.CONVERGED] * 3, during=during)
    script.triggers.pull("the start")
    script.play()
    assert script.reasons == [("the start",), ("changed files", "a webhook event"), ("the timer",)]


def test_events_that_a_converged_run_has_answered_cause_none() -> None:
    script = Script(Came.CONVERGED, Came.PARTLY, Came.CONVERGED, during=lambda _: script.triggers.pull("event"))
    script.play(answered=lambda reason: reason == "event")
    assert script.reasons == [("the timer",), ("the timer",), ("event",)]


def test_runs_that_fail_come_ever_later_and_one_that_succeeds_ends_that() -> None:
    failed, good = Came.FAILED, Came.CONVERGED
    script = Script(*[failed] * 9, good, Came.PARTLY, failed, good)
    script.play()
    assert script.pauses == [600, 5, 10, 20, 40, 80, 160, 300, 300, 300, 600, 5, 10]


def test_a_short_timer_goes_before_a_long_backoff_and_without_a_timer_only_reasons_count() -> None:
    script = Script(*[Came.FAILED] * 4)
    script.play(every=12)
    assert script.pauses == [12, 5, 10, 12]
    script = Script(Came.CONVERGED, Came.BAD_SPEC, Came.FAILED, Came.SETTLED)
    script.play(every=None)
    assert script.pauses == [None, None, None, 5]


def test_a_bad_spec_waits_for_a_change() -> None:
    script = Script(Came.BAD_SPEC, Came.BAD_SPEC, Came.CONVERGED)
    script.play()
    assert script.pauses == [600, 600, 600]


def test_a_file_that_is_being_written_is_waited_for_and_the_reasons_are_kept() -> None:
    restless = Outcome(Came.NOT_STILL, 2.0)
    script = Script(restless, restless, Came.CONVERGED, during=lambda n: script.triggers.pull(f"file {n}"))
    script.triggers.pull("the start")
    script.play()
    assert script.reasons == [("the start",), ("the start", "file 1"), ("the start", "file 1", "file 2")]
    assert script.pauses == [600, 2.0, 0, 2.0, 0]


def test_a_stopped_run_ends_the_watch() -> None:
    script = Script(Came.STOPPED, Came.CONVERGED)
    script.play()
    assert len(script.reasons) == 1


def test_a_stop_ends_a_wait_at_once() -> None:
    triggers = Triggers()
    watching = threading.Thread(
        target=watch, args=(lambda _: Outcome(Came.CONVERGED), triggers, Backoff()), kwargs={"every": None}
    )
    watching.start()
    triggers.stop()
    watching.join(10)
    assert not watching.is_alive()


@given(st.lists(st.booleans(), max_size=2000))
def test_a_backoff_is_never_beyond_its_bound_and_never_shrinks_while_runs_fail(failures: list[bool]) -> None:
    backoff = Backoff(5, 300)
    former = 0.0
    for failed in failures:
        if failed:
            seconds = backoff.failed()
            assert max(5, former) <= seconds <= 300
            former = seconds
        else:
            backoff.succeeded()
            former = 0.0


# --- stillness -------------------------------------------------------------------------------------------------------


def test_a_file_is_still_when_two_looks_that_far_apart_see_the_same(tmp_path: Path) -> None:
    model, old = tmp_path / "lamp.glb", tmp_path / "old.glb"
    old.write_bytes(b"old")
    os.utime(old, (1000, 1000))
    stillness = Stillness(2.0)
    now = 5000.0

    def write(size: int) -> None:
        model.write_bytes(b"x" * size)
        os.utime(model, (now, now))

    assert stillness.restless([str(old), str(tmp_path / "gone.glb")], now) is None
    write(10)
    paths = [str(old), str(model)]
    assert stillness.restless(paths, now) == str(model)
    now += 1
    assert stillness.restless(paths, now) == str(model), "seen twice, but too soon"
    write(20)
    now += 1
    assert stillness.restless(paths, now) == str(model), "it has grown"
    now += 2
    assert stillness.restless(paths, now) is None


def test_a_clock_that_goes_ahead_delays_and_does_not_stop_it(tmp_path: Path) -> None:
    """A file's time may come from a server whose clock is hours ahead."""
    model = tmp_path / "lamp.glb"
    model.write_bytes(b"x")
    os.utime(model, (90_000, 90_000))
    stillness = Stillness(2.0)
    assert stillness.restless([str(model)], 5000) == str(model)
    assert stillness.restless([str(model)], 5002) is None


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.9, 2.0, 7.0]), st.booleans()), min_size=1, max_size=20))
def test_nothing_is_taken_for_still_that_was_written_less_than_that_ago(
    tmp_path_factory: pytest.TempPathFactory, looks: list[tuple[float, bool]]
) -> None:
    model = tmp_path_factory.mktemp("still") / "lamp.glb"
    stillness, now, written, size = Stillness(2.0), 5000.0, 0.0, 0
    for seconds, writes in looks:
        now += seconds
        if writes or not size:
            size += 1
            written = now
            model.write_bytes(b"x" * size)
            os.utime(model, (now, now))
        if stillness.restless([str(model)], now) is None:
            assert now - written >= 2.0


# --- folders ---------------------------------------------------------------------------------------------------------


def test_changes_are_noticed_but_not_what_runs_write_nor_hidden_files(tmp_path: Path) -> None:
    (tmp_path / "models" / "light").mkdir(parents=True)
    for ignored in ("state", "renders", "renders/lamp", ".git"):
        (tmp_path / ignored).mkdir()
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    elsewhere.mkdir()
    ignored_paths = (tmp_path / "state", tmp_path / "renders")
    roots = roots_of(tmp_path, [elsewhere, tmp_path / "models"], ignored_paths)
    assert roots == (frozenset({tmp_path, elsewhere}), frozenset({tmp_path / "models"}))
    heard = threading.Event()
    paths: list[str] = []

    def changed(path: str) -> None:
        paths.append(path)
        heard.set()

    folders = FolderWatch(changed, paths.append)
    folders.look_at(roots, ignored_paths, [".yaml", ".GLB"])
    try:
        time.sleep(0.3)
        for file in (
            "state/a.db",
            "renders/lamp/x.png",
            ".git/index",
            "models/light/.lamp.glb",
            "glossi.yaml~",
            "watch.log",
        ):
            (tmp_path / file).write_bytes(b"x")
        for file in (tmp_path / "glossi.yaml", tmp_path / "models" / "light" / "lamp.glb", elsewhere / "oak.glb"):
            heard.clear()
            file.write_bytes(b"x")
            assert heard.wait(10)
            assert paths[-1] == str(file)
        heard.clear()
        (tmp_path / "models" / "dark").mkdir()
        assert heard.wait(10), "a folder that is moved there may hold anything"
    finally:
        folders.close()
    assert len(set(paths)) == 4


def test_where_folders_cannot_be_watched_it_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    changed = threading.Event()
    folders = FolderWatch(lambda _: changed.set(), told.append)
    watching = (frozenset({tmp_path}), frozenset[Path]())

    def refuse(*_: object, **__: object) -> None:
        raise OSError("OS file watch limit reached")

    try:
        with monkeypatch.context() as limited:
            limited.setattr("watchfiles.watch", refuse)
            folders.look_at(watching, (), [".glb"])
            deadline = time.monotonic() + 10
            while not told and time.monotonic() < deadline:
                time.sleep(0.01)
        assert told == ["Changed files are not noticed for now, the timer alone counts: OS file watch limit reached"]
        folders.look_at(watching, (), [".glb"])
        while not changed.wait(0.3) and time.monotonic() < deadline:
            (tmp_path / "lamp.glb").write_bytes(b"x")
        assert changed.is_set()
    finally:
        folders.close()
