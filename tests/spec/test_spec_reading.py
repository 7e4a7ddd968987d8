"""A spec reads to the values that were written, with every default filled in; from a file, or from a folder of them."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spec_documents import Document, as_block, as_json, documents, written

from glossi_sync.resources import EVENTS, RenderSettings, file_type_of
from glossi_sync.spec import Service, Spec, SpecError, locate, read_spec

HEAD = "version: 1\nworkspace: shop\n"
fixtures = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def spelled(spec: Spec, folder: Path) -> Document:
    """A spec as the document that says all of it, with every default written out."""
    webhook, downloads = spec.webhook, spec.downloads
    return {
        "workspace": spec.workspace,
        "names": "replace" if spec.names_count else "keep",
        "retries": spec.retries,
        "service": (spec.service.endpoint, spec.service.api_key),
        "models": {key: (one.key, one.name, one.file, one.path, one.file_type) for key, one in spec.models.items()},
        "templates": {key: (one.template_id, one.name) for key, one in spec.templates.items()},
        "renderSettings": {key: dataclasses.astuple(one) for key, one in spec.render_settings.items()},
        "projects": {
            key: (one.name, list(one.models), one.template, one.create_per_model, [(r.settings, r.revision) for r in one.renders])
            for key, one in spec.projects.items()
        },
        "webhook": webhook and (dataclasses.astuple(webhook.webhook), webhook.secret_file),
        "downloads": downloads and dataclasses.astuple(downloads),
    }  # fmt: skip


def expected(document: Document, folder: Path) -> Document:
    """What ``spelled`` says of a valid document, worked out from the contract."""
    service, webhook, downloads = (document.get(name) for name in ("service", "webhook", "downloads"))
    service = service or {}
    group_names = (
        "renderBookmarks",
        "renderShots",
        "renderVariants",
        "imageQuality",
        "videoQuality",
        "videoResolution",
    )
    events = tuple(sorted((webhook or {}).get("events", EVENTS), key=EVENTS.index))

    def renders(project: Document) -> list[tuple[str, int]]:
        wanted = project.get("renders", [])
        if isinstance(wanted, list):
            return [(key, 1) for key in wanted]
        return [(key, (value or {}).get("revision", 1)) for key, value in wanted.items()]

    return {
        "workspace": document["workspace"],
        "names": document.get("names", "keep"),
        "retries": document.get("retries", 2),
        "service": (service.get("endpoint", "local"), service.get("apiKey")),
        "models": {
            key: (key, one.get("name", key), one["file"], folder / one["file"], one.get("fileType", file_type_of(one["file"])))
            for key, one in document["models"].items()
        },
        "templates": {key: (one.get("id"), one.get("name")) for key, one in document["templates"].items()},
        "renderSettings": {
            key: tuple(one.get(name, name.startswith("render") or 1) for name in group_names)
            for key, one in document["renderSettings"].items()
        },
        "projects": {
            key: (one.get("name"), one["models"], one["template"], one.get("createPerModel", False), renders(one))
            for key, one in document["projects"].items()
        },
        "webhook": webhook
        and (
            (webhook["url"], events, webhook.get("enabled", True), webhook.get("description")),
            folder / webhook["secretFile"] if "secretFile" in webhook else None,
        ),
        "downloads": downloads
        and (
            folder / downloads["to"],
            downloads.get("path", "{project}/{settings}/{name}.{ext}"),
            downloads.get("from", "auto"),
        ),
    }  # fmt: skip


@given(documents(), st.sampled_from([as_block, as_json]))
@fixtures
def test_any_valid_spec_reads_to_what_was_written(tmp_path: Path, document: Document, spell: Any) -> None:
    spec = read_spec(written(tmp_path, spell(document)), env={}, files=False)
    assert spelled(spec, tmp_path) == expected(document, tmp_path)


@given(documents(), st.data())
@fixtures
def test_a_name_that_is_not_defined_is_refused_and_nothing_else_is(
    tmp_path: Path, document: Document, data: st.DataObject
) -> None:
    """A broken reference passes the schema; the reader refuses it exactly where the key is not defined."""
    missing = 0
    for project in document["projects"].values():
        new = data.draw(st.sampled_from([*document["templates"], "nowhere/0"]))
        project["template"] = new
        missing += new not in document["templates"]
        if isinstance(project.get("renders"), list):
            project["renders"] = [data.draw(st.sampled_from([*document["renderSettings"], "nowhere/1"]))]
            missing += project["renders"] == ["nowhere/1"]
    path = written(tmp_path, as_block(document))
    if not missing:
        read_spec(path, env={}, files=False)
        return
    with pytest.raises(SpecError) as caught:
        read_spec(path, env={})
    told = [problem for problem in caught.value.problems if "nowhere/" in problem.message]
    assert len(told) == missing


@given(documents(), st.randoms(use_true_random=False))
@fixtures
def test_a_folder_reads_as_the_one_file_that_it_was_cut_from(tmp_path: Path, document: Document, random: Any) -> None:
    folder = tmp_path / "parts"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    parts: list[Document] = [{"version": 1} for _ in range(3)]
    for section, value in document.items():
        if section in ("models", "templates", "renderSettings", "projects", "service", "webhook", "downloads"):
            for key, entry in value.items():
                random.choice(parts).setdefault(section, {})[key] = entry
        else:
            random.choice(parts)[section] = value
    for number, part in enumerate(parts):
        written(folder, as_block(part), f"{number}.{random.choice(['yaml', 'yml'])}")
    written(folder, "not: [a spec", ".hidden.yaml")
    written(folder, "not: [a spec", "notes.txt")
    whole = read_spec(written(folder, as_block(document), "whole.json"), env={}, files=False)
    together = read_spec(folder, env={}, files=False)
    assert spelled(together, folder) == spelled(whole, folder)
    assert together.folder == whole.folder == folder
    assert [path.stem for path in together.sources] == ["0", "1", "2"]


def test_a_key_that_two_files_define_is_an_error_that_names_both_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop").mkdir()
    written(tmp_path, HEAD + "models:\n  lamp: {file: a.glb}\n", "shop/a.yaml")
    written(
        tmp_path,
        "version: 1\nworkspace: other\nmodels:\n  lamp: {file: a.glb}\n"
        "service: {endpoint: local}\n",
        "shop/b.yaml",
    )  # fmt: skip
    written(tmp_path, "service: {endpoint: 'https://api.glossi.app', apiKey: k}\n", "shop/c.yaml")
    with pytest.raises(SpecError) as caught:
        read_spec(Path("shop"), env={})
    told = [problem for problem in map(str, caught.value.problems) if "already" in problem]
    assert told == [
        "shop/b.yaml:2:1: workspace is already defined, otherwise, at shop/a.yaml:2:1",
        "shop/b.yaml:4:3: models.lamp is already defined at shop/a.yaml:4:3",
        "shop/c.yaml:1:11: service.endpoint is already defined at shop/b.yaml:5:11",
    ]


def test_files_of_a_folder_may_repeat_what_they_agree_on_and_refer_to_one_another(tmp_path: Path) -> None:
    written(tmp_path, HEAD + "models: {lamp: {file: lamp.glb}}\n", "a.yaml")
    written(tmp_path, HEAD + "projects: {lamp: {models: [lamp], template: studio}}\n", "b.yml")
    written(tmp_path, HEAD + "templates: {studio: {id: x}}\n", "c.yaml")
    spec = read_spec(tmp_path, env={}, files=False)
    assert spec.projects["lamp"].models == ("lamp",)


def test_mistakes_in_a_folder_are_told_file_by_file(tmp_path: Path) -> None:
    written(tmp_path, HEAD + "nmes: keep\n", "a.yaml")
    written(tmp_path, "version: 1\nprojects:\n  p: {models: [x], template: t}\n", "b.yaml")
    with pytest.raises(SpecError) as caught:
        read_spec(tmp_path, env={})
    assert [(Path(one.file).name, one.line, one.column) for one in caught.value.problems] == [
        ("a.yaml", 3, 1), ("b.yaml", 3, 16), ("b.yaml", 3, 30),
    ]  # fmt: skip


def test_a_broken_file_of_a_folder_hides_no_other_broken_one_and_makes_no_reference_wrong(tmp_path: Path) -> None:
    written(tmp_path, HEAD + "models: {lamp: {file: lamp.glb}\n", "a.yaml")
    written(tmp_path, "projects: {lamp: {models: [lamp], template: studio}}\n", "b.yaml")
    written(tmp_path, "\tx", "c.yaml")
    with pytest.raises(SpecError) as caught:
        read_spec(tmp_path, env={})
    assert [Path(problem.file).name for problem in caught.value.problems] == ["a.yaml", "c.yaml"]


def variables(folder: Path, text: str, env: dict[str, str], **options: Any) -> Spec:
    """A spec read with an environment."""
    return read_spec(written(folder, HEAD + text), env=env, files=False, **options)


def test_variables_are_replaced_in_any_text(tmp_path: Path) -> None:
    spec = variables(
        tmp_path,
        "models: {lamp: {name: '${env:BRAND} $${lamp} ${env:KIND}', file: '${env:DIR}/lamp.glb'}}",
        {"BRAND": "Ütopia", "KIND": "{}", "DIR": "a/b"},
    )
    assert spec.models["lamp"].name == "Ütopia ${lamp} {}"
    assert spec.models["lamp"].path == tmp_path / "a/b/lamp.glb"
    assert type(spec.models["lamp"].name) is str


@given(st.text(st.characters(exclude_categories=["Cs"])))
@fixtures
def test_what_a_variable_holds_is_text_and_is_not_looked_into(tmp_path: Path, value: str) -> None:
    if value:
        spec = variables(tmp_path, "models: {lamp: {file: a.glb, name: '${env:NAME}'}}", {"NAME": value})
        assert spec.models["lamp"].name == value


@pytest.mark.parametrize(
    ("written_as", "said"),
    [
        ("${env:GLOSI_NAME}", "the environment variable GLOSI_NAME is not set; did you mean 'GLOSSI_NAME'?"),
        (
            "${vra:x}",
            "${vra:x} is no variable: write ${env:NAME} or ${var:NAME}, or $${ where the characters themselves are meant",
        ),
        (
            "${env:1}",
            "${env:1} is no variable: write ${env:NAME} or ${var:NAME}, or $${ where the characters themselves are meant",
        ),
        ("${env:X", "'${' is not closed: write ${env:NAME} for a variable, or $${ for the characters themselves"),
    ],
)
def test_a_variable_that_cannot_be_replaced_is_told_at_its_place(tmp_path: Path, written_as: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        variables(tmp_path, f"models: {{lamp: {{file: a.glb, name: '{written_as}'}}}}", {"GLOSSI_NAME": "x"})
    named = [problem for problem in caught.value.problems if "no file" not in problem.message]
    assert [(one.line, one.column, one.message) for one in named] == [(3, 36, said)]


def test_a_variable_that_holds_no_text_is_told_and_not_shown(tmp_path: Path) -> None:
    """As the environment hands out bytes that are not UTF-8: what cannot be encoded can be neither hashed nor sent."""
    with pytest.raises(SpecError) as caught:
        variables(tmp_path, "models: {lamp: {file: a.obj, name: '${env:NAME}'}}", {"NAME": "caf\udce9"})
    assert "the environment variable NAME holds bytes that are not UTF-8" in str(caught.value)
    assert "caf" not in str(caught.value)


KEYED = "service: {endpoint: '%s', apiKey: '${env:GLOSSI_API_KEY}'}"
HOSTED = "https://api.glossi.app/api/v1"


def test_the_local_studio_needs_no_key(tmp_path: Path) -> None:
    assert variables(tmp_path, KEYED % "local", {}).service == Service("local", None)
    assert variables(tmp_path, KEYED % "local", {"GLOSSI_API_KEY": ""}).service == Service("local", None)
    assert variables(tmp_path, KEYED % HOSTED, {}, endpoint="local").service == Service("local", None)


@pytest.mark.parametrize("env", [{}, {"GLOSSI_API_KEY": ""}])
def test_a_hosted_service_does(tmp_path: Path, env: dict[str, str]) -> None:
    for text, options in ((KEYED % HOSTED, {}), (KEYED % "local", {"endpoint": HOSTED})):
        with pytest.raises(SpecError) as caught:
            variables(tmp_path, text, env, **options)
        assert len(caught.value.problems) == 1
    spec = variables(tmp_path, KEYED % HOSTED, {"GLOSSI_API_KEY": "k"})
    assert spec.service.api_key == "k"


@pytest.mark.parametrize(
    ("endpoint", "accepted"),
    [
        ("local", True),
        (HOSTED, True),
        ("http://localhost:8000", True),
        ("http://[::1]:8000/api/v1/", True),
        ("http://127.1.2.3", True),
        ("http://studio:8000", False),
        ("https://api.glossi.app?x=1", False),
        ("https://me:pw@api.glossi.app", False),
        ("https://", False),
        ("ftp://api.glossi.app", False),
        ("api.glossi.app", False),
        ("https://api.glossi.app:99999", False),
        ("https://[::1", False),
        ("https://a b", False),
    ],
)
def test_an_endpoint_is_held_to_one_rule_wherever_it_is_given(tmp_path: Path, endpoint: str, accepted: bool) -> None:
    for text, options in ((f"service: {{endpoint: '{endpoint}'}}", {}), ("", {"endpoint": endpoint})):
        if accepted:
            assert variables(tmp_path, text, {}, **options).service.endpoint == endpoint.rstrip("/")
        else:
            with pytest.raises(SpecError):
                variables(tmp_path, text, {}, **options)


def test_http_in_a_network_of_ones_own_is_for_the_user_to_allow(tmp_path: Path) -> None:
    spec = variables(tmp_path, "service: {endpoint: 'http://studio:8000', allowHttp: true}", {})
    assert spec.service.endpoint == "http://studio:8000"


def test_the_fingerprint_tells_specs_apart_and_the_same_one_not(tmp_path: Path) -> None:
    first = variables(tmp_path, "", {})
    assert first.fingerprint.startswith("sha256:")
    assert variables(tmp_path, "# a comment\n", {}).fingerprint != first.fingerprint
    assert variables(tmp_path, "", {}).fingerprint == first.fingerprint
    assert first.render_settings == {}
    assert RenderSettings() == variables(tmp_path, "renderSettings: {web: {}}", {}).render_settings["web"]


def test_a_problem_found_later_is_told_at_its_place_for_as_long_as_the_file_stays(tmp_path: Path) -> None:
    spec = variables(tmp_path, "templates:\n  studio: {name: '${env:T}'}\n", {"T": "x"})
    wrong = [(("templates", "studio"), "no such template")]
    assert [str(problem) for problem in locate(spec, wrong)] == [f"{spec.sources[0]}:4:11: no such template"]
    written(tmp_path, "changed: since")
    assert [str(problem) for problem in locate(spec, wrong)] == [f"{spec.sources[0]}: no such template"]
    spec.sources[0].unlink()
    assert [str(problem) for problem in locate(spec, wrong)] == [f"{spec.sources[0]}: no such template"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_spec_that_may_not_be_read_is_one_sentence(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD)
    path.chmod(0)
    with pytest.raises(SpecError, match="cannot be read: Permission denied"):
        read_spec(path, env={})
