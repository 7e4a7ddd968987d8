"""What the schema cannot say: names that must be defined elsewhere in the spec, and texts that must make sense."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from glossi_sync.resources.address import KEY_PATTERN, project_address
from glossi_sync.spec.document import ModelEntry, ProjectEntry
from glossi_sync.spec.downloads import AUTO, expand, path_problem, source_problem
from glossi_sync.spec.endpoint import LOCAL, endpoint_problem, url_problem
from glossi_sync.spec.files import name_problem
from glossi_sync.spec.problems import near
from glossi_sync.spec.remote import shown_file
from glossi_sync.spec.schema import Report, show
from glossi_sync.spec.variables import Substituted
from glossi_sync.spec.yaml_values import Map, Seq


@dataclass(slots=True)
class Made:
    """What the spec's catalogues make; not ``whole`` where a row could not be read, so that more may be defined."""

    models: dict[str, ModelEntry] = field(default_factory=dict)
    projects: dict[str, ProjectEntry] = field(default_factory=dict)
    whole: bool = True


def check_references(root: Map, made: Made, report: Report) -> None:
    """Report what is wrong beyond the shape. Values of a wrong type, reported with the shape, are passed over."""
    _workspace(root, report)
    _service(root, report)
    _models(root, report)
    _projects(root, made, report)
    _webhook(root, report)
    _downloads(root, made, report)


def section(root: Map, name: str) -> Map:
    """A section of the spec by name, empty where it is missing or no mapping."""
    value = root.get(name)
    return value if isinstance(value, Map) else Map()


def texts(container: Any) -> Iterable[tuple[Any, str]]:
    """The texts of a list by index, or the keys of a mapping by themselves."""
    pairs: Iterable[tuple[Any, Any]] = ((key, key) for key in container) if isinstance(container, Map) else ()
    if isinstance(container, Seq):
        pairs = enumerate(container)
    return ((key, text) for key, text in pairs if isinstance(text, str) and text)


def _workspace(root: Map, report: Report) -> None:
    workspace = root.get("workspace")
    if isinstance(workspace, str) and "${" in workspace:
        report(root, "workspace", f"workspace must be like {KEY_PATTERN}, unlike {show(workspace)}")


def _service(root: Map, report: Report) -> None:
    service = section(root, "service")
    endpoint = service.get("endpoint")
    if isinstance(endpoint, str) and endpoint:
        _told(
            service, "endpoint", endpoint_problem(endpoint, allow_http=service.get("allowHttp") is True), report, LOCAL
        )


def _models(root: Map, report: Report) -> None:
    for model in section(root, "models").values():
        file = model.get("file") if isinstance(model, Map) else None
        if isinstance(file, str) and file:
            written = file.written if isinstance(file, Substituted) else file
            problem = name_problem(file, show(shown_file(written)), typed="fileType" in model)
            if problem is not None:
                report(model, "file", problem)


def _projects(root: Map, made: Made, report: Report) -> None:
    models, templates = section(root, "models"), section(root, "templates")
    settings = section(root, "renderSettings")
    for name, project in section(root, "projects").items():
        if not isinstance(project, Map):
            continue
        template = project.get("template")
        if isinstance(template, str) and template and template not in templates:
            report(project, "template", unknown(name, "template", template, "templates", templates))
        if isinstance(project.get("models"), Seq):
            for index, key in texts(project["models"]):
                if key not in models and key not in made.models and made.whole:
                    known = ChainMap[str, Any](models, made.models)
                    report(project["models"], index, unknown(name, "model", key, "models", known))
        renders = project.get("renders")
        if not isinstance(renders, Map | Seq):
            continue
        for key, group in texts(renders):
            if group not in settings:
                message = unknown(name, "render settings", group, "renderSettings", settings)
                report(renders, key, message, "key" if isinstance(renders, Map) else "value")


def unknown(project: str, what: str, key: str, where: str, known: Collection[str]) -> str:
    """What is said of a name that the section ``where`` does not define."""
    if not known:
        return f"project {project!r} names the {what} {show(key)}, but the spec has no {where!r}"
    return f"project {project!r} names the {what} {show(key)}, which {where!r} does not have{near(key, known)}"


def _webhook(root: Map, report: Report) -> None:
    webhook = section(root, "webhook")
    url = webhook.get("url")
    if isinstance(url, str) and url:
        problem = url_problem(url, ("https", "http"))
        _told(webhook, "url", problem and f"url {problem}", report)


def _downloads(root: Map, made: Made, report: Report) -> None:
    downloads = section(root, "downloads")
    source, path = downloads.get("from"), downloads.get("path")
    if isinstance(source, str) and source:
        _told(downloads, "from", source_problem(source), report, AUTO)
    if not isinstance(path, str) or not path:
        return
    problem = path_problem(path)
    # Each in a part of its own keeps all renders apart; {project}-{settings} does not, where keys hold a - themselves.
    if problem is None and not {"{project}", "{settings}"} <= set(path.split("/")):
        problem = _meeting(root, made, path)
    if problem is not None:
        report(downloads, "path", problem)


def _meeting(root: Map, made: Made, path: str) -> str | None:
    """Two renders whose files would lie in one place, as a message."""
    taken: dict[str, tuple[str, str]] = {}
    for address, models, settings in chain(_renders(root, made), _generated_renders(made)):
        place = expand(path, {"project": address, "model": "+".join(models), "settings": settings})
        first = taken.setdefault(place, (address, settings))
        if first != (address, settings):
            missing = "{project}" if first[0] != address else "{settings}"
            advice = f"add {missing}" if missing not in path else "give {project} and {settings} a / at both ends"
            return f"the files of render.{'/'.join(first)} and render.{address}/{settings} would meet: {advice}"
    return None


def _generated_renders(made: Made) -> Iterable[tuple[str, tuple[str, ...], str]]:
    """As ``_renders``, of the catalogues' projects, each of which has one model."""
    return ((one.key, one.models, wanted.settings) for one in made.projects.values() for wanted in one.renders)


def _renders(root: Map, made: Made) -> Iterable[tuple[str, tuple[str, ...], str]]:
    """Every render that the spec spells: its project's address without the kind, the models' and settings' keys."""
    models, settings = section(root, "models"), section(root, "renderSettings")
    for name, project in section(root, "projects").items():
        if not isinstance(project, Map):
            continue
        keys = tuple(text for _, text in texts(project.get("models")) if text in models or text in made.models)
        per_model = project.get("createPerModel") is True
        for group in [(key,) for key in keys] if per_model else [keys]:
            address = project_address(name, group[0] if per_model else None).removeprefix("project.")
            for _, group_key in texts(project.get("renders")):
                if group_key in settings:
                    yield address, group, group_key


def _told(container: Map, key: str, problem: str | None, report: Report, word: str | None = None) -> None:
    """Report a problem with a text that is an address, or the one ``word`` that is accepted in its place."""
    if problem is None:
        return
    value: str = container[key]
    # What stands before an @ in a URL may be a password.
    shown = "" if "@" in value else f", unlike {show(value)}"
    report(container, key, problem + shown + near(value, [word] if word else []))
