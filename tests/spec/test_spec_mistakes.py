"""Every mistake of a spec is told at once, at its place, in words that help; and never with a secret in them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spec_documents import Document, as_block, documents, written
from ten_mistakes import TEN_MISTAKES

from glossi_sync.errors import UserError
from glossi_sync.spec import Problem, SpecError, read_spec

HEAD = "version: 1\nworkspace: shop\n"


def mistakes(folder: Path, text: str, **options: Any) -> list[Problem]:
    """What is wrong with a spec of this text (``files=False`` where no model file exists)."""
    with pytest.raises(SpecError) as caught:
        read_spec(written(folder, text), **{"env": {}, **options})
    return list(caught.value.problems)


def only(folder: Path, text: str, **options: Any) -> str:
    """The one mistake of a spec, as ``line:column: message``."""
    (problem,) = mistakes(folder, text, **options)
    return f"{problem.line}:{problem.column}: {problem.message}"


def test_ten_mistakes_are_told_at_ten_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(
        tmp_path,
        TEN_MISTAKES,
    )
    with pytest.raises(SpecError) as caught:
        read_spec(Path("glossi.yaml"), env={})
    assert str(caught.value).splitlines() == [
        "glossi.yaml:3:8: 'names' must be one of keep, replace, not 'replac'; did you mean 'replace'?",
        "glossi.yaml:6:5: unknown key 'nmae'; did you mean 'name'?",
        "glossi.yaml:7:11: there is no file models/lamp.glb, nor its folder",
        "glossi.yaml:9:11: the suffix of 'models/chair.blend' names no file type of the service "
        "(glb, gltf, usdz, usd, fbx, obj, step, stp, stl)",
        "glossi.yaml:11:3: 'studio': a template is bound by exactly one of 'name' and 'id'",
        "glossi.yaml:13:23: 'imageQuality' must be a whole number from 0 to 2, not 3",
        "glossi.yaml:16:14: project 'lamp' names the model 'lmap', which 'models' does not have; did you mean 'lamp'?",
        "glossi.yaml:17:15: project 'lamp' names the template 'studoi', which 'templates' does not have; "
        "did you mean 'studio'?",
        "glossi.yaml:18:20: project 'lamp' names the render settings 'print', which 'renderSettings' does not have",
        "glossi.yaml:21:12: 'render.completed' is none of model.processed, model.failed, project.created, "
        "job.complete, job.failed, render.complete, render.failed; did you mean 'render.complete'?",
    ]
    assert isinstance(caught.value, UserError)


SOUND_AND_SPOILT: dict[str, tuple[str, list[str]]] = {
    "names": ("keep", ["replac", "[keep]", "true", "''"]),
    "retries": ("3", ["-1", "21", "many", "'3'", "0x3", "1.0"]),
    "models.m{}": (
        "{file: m.obj}",
        [
            "{}",
            "{file: m.obj, nmae: Lamp}",
            "{file: m.obj, name: ''}",
            "{file: m.obj, name: 12}",
            "{file: m.obj, fileType: objj}",
            "{file: m.blend}",
            "{file: none.obj}",
            "{file: 'ftp://shop.example/m.obj'}",
            "{file: 's3://shop'}",
            "{file: 'https://ana:secret@shop.example/m.obj'}",
            "m.obj",
        ],
    ),
    "templates.t{}": ("{id: x}", ["{}", "{id: x, name: y}", "{nam: y}", "{name: 2024-01-01}"]),
    "renderSettings.s{}": (
        "{}",
        ["{imageQuality: 3}", "{renderShots: no}", "{imageQualty: 1}", "{renderShots: false, renderBookmarks: false}"],
    ),
    "projects.p{}": (
        "{models: [m0], template: t0, renders: [s0]}",
        [
            "{models: [], template: t0}",
            "{models: [m0]}",
            "{models: [m0, m0], template: t0}",
            "{models: [mO], template: t0}",
            "{models: [m0], template: tt0}",
            "{models: [m0], template: t0, renders: [s]}",
            "{models: [m0], template: t0, renders: {s0: {revision: 0}}}",
            "{models: [m0], template: t0, createPerModel: true, name: x}",
            "{models: [m0], template: t0, template: t0}",
        ],
    ),
    "webhook.url": ("https://shop.example", ["shop.example", "'ftp://shop.example'", "7", "''"]),
    "webhook.events": ("[render.failed]", ["[]", "[render.fail]", "[render.failed, render.failed]"]),
    "downloads.to": ("renders", ["''", "[renders]"]),
    "downloads.path": ("'{name}/{project}/{settings}.{ext}'", ["'{project}/{settings}/{nam}.{name}.{ext}'", "'../{name}.{ext}'", "'{name}'"]),
    "service.endpoint": ("local", ["locl", "'http://api.example'", "''"]),
    "service.allowHttp": ("false", ["no", "1", "'false'"]),
}  # fmt: skip
"""Where something may stand, what may stand there, and what may not: each of these is one mistake."""


@st.composite
def spoilt(draw: st.DrawFn) -> tuple[str, set[int]]:
    """A spec with an entry on each line, and the numbers of the lines that hold a mistake."""
    lines = ["version: 1", "workspace: shop"]
    wrong: set[int] = set()
    section = ""
    for place, (sound, mistaken) in SOUND_AND_SPOILT.items():
        head, _, key = place.partition(".")
        if key and head != section:
            section = head
            lines.append(f"{head}:")
        for number in range(3 if "{}" in key else 1):
            value = draw(st.sampled_from([sound, *draw(st.permutations(mistaken))[:2]]))
            name = f"  {key.replace('{}', str(number))}" if key else head
            lines.append(f"{name}: {value}")
            if value is not sound:
                wrong.add(len(lines))
    return "\n".join(lines) + "\n", wrong


@given(spoilt())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_as_many_mistakes_as_there_are_are_told_each_on_its_line(tmp_path: Path, spec: tuple[str, set[int]]) -> None:
    (tmp_path / "m.obj").write_bytes(b"o")
    text, wrong = spec
    if wrong:
        assert [problem.line for problem in mistakes(tmp_path, text)] == sorted(wrong), text
    else:
        read_spec(written(tmp_path, text), env={})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 2\nworkspace: shop\n", "1:10: this glossi-sync reads version 1 of the spec, not 2"),
        ("version: 1\n", "1:1: a spec needs the key 'workspace'"),
        (HEAD + "models: {lamp: {}}\n", "3:10: 'lamp' needs the key 'file'"),
        (HEAD + "models:\n", "3:8: 'models' must be a mapping (key: value), not nothing (it is empty)"),
        (HEAD + "retries: true\n", "3:10: 'retries' must be a whole number, not true"),
        (HEAD + 'retries: "2"\n', "3:10: 'retries' must be a whole number, not '2'; leave the quotes out"),
        (
            HEAD + "renderSettings: {web: {renderShots: no}}\n",
            "3:37: 'renderShots' must be true or false, not no; write true or false",
        ),
        (
            HEAD + "renderSettings: {web: {renderShots: false, renderBookmarks: false}}\n",
            "3:18: these settings render nothing: leave renderBookmarks or renderShots true",
        ),
        (
            HEAD + "webhook: {url: shop.example}\n",
            "3:16: url must be a URL that starts with https:// or http:// and names a host, unlike 'shop.example'",
        ),
        (HEAD + "webhook: {url: 'https://me:pass@shop.example'}\n", "3:16: url must not hold a user name or password"),
        (
            HEAD + "service: {endpoint: locl}\n",
            "3:21: endpoint must be 'local' or an https:// URL, unlike 'locl'; did you mean 'local'?",
        ),
        (
            HEAD + "service: {endpoint: 'http://api.glossi.app'}\n",
            "3:21: endpoint sends the API key unencrypted: use https://, or service.allowHttp: true "
            "in your own network, unlike 'http://api.glossi.app'",
        ),
        (
            HEAD + "downloads: {to: out, path: '{project}/{nam}.{ext}'}\n",
            "3:28: path has an unknown placeholder {nam}; did you mean 'name'? "
            "(known: {project}, {model}, {settings}, {variant}, {name}, {ext})",
        ),
        (
            HEAD + "downloads: {to: out, path: '{project}/{name}'}\n",
            "3:28: path needs {ext}, or a render's files meet in one place",
        ),
        (
            HEAD + "downloads: {to: out, path: '../{project}/{name}.{ext}'}\n",
            "3:28: path must not hold '.', '..' or empty parts: it stays below 'to'",
        ),
        (
            HEAD + "downloads: {to: out, path: '/{project}/{name}.{ext}'}\n",
            "3:28: path must be relative: it lies below 'to'",
        ),
    ],
)
def test_a_mistake_is_told_in_the_users_words(tmp_path: Path, text: str, said: str) -> None:
    assert only(tmp_path, text) == said


PROJECTS = (
    HEAD
    + """\
models: {a: {file: a.glb}, b: {file: b.glb}}
templates: {studio: {name: Studio Light}}
renderSettings: {web: {}, film: {}}
"""
)


@pytest.mark.parametrize(
    ("project", "said"),
    [
        ("{models: [], template: studio}", "'models' must not be an empty list"),
        ("{models: [a], template: studio, renders: []}", "'renders' must not be an empty list"),
        ("{models: [a, a], template: studio}", "'a' stands in this list twice"),
        ("{models: [a, b, a], template: studio, createPerModel: true}", "'a' stands in this list twice"),
        (
            "{models: [a, b], template: studio, createPerModel: true, name: Both}",
            "createPerModel makes several projects, which the service names after their models: leave 'name' out, "
            "or give each model a project of its own",
        ),
        ("{models: [a], template: studio, renders: {web: {revision: 0}}}", "'revision' must be a whole number at least 1, not 0"),
        ("{models: [a], template: studio, renders: web}", "'renders' must be a list or a mapping (key: value), not 'web'"),
    ],
)  # fmt: skip
def test_a_project_that_cannot_be_made_is_refused(tmp_path: Path, project: str, said: str) -> None:
    problems = mistakes(tmp_path, f"{PROJECTS}projects: {{p: {project}}}\n", files=False)
    assert [problem.message for problem in problems if problem.line == 6] == [said]


@pytest.mark.parametrize(
    ("path", "missing"),
    [("{settings}/{name}.{ext}", "{project}"), ("{project}/{name}.{ext}", "{settings}"), ("{model}/{name}.{ext}", "{settings}")],
)  # fmt: skip
def test_two_renders_whose_files_would_meet_are_refused(tmp_path: Path, path: str, missing: str) -> None:
    projects = "projects: {p: {models: [a, b], template: studio, createPerModel: true, renders: [web, film]}}\n"
    downloads = f"downloads: {{to: out, path: '{path}'}}\n"
    problems = mistakes(tmp_path, PROJECTS + projects + downloads, files=False)
    assert [problem.message for problem in problems if problem.line == 7][0].endswith(f"would meet: add {missing}")


def test_keys_that_hold_the_sign_between_them_meet_and_are_refused(tmp_path: Path) -> None:
    text = PROJECTS.replace("film: {}", "b-web: {}")
    projects = (
        "{a: {models: [a], template: studio, renders: [b-web]}, a-b: {models: [b], template: studio, renders: [web]}}"
    )
    downloads = "downloads: {to: out, path: '{project}-{settings}/{name}.{ext}'}"
    problems = mistakes(tmp_path, f"{text}projects: {projects}\n{downloads}\n", files=False)
    assert [problem.message for problem in problems if problem.line == 7] == [
        "the files of render.a/b-web and render.a-b/web would meet: give {project} and {settings} a / at both ends"
    ]


@pytest.mark.parametrize("path", ["{model}/{settings}/{name}.{ext}", "{project}-{settings}-{name}.{ext}"])
def test_paths_that_keep_renders_apart_are_accepted(tmp_path: Path, path: str) -> None:
    projects = "projects: {p: {models: [a, b], template: studio, createPerModel: true, renders: [web, film]}}\n"
    text = f"{PROJECTS}{projects}downloads: {{to: out, path: '{path}'}}\n"
    spec = read_spec(written(tmp_path, text), env={}, files=False)
    assert spec.downloads is not None
    assert spec.downloads.path == path


def test_an_entry_that_nothing_uses_is_no_mistake(tmp_path: Path) -> None:
    spec = read_spec(written(tmp_path, PROJECTS), env={}, files=False)
    assert list(spec.models) == ["a", "b"]


def test_a_wrong_section_does_not_make_everything_that_names_it_wrong_twice(tmp_path: Path) -> None:
    text = (
        HEAD + "models: {lamp: {fil: a.glb}}\ntemplates: {t: {id: x}}\nprojects: {p: {models: [lamp], template: t}}\n"
    )
    assert [problem.line for problem in mistakes(tmp_path, text)] == [3, 3]


@pytest.mark.parametrize("name", ["nothing.yaml", "folder"])
def test_a_spec_that_is_not_there_is_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(SpecError) as caught:
        read_spec(tmp_path / name, env={})
    assert str(caught.value).startswith(f"{tmp_path / name}: th")
    assert "\n" not in str(caught.value)


def test_among_many_keys_the_near_one_is_still_found(tmp_path: Path) -> None:
    models = "".join(f"  sku-{number:05}: {{file: a.glb}}\n" for number in range(3000))
    text = (
        f"{HEAD}templates: {{t: {{id: x}}}}\nprojects: {{p: {{models: [sku-O2500], template: t}}}}\nmodels:\n{models}"
    )
    problems = mistakes(tmp_path, text, files=False)
    assert problems[0].message.endswith("did you mean 'sku-02500'?")


def test_a_thousand_mistakes_are_counted_and_not_all_printed(tmp_path: Path) -> None:
    text = f"{HEAD}models:\n" + "".join(f"  m{number}: {{file: none.glb}}\n" for number in range(1000))
    with pytest.raises(SpecError) as caught:
        read_spec(written(tmp_path, text), env={})
    assert len(caught.value.problems) == 1000
    assert str(caught.value).endswith("… and 900 more like these")


SECRET = "s3cr3t-K7f9QxVw"


def _texts(value: Any) -> list[tuple[Any, Any]]:
    places = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    inner = [one for _, part in places if isinstance(part, dict | list) for one in _texts(part)]
    return [(value, key) for key, part in places if isinstance(part, str)] + inner


@given(documents(), st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_message_tells_what_a_variable_stands_for(tmp_path: Path, document: Document, data: st.DataObject) -> None:
    """Wherever a secret is put by a variable, and whatever else is wrong, it is not told."""
    document = copy.deepcopy(document)
    for _ in range(3):
        container, key = data.draw(st.sampled_from(_texts(document)))
        container[key] = data.draw(st.sampled_from(["${env:KEY}", "x ${env:KEY} y", "models/${env:KEY}.glb"]))
    document.setdefault("service", {})["apiKey"] = "${env:KEY}"
    document["service"][data.draw(st.sampled_from(["enpoint", "endpoint"]))] = "https://api.glossi.app"
    path = written(tmp_path, as_block(document))
    try:
        spec = read_spec(path, env={"KEY": SECRET})
    except SpecError as error:
        assert SECRET not in str(error) + repr(error)
    else:
        assert SECRET not in repr(spec.service) + str(spec.service)


@pytest.mark.parametrize(
    "text",
    [
        f"service: {{apiKey: [{SECRET}]}}",
        f"service: {{apiKey: {{{SECRET}: 1}}}}",
        "service: {apiKey: 12345678}",
        "service: {endpoint: glsi_0123_abcdef}",
        "service: {apkey: glsi_0123_abcdef}",
        "models: {glsi_0123_abcdef: {file: 1}}",
    ],
)
def test_a_key_that_stands_in_the_file_itself_is_not_told_either(tmp_path: Path, text: str) -> None:
    said = "\n".join(map(str, mistakes(tmp_path, HEAD + text + "\n")))
    for secret in (SECRET, "12345678", "abcdef"):
        assert secret not in said
