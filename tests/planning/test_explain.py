"""Why an object is replaced, in the user's words."""

from __future__ import annotations

from dataclasses import replace

from worlds import SETTINGS, Catalogue, converge, decide

from glossi_sync.planning import explain
from glossi_sync.planning.explain import inputs_of, size
from glossi_sync.resources import Render, RenderSettings
from glossi_sync.spec import Desired, ProjectEntry, RenderEntry


def catalogue(
    content: str = "a", template: str = "studio", revision: int = 1, models: tuple[str, ...] = ("lamp",)
) -> Catalogue:
    project = ProjectEntry("lamp", None, models, template, renders=(RenderEntry("web", revision),))
    return Catalogue((("lamp", content, "Lamp"), ("vase", "f", "Vase")), (project,))


def reasons(before: dict[str, Desired], after: dict[str, Desired]) -> dict[str, dict[str, str]]:
    """The differences by address and field, as a plan from ``before`` to ``after`` tells them."""
    realised = converge(before)
    stored = {oid: inputs_of(before[address]) for address, oid in realised.bindings.items()}
    told = explain(decide(after, realised), after, realised, lambda oids: {oid: stored[oid] for oid in oids})
    return {change.address: {one.field: one.text for one in change.diff} for change in told.changes}


def test_a_changed_file_is_told_at_every_level() -> None:
    text = "content changed (sha256 aaaa… -> bbbb…, 100 B -> 100 B)"
    assert reasons(catalogue().desired(), catalogue("b").desired()) == {
        "model.lamp": {"file": text},
        "project.lamp": {"models[0].file": text},
        "render.lamp/web": {"project.models[0].file": text},
    }


def test_a_changed_template_is_told_by_name() -> None:
    told = reasons(catalogue().desired(), catalogue(template="dark").desired())
    assert told["project.lamp"] == {"template": "Studio Light -> Dark Luxe"}


def test_a_changed_setting_is_told_as_the_user_wrote_it() -> None:
    before = catalogue().desired()
    inputs = Render(before["project.lamp"].digest, replace(SETTINGS["web"], image_quality=2, render_shots=True))
    after = {**before, "render.lamp/web": replace(before["render.lamp/web"], inputs=inputs, digest=inputs.digest())}
    assert reasons(before, after)["render.lamp/web"] == {
        "settings.imageQuality": "1 -> 2",
        "settings.renderShots": "false -> true",
    }
    assert RenderSettings() == RenderSettings(image_quality=1)


def test_a_revision_is_told() -> None:
    assert reasons(catalogue().desired(), catalogue(revision=2).desired())["render.lamp/web"] == {"revision": "1 -> 2"}


def test_a_model_that_joins_a_project_is_told_by_its_file() -> None:
    told = reasons(catalogue().desired(), catalogue(models=("lamp", "vase")).desired())
    assert told["project.lamp"] == {"models[1]": "- -> vase.glb"}


def test_a_moved_file_is_no_difference() -> None:
    before = catalogue().desired()
    moved = {
        address: replace(want, inputs=replace(want.inputs, file="elsewhere.glb")) if address == "model.lamp" else want
        for address, want in before.items()
    }
    assert reasons(before, moved) == {}


def test_sizes_are_told_to_people() -> None:
    assert [size(count) for count in (0, 999, 1200, 1_300_000, 2_000_000_000)] == [
        "0 B",
        "999 B",
        "1.2 kB",
        "1.3 MB",
        "2.0 GB",
    ]
