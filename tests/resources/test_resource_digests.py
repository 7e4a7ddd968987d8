"""Digests: equal inputs have equal ones, any change has another, and none ever changes between releases."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from glossi_sync.resources import EVENTS, FILE_TYPES, Model, Project, Render, RenderSettings, Webhook
from glossi_sync.resources.digest import digest

hexes = st.text("0123456789abcdef", min_size=64, max_size=64)
few_hexes = st.sampled_from(["a" * 64, "b" * 64, "c" * 64])
texts = st.text(max_size=6)
names = st.none() | st.sampled_from(["", "None", "null", "Lamp", "Lámpara"])

models = st.builds(Model, st.sampled_from(FILE_TYPES), few_hexes, texts, st.integers(0, 2**40))
projects = st.builds(Project, st.sampled_from(["t1", "t2", ""]), texts, st.lists(few_hexes, max_size=3).map(tuple))
render_settings = st.builds(
    RenderSettings, st.booleans(), st.booleans(), st.booleans(), st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)
)
renders = st.builds(Render, few_hexes, render_settings, st.integers(1, 3))
webhooks = st.builds(
    Webhook,
    st.sampled_from(["https://a", "https://b"]),
    st.lists(st.sampled_from(EVENTS), unique=True).map(tuple),
    st.booleans(),
    names,
)


def hashed(inputs: Model | Project | Render | Webhook, name: str | None) -> tuple[Any, ...]:
    """The digest's inputs as the architecture lists them, and nothing else."""
    match inputs:
        case Model(file_type, sha256):
            return "model", file_type, sha256, name
        case Project(template_id=template_id, models=digests):
            return "project", template_id, digests, name
        case Render(project, settings, revision):
            return "render", project, *dataclasses.astuple(settings), revision
        case Webhook(url, events, enabled, description):
            return "webhook", url, frozenset(events), enabled, description


def digest_of(inputs: Model | Project | Render | Webhook, name: str | None) -> str:
    return inputs.digest(name) if isinstance(inputs, Model | Project) else inputs.digest()


anything = st.one_of(models, projects, renders, webhooks)


@given(anything, anything, names, names)
def test_two_objects_have_one_digest_exactly_where_their_inputs_are_the_same(
    one: Any, other: Any, name: str | None, other_name: str | None
) -> None:
    """Across all kinds: no two kinds, and no two spellings of a name, can meet."""
    same = hashed(one, name) == hashed(other, other_name)
    assert (digest_of(one, name) == digest_of(other, other_name)) is same


@given(anything)
def test_a_digest_is_64_hex_characters(inputs: Any) -> None:
    assert len(digest_of(inputs, None)) == 64
    assert int(digest_of(inputs, None), 16) >= 0


CHANGES = {
    "file_type": lambda model: replace(model, file_type="stl" if model.file_type != "stl" else "obj"),
    "sha256": lambda model: replace(model, sha256="f" * 64),
    "template_id": lambda project: replace(project, template_id=project.template_id + "x"),
    "models": lambda project: replace(project, models=(*project.models, "a" * 64)),
    "project": lambda render: replace(render, project="f" * 64),
    "revision": lambda render: replace(render, revision=render.revision + 1),
    "url": lambda webhook: replace(webhook, url=webhook.url + "/"),
    "enabled": lambda webhook: replace(webhook, enabled=not webhook.enabled),
    "description": lambda webhook: replace(webhook, description=f"{webhook.description}!"),
}


@given(anything, st.data())
def test_any_input_that_changes_changes_the_digest(inputs: Any, data: st.DataObject) -> None:
    fields = [field.name for field in dataclasses.fields(inputs) if field.name in CHANGES]
    field = data.draw(st.sampled_from(fields))
    assert digest_of(CHANGES[field](inputs), None) != digest_of(inputs, None)


@given(renders, st.sampled_from([field.name for field in dataclasses.fields(RenderSettings)]))
def test_any_setting_that_changes_changes_the_digest(render: Render, setting: str) -> None:
    value = getattr(render.settings, setting)
    other = (not value) if isinstance(value, bool) else value + 1
    changed = replace(render, settings=replace(render.settings, **{setting: other}))
    assert changed.digest() != render.digest()


def test_every_field_of_every_kind_is_an_input_or_known_not_to_be_one() -> None:
    """Whoever adds a field has to decide; a forgotten one would leave wrong pictures in place."""
    explain_only = {"Model": {"file", "size"}, "Project": {"template_name"}, "Render": set(), "Webhook": set()}
    own = {"settings", "events"}
    for kind in (Model, Project, Render, Webhook):
        fields = {field.name for field in dataclasses.fields(kind)}
        assert fields - explain_only[kind.__name__] <= CHANGES.keys() | own


@given(models, texts, st.integers(0, 2**40))
def test_where_a_file_lies_does_not_count(model: Model, file: str, size: int) -> None:
    assert replace(model, file=file, size=size).digest() == model.digest()


@given(projects, texts)
def test_what_a_template_is_called_does_not_count(project: Project, name: str) -> None:
    assert replace(project, template_name=name).digest() == project.digest()


@given(projects)
def test_the_order_of_a_projects_models_counts(project: Project) -> None:
    backwards = replace(project, models=tuple(reversed(project.models)))
    assert (backwards.digest() == project.digest()) is (backwards.models == project.models)


@given(webhooks, st.randoms(use_true_random=False))
def test_the_order_of_a_webhooks_events_does_not(webhook: Webhook, random: Any) -> None:
    events = list(webhook.events)
    random.shuffle(events)
    assert replace(webhook, events=tuple(events)).digest() == webhook.digest()


@given(models, names)
def test_a_name_counts_exactly_where_it_is_given(model: Model, name: str | None) -> None:
    assert (model.digest(name) == model.digest()) is (name is None)


@given(st.lists(few_hexes, min_size=2, max_size=4), st.integers(1, 3))
def test_where_one_list_ends_and_the_next_begins_counts(digests: list[str], cut: int) -> None:
    assume(cut < len(digests))
    whole = digest("kind", tuple(digests))
    parted = digest("kind", tuple(digests[:cut]), tuple(digests[cut:]))
    assert len({whole, parted, digest("kind", *digests)}) == 3


def test_settings_left_out_are_the_guides_defaults() -> None:
    spelled = RenderSettings(
        render_bookmarks=True,
        render_shots=True,
        render_variants=True,
        image_quality=1,
        video_quality=1,
        video_resolution=1,
    )
    assert Render("a" * 64, RenderSettings()).digest() == Render("a" * 64, spelled, 1).digest()


A, B = "a" * 64, "b" * 64


@pytest.mark.parametrize(
    ("golden", "inputs", "name"),
    [
        (
            "95565721813fd0808f32da941c3c43371c62922c468270fd41a9ac29d25d6748",
            Model("glb", A, "models/lamp.glb", 7),
            None,
        ),
        (
            "c6f9647e219b55ef63cec7817ed94d924f6f3dcae29b43733fd9cbb2a56ce90c",
            Model("glb", A, "models/lamp.glb", 7),
            "Lámpara 灯",
        ),
        ("e7770e3232f4afee61cc25f2208042da34cea902f8e5815c638da918d7d4e06f", Model("stp", B, "x", 1), None),
        (
            "92b46dedd27a7c2576c47ac3852e8e764d5bb2054ecf4663018faed55eee8d2f",
            Project("t-studio", "Studio Light", (A,)),
            None,
        ),
        (
            "85954ebc6bb06794137f30f6340548ed8db5c4a017559beb79abbbd3a7409a34",
            Project("t-studio", "Studio Light", (A, B)),
            "The room",
        ),
        ("f35d7fe1c71497c233e8cd2d9480e0b372b041db1f24dfe1d5dc92a2a36569d8", Render(A, RenderSettings()), None),
        (
            "6d6ab7370628cd887a0719b3951aa0c8f90a001ee430b5f8684bd73d858be10c",
            Render(A, RenderSettings(render_shots=False, image_quality=2), 3),
            None,
        ),
        (
            "1b92fd4457b6079d8f5e5c5458b8cc15506de717f72695103cb0cdcd337849a2",
            Webhook("https://shop.example/hooks", ("render.failed", "render.complete")),
            None,
        ),
        (
            "6fe7e689637ba7a1c6500e0242b6b3ec8202d624089906ec98a40056696c37ee",
            Webhook("https://shop.example/hooks", (), False, "for the shop"),
            None,
        ),
    ],
)
def test_a_digest_never_changes_between_releases(golden: str, inputs: Any, name: str | None) -> None:
    """If this fails, every state that exists would upload and render everything again: do not adapt the test."""
    assert digest_of(inputs, name) == golden
