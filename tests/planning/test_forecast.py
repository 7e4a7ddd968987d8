"""A forecast is honest: what was seen before, lower bounds as such, and nothing where nobody can know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from worlds import Catalogue, catalogues, converge, decide

from glossi_sync.planning import Cameras, Forecast, Memory, forecast
from glossi_sync.planning.explain import inputs_of
from glossi_sync.resources import Kind
from glossi_sync.spec import Desired, ProjectEntry, RenderEntry
from glossi_sync.state import Realised, RenderedFile, Run


def files(pictures: int, videos: int = 0) -> tuple[RenderedFile, ...]:
    wanted = [False] * pictures + [True] * videos
    return tuple(RenderedFile(str(number), "x", "x", "PNG", video) for number, video in enumerate(wanted))


def memory(
    realised: Realised,
    desired: Mapping[str, Desired],
    finished: Callable[[str], Sequence[RenderedFile]] = lambda address: (),
    runs: Sequence[Run] = (),
    cameras: Mapping[str, Cameras] | None = None,
) -> Memory:
    """What a state remembers in which ``desired`` was realised; ``finished`` tells the files of each render."""
    address_of = {oid: address for address, oid in realised.bindings.items()}
    return Memory(
        inputs=lambda oids: {oid: inputs_of(desired[address_of[oid]]) for oid in oids if oid in address_of},
        files=lambda oids: {oid: finished(address_of[oid]) for oid in oids if oid in address_of},
        runs=lambda: runs,
        cameras=lambda: cameras or {},
    )


def shop(*keys: str, template: str = "studio", revision: int = 1, renders: Sequence[str] = ("web",)) -> Catalogue:
    """A product for each key, on one template; ``web`` renders stills, ``film`` videos, both of every look."""
    models = tuple((key, str(number), key) for number, key in enumerate(keys))
    entries = tuple(RenderEntry(name, revision) for name in renders)
    return Catalogue(models, tuple(ProjectEntry(key, None, (key,), template, renders=entries) for key in keys))


def ahead(before: Catalogue, after: Catalogue, **remembered: object) -> Forecast | None:
    realised = converge(before.desired())
    plan = decide(after.desired(), realised)
    return forecast(plan, after.desired(), realised, memory(realised, before.desired(), **remembered))  # type: ignore[arg-type]


def test_a_first_plan_knows_nothing_and_says_so() -> None:
    assert ahead(Catalogue(()), shop("a", "b")) == Forecast(renders=2, unknown=2)


def test_a_plan_that_does_nothing_has_no_forecast() -> None:
    assert ahead(shop("a"), shop("a")) is None


def test_a_project_that_was_rendered_before_gives_as_much_again() -> None:
    seen = ahead(shop("a"), shop("a", revision=2), finished=lambda _: files(12))
    assert seen == Forecast(renders=1, pictures=12)


def test_another_product_on_the_template_gives_at_least_the_fewest_that_one_gave() -> None:
    finished = {"render.a/web": files(12), "render.b/web": files(4)}
    seen = ahead(shop("a", "b"), shop("a", "b", "c", "d"), finished=finished.__getitem__)
    assert seen == Forecast(renders=2, pictures=8, at_least=True)


def test_stills_tell_nothing_of_videos() -> None:
    seen = ahead(shop("a"), shop("a", renders=["web", "film"]), finished=lambda _: files(4))
    assert seen == Forecast(renders=1, unknown=1)


def test_cameras_that_are_known_are_counted_for_every_model() -> None:
    cameras = {"t-dark": Cameras(bookmarks=5, shots=2)}
    both = Catalogue(
        (("a", "0", "A"), ("b", "1", "B")),
        (ProjectEntry("p", None, ("a", "b"), "dark", renders=(RenderEntry("web"), RenderEntry("film"))),),
    )
    seen = ahead(Catalogue(()), both, cameras=cameras)
    assert seen == Forecast(renders=2, pictures=10, videos=4, at_least=True)


def run(steps: Mapping[str, int], seconds: float, outcome: str | None = "converged") -> Run:
    return Run(1, "apply", 1000.0, 1000.0 + seconds, outcome, steps)


def test_the_time_is_that_of_the_earlier_runs_that_did_about_as_much() -> None:
    runs = [run({"upload": 500, "start": 500}, 500), *[run({"start": 2}, each) for each in (20, 22, 60, 24, 26)]]
    seen = ahead(Catalogue(()), shop("a", "b"), runs=runs)
    assert seen is not None and (seen.seconds, seen.runs) == (24, 5)


def test_runs_that_did_something_else_or_did_not_go_through_tell_nothing() -> None:
    runs = [
        run({"create": 3}, 5),
        run({"start": 3}, 5, "converged in part"),
        run({"start": 3}, 5, None),
        replace(run({"start": 3}, 5), ended=None),
        run({}, 5),
    ]
    seen = ahead(Catalogue(()), shop("a"), runs=runs)
    assert seen is not None and (seen.seconds, seen.runs) == (None, 0)


@given(catalogues(), catalogues(), st.integers(0, 3), st.integers(0, 3))
def test_every_render_is_counted_once_or_is_unknown(
    before: Catalogue, after: Catalogue, pictures: int, videos: int
) -> None:
    realised = converge(before.desired())
    plan = decide(after.desired(), realised)
    remembered = memory(realised, before.desired(), lambda _: files(pictures, videos))
    seen = forecast(plan, after.desired(), realised, remembered)
    started = sum(change.kind is Kind.RENDER and bool(change.steps) for change in plan.changes)
    assert (seen or Forecast()).renders == started
    if seen is not None:
        assert 0 <= seen.unknown <= seen.renders
        assert seen.pictures + seen.videos <= 3 * (seen.renders - seen.unknown) or seen.pictures == 0
