"""Desired is a pure function of what the spec says: not of the order of its entries, and local in every change."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from spec_documents import Document, as_json, documents, shuffled, written

from glossi_sync.resources import Kind, Model, Project, Render, Template, is_address, kind_of
from glossi_sync.spec import Desired, Spec, desire, read_spec

with_projects = documents(min_projects=1)
fixtures = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass(frozen=True)
class World:
    """What ``desire`` takes: a spec, its files' contents and the service's templates."""

    spec: Spec
    models: Mapping[str, Model]
    templates: Mapping[str, Template]

    def desired(self) -> dict[str, Desired]:
        return desire(self.spec, self.models, self.templates)

    def digests(self) -> dict[str, str]:
        return {address: want.digest for address, want in self.desired().items()}


def world(folder: Path, document: Document, contents: Mapping[str, str] | None = None) -> World:
    """The world of a document. ``contents`` tells the files apart, where they are not told apart by their keys."""
    spec = read_spec(written(folder, as_json(document)), env={}, files=False)
    contents = contents or {}
    return World(
        spec,
        {
            key: Model(one.file_type, hashlib.sha256(contents.get(key, key).encode()).hexdigest(), one.file, 1)
            for key, one in spec.models.items()
        },
        {key: Template(one.template_id or f"id-of-{one.name}", one.name or "") for key, one in spec.templates.items()},
    )


def projects_of(document: Document) -> dict[str, tuple[Document, list[str]]]:
    """Every project's address, with its entry and its models' keys, worked out from the contract."""
    found: dict[str, tuple[Document, list[str]]] = {}
    for key, entry in document["projects"].items():
        if entry.get("createPerModel"):
            found |= {f"project.{key}/{model}": (entry, [model]) for model in entry["models"]}
        else:
            found[f"project.{key}"] = entry, entry["models"]
    return found


def renders_of(address: str, entry: Document) -> set[str]:
    return {f"{address.replace('project.', 'render.', 1)}/{group}" for group in entry.get("renders", ())}


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> set[str]:
    assert before.keys() == after.keys()
    return {address for address in before if before[address] != after[address]}


@given(with_projects)
@fixtures
def test_every_entry_has_its_addresses_and_no_others_exist(tmp_path: Path, document: Document) -> None:
    expected = {f"model.{key}" for key in document["models"]} | ({"webhook"} if "webhook" in document else set())
    for address, (entry, _) in projects_of(document).items():
        expected |= {address} | renders_of(address, entry)
    desired = world(tmp_path, document).desired()
    assert desired.keys() == expected
    for address, want in desired.items():
        assert is_address(address) and want.address == address and want.kind is kind_of(address)


@given(with_projects)
@fixtures
def test_parents_come_first_and_are_what_the_digest_is_made_of(tmp_path: Path, document: Document) -> None:
    seen: dict[str, Desired] = {}
    projects = projects_of(document)
    for address, want in world(tmp_path, document).desired().items():
        assert all(parent in seen for parent in want.parents)
        match want.inputs:
            case Project(models=digests):
                assert want.parents == tuple(f"model.{key}" for key in projects[address][1])
                assert digests == tuple(seen[parent].digest for parent in want.parents)
            case Render(project=digest):
                assert [seen[parent].digest for parent in want.parents] == [digest]
            case _:
                assert want.parents == ()
        seen[address] = want


@given(with_projects, st.integers())
@fixtures
def test_the_order_of_entries_does_not_matter(tmp_path: Path, document: Document, seed: int) -> None:
    other = shuffled(document, Random(seed))
    for project in other["projects"].values():
        if isinstance(project.get("renders"), list):
            Random(seed).shuffle(project["renders"])
        if project.get("createPerModel"):
            Random(seed).shuffle(project["models"])
    assert world(tmp_path, other).desired() == world(tmp_path, document).desired()


@given(with_projects)
@fixtures
def test_it_is_pure(tmp_path: Path, document: Document) -> None:
    one = world(tmp_path, document)
    models, templates = dict(one.models), dict(one.templates)
    assert list(one.desired().items()) == list(one.desired().items())
    assert (one.models, one.templates) == (models, templates)


@given(with_projects, st.data())
@fixtures
def test_a_file_that_changes_touches_what_is_made_of_it_and_nothing_else(
    tmp_path: Path, document: Document, data: st.DataObject
) -> None:
    key = data.draw(st.sampled_from(sorted(document["models"])))
    expected = {f"model.{key}"}
    for address, (entry, models) in projects_of(document).items():
        if key in models:
            expected |= {address} | renders_of(address, entry)
    before, after = world(tmp_path, document), world(tmp_path, document, {key: "other content"})
    assert changed(before.digests(), after.digests()) == expected


@given(with_projects, st.data())
@fixtures
def test_a_template_that_changes_touches_the_projects_on_it(
    tmp_path: Path, document: Document, data: st.DataObject
) -> None:
    key = data.draw(st.sampled_from(sorted(document["templates"])))
    other = copy.deepcopy(document)
    other["templates"][key] = {"id": "another one"}
    expected: set[str] = set()
    for address, (entry, _) in projects_of(document).items():
        if entry["template"] == key:
            expected |= {address} | renders_of(address, entry)
    assert changed(world(tmp_path, document).digests(), world(tmp_path, other).digests()) == expected


@given(with_projects, st.data())
@fixtures
def test_a_setting_that_changes_touches_the_renders_under_it(
    tmp_path: Path, document: Document, data: st.DataObject
) -> None:
    key = data.draw(st.sampled_from(sorted(document["renderSettings"])))
    other = copy.deepcopy(document)
    group = other["renderSettings"][key]
    group["imageQuality"] = (group.get("imageQuality", 1) + 1) % 3
    expected = {
        one
        for address, (entry, _) in projects_of(document).items()
        for one in renders_of(address, entry)
        if one.rpartition("/")[2] == key
    }
    assert changed(world(tmp_path, document).digests(), world(tmp_path, other).digests()) == expected


@given(with_projects)
@fixtures
def test_settings_left_out_are_settings_spelled_out(tmp_path: Path, document: Document) -> None:
    other = copy.deepcopy(document)
    defaults: Document = {"renderBookmarks": True, "renderShots": True, "renderVariants": True}
    defaults |= {"imageQuality": 1, "videoQuality": 1, "videoResolution": 1}
    other["renderSettings"] = {key: defaults | group for key, group in document["renderSettings"].items()}
    assert world(tmp_path, other).desired() == world(tmp_path, document).desired()


@given(with_projects)
@fixtures
def test_a_revision_counted_up_touches_its_render(tmp_path: Path, document: Document) -> None:
    for key, entry in document["projects"].items():
        if not entry.get("renders"):
            continue
        renders = entry["renders"]
        renders = dict.fromkeys(renders) if isinstance(renders, list) else dict(renders)
        name = next(iter(renders))
        renders[name] = {"revision": (renders[name] or {}).get("revision", 1) + 1}
        other = copy.deepcopy(document)
        other["projects"][key]["renders"] = renders
        expected = {
            one
            for address, (owner, _) in projects_of(document).items()
            if owner is entry
            for one in renders_of(address, entry)
            if one.rpartition("/")[2] == name
        }
        assert changed(world(tmp_path, document).digests(), world(tmp_path, other).digests()) == expected


@given(with_projects, st.data())
@fixtures
def test_a_name_is_a_label_unless_names_count(tmp_path: Path, document: Document, data: st.DataObject) -> None:
    document["names"] = data.draw(st.sampled_from(["keep", "replace"]))
    kind, key = data.draw(
        st.sampled_from(
            [("models", key) for key in sorted(document["models"])]
            + [("projects", key) for key, entry in document["projects"].items() if not entry.get("createPerModel")]
        )
    )
    other = copy.deepcopy(document)
    other[kind][key]["name"] = "Another name"
    address = f"{kind.removesuffix('s')}.{key}"
    before, after = world(tmp_path, document), world(tmp_path, other)
    if document["names"] == "replace":
        expected = {address}
        for project, (entry, models) in projects_of(document).items():
            if project == address or (kind == "models" and key in models):
                expected |= {project} | renders_of(project, entry)
        assert changed(before.digests(), after.digests()) == expected
    else:
        assert before.digests() == after.digests()
    labels = {one: (want.label, after.desired()[one].label) for one, want in before.desired().items()}
    assert {one for one, (old, new) in labels.items() if old != new} == {address}


@given(with_projects)
@fixtures
def test_whether_names_count_is_all_that_keep_and_replace_differ_in(tmp_path: Path, document: Document) -> None:
    """Under ``keep`` no label is in a digest: two specs that differ in every name ask for the same objects."""
    document["names"] = "keep"
    other = copy.deepcopy(document)
    for entry in [*other["models"].values(), *other["projects"].values()]:
        if not entry.get("createPerModel"):
            entry["name"] = "Another name"
    assert world(tmp_path, document).digests() == world(tmp_path, other).digests()


@given(with_projects, st.data())
@fixtures
def test_an_entry_that_is_added_or_removed_touches_its_own_addresses_alone(
    tmp_path: Path, document: Document, data: st.DataObject
) -> None:
    key = data.draw(st.sampled_from(sorted(document["projects"])))
    other = copy.deepcopy(document)
    gone = other["projects"].pop(key)
    own: set[str] = set()
    for address, (entry, _) in projects_of({"projects": {key: gone}}).items():
        own |= {address} | renders_of(address, entry)
    before, after = world(tmp_path, document).digests(), world(tmp_path, other).digests()
    assert before.keys() - after.keys() == own
    assert {address: before[address] for address in after} == after


@given(with_projects, st.data())
@fixtures
def test_a_key_that_is_renamed_renames_addresses_and_leaves_digests(
    tmp_path: Path, document: Document, data: st.DataObject
) -> None:
    """So a renamed key costs nothing: the same objects are found under their new names."""
    old = data.draw(st.sampled_from(sorted(document["models"])))
    new = "renamed-0"
    assume(new not in document["models"])
    document["models"][old].setdefault("name", old)

    def renamed(value: Any) -> Any:
        return new if value == old else value

    other = copy.deepcopy(document)
    other["models"] = {renamed(key): entry for key, entry in other["models"].items()}
    for project in other["projects"].values():
        project["models"] = [renamed(key) for key in project["models"]]
    before = world(tmp_path, document)
    after = world(tmp_path, other, {new: old})
    assert sorted(before.digests().values()) == sorted(after.digests().values())


@given(with_projects)
@fixtures
def test_equal_content_is_one_object_whatever_it_is_called(tmp_path: Path, document: Document) -> None:
    document["names"] = "keep"
    for entry in document["models"].values():
        entry["fileType"] = "glb"
    one = world(tmp_path, document, dict.fromkeys(document["models"], "the same"))
    digests = {want.digest for want in one.desired().values() if want.kind is Kind.MODEL}
    assert len(digests) == 1
