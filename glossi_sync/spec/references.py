"""What the schema cannot say: names that must be defined elsewhere in the spec, and texts that must make sense."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from glossi_sync.resources import file_type_of
from glossi_sync.resources.address import KEY_PATTERN, project_address
from glossi_sync.resources.model import FILE_TYPES
from glossi_sync.spec.downloads import AUTO, expand, path_problem, source_problem
from glossi_sync.spec.endpoint import LOCAL, endpoint_problem, url_problem
from glossi_sync.spec.problems import near
from glossi_sync.spec.schema import Report, show
from glossi_sync.spec.yaml_values import Map, Seq


def check_references(root: Map, report: Report) -> None:
    """Report what is wrong beyond the shape. Values of a wrong type, reported with the shape, are passed over."""
    _workspace(root, report)
    _service(root, report)
    _models(root, report)
    _projects(root, report)
    _webhook(root, report)
    _downloads(root, report)


def _section(root: Map, name: str) -> Map:
    value = root.get(name)
    return value if isinstance(value, Map) else Map()


def _texts(container: Any) -> Iterable[tuple[Any, str]]:
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
    service = _section(root, "service")
    endpoint = service.get("endpoint")
    if isinstance(endpoint, str) and endpoint:
        _told(
            service, "endpoint", endpoint_problem(endpoint, allow_http=service.get("allowHttp") is True), report, LOCAL
        )


def _models(root: Map, report: Report) -> None:
    for model in _section(root, "models").values():
        file = model.get("file") if isinstance(model, Map) else None
        if not isinstance(file, str) or not file:
            continue
        if "://" in file:
            report(model, "file", f"{show(file)} is a URL; name a file on this machine")
        elif "\0" in file:
            report(model, "file", "a file's name cannot hold a NUL character")
        elif "fileType" not in model and file_type_of(file) is None:
            suffix = file.rpartition(".")[2].lower() if "." in file else ""
            hint = near(suffix, FILE_TYPES) if suffix else ""
            kinds = ", ".join(FILE_TYPES)
            report(model, "file", f"the suffix of {show(file)} names no file type of the service ({kinds}){hint}")


def _projects(root: Map, report: Report) -> None:
    models, templates = _section(root, "models"), _section(root, "templates")
    settings = _section(root, "renderSettings")
    for name, project in _section(root, "projects").items():
        if not isinstance(project, Map):
            continue
        template = project.get("template")
        if isinstance(template, str) and template and template not in templates:
            report(project, "template", _unknown(name, "template", template, "templates", templates))
        if isinstance(project.get("models"), Seq):
            for index, key in _texts(project["models"]):
                if key not in models:
                    report(project["models"], index, _unknown(name, "model", key, "models", models))
        renders = project.get("renders")
        if not isinstance(renders, Map | Seq):
            continue
        for key, group in _texts(renders):
            if group not in settings:
                message = _unknown(name, "render settings", group, "renderSettings", settings)
                report(renders, key, message, "key" if isinstance(renders, Map) else "value")


def _unknown(project: str, what: str, key: str, section: str, known: Map) -> str:
    if not known:
        return f"project {project!r} names the {what} {show(key)}, but the spec has no {section!r}"
    return f"project {project!r} names the {what} {show(key)}, which {section!r} does not have{near(key, known)}"


def _webhook(root: Map, report: Report) -> None:
    webhook = _section(root, "webhook")
    url = webhook.get("url")
    if isinstance(url, str) and url:
        problem = url_problem(url, ("https", "http"))
        _told(webhook, "url", problem and f"url {problem}", report)


def _downloads(root: Map, report: Report) -> None:
    downloads = _section(root, "downloads")
    source, path = downloads.get("from"), downloads.get("path")
    if isinstance(source, str) and source:
        _told(downloads, "from", source_problem(source), report, AUTO)
    if not isinstance(path, str) or not path:
        return
    problem = path_problem(path)
    if problem is None and not ("{project}" in path and "{settings}" in path):
        problem = _meeting(root, path)
    if problem is not None:
        report(downloads, "path", problem)


def _meeting(root: Map, path: str) -> str | None:
    """Two renders whose files would lie in one place, as a message."""
    taken: dict[str, tuple[str, str]] = {}
    for address, models, settings in _renders(root):
        place = expand(path, {"project": address, "model": "+".join(models), "settings": settings})
        first = taken.setdefault(place, (address, settings))
        if first != (address, settings):
            missing = "{project}" if first[0] != address else "{settings}"
            return f"the files of render.{'/'.join(first)} and render.{address}/{settings} would meet: add {missing}"
    return None


def _renders(root: Map) -> Iterable[tuple[str, tuple[str, ...], str]]:
    """Every render that the spec defines: its project's address without the kind, the models' and settings' keys."""
    models, settings = _section(root, "models"), _section(root, "renderSettings")
    for name, project in _section(root, "projects").items():
        if not isinstance(project, Map):
            continue
        keys = tuple(text for _, text in _texts(project.get("models")) if text in models)
        per_model = project.get("createPerModel") is True
        for group in [(key,) for key in keys] if per_model else [keys]:
            address = project_address(name, group[0] if per_model else None).removeprefix("project.")
            for _, group_key in _texts(project.get("renders")):
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
