"""Read a spec: files -> values with positions -> checks -> ``Spec``. Nothing is built before everything was checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from glossi_sync.collecting import uncollected
from glossi_sync.resources import EVENTS, RenderSettings, TemplateRef, Webhook, file_type_of
from glossi_sync.resources.render import SETTING_NAMES
from glossi_sync.spec.catalogues import SECTION, Catalogues, row_marks
from glossi_sync.spec.document import (
    Downloads,
    Guard,
    ModelEntry,
    ProjectEntry,
    RenderEntry,
    Service,
    Spec,
    WebhookEntry,
)
from glossi_sync.spec.endpoint import LOCAL, endpoint_problem
from glossi_sync.spec.files import file_problem, location_of
from glossi_sync.spec.given import SECTION as VARIABLES
from glossi_sync.spec.given import Given, defaults_in, unused
from glossi_sync.spec.neighbours import Neighbours
from glossi_sync.spec.problems import Problem, SpecError
from glossi_sync.spec.references import check_references
from glossi_sync.spec.remote import is_remote, shown_file, type_named_by
from glossi_sync.spec.schema import Container, spec_check
from glossi_sync.spec.variables import Substituted, Variables, names_in, substitute
from glossi_sync.spec.yaml_values import MAX_FILES, Map, Seq, pack, parse, unpack

SUFFIXES = (".yaml", ".yml")
_ENTRIES = ("models", "templates", "renderSettings", "projects", VARIABLES)
"""Sections of named entries: two files may not name the same one."""
_FIELDS = ("service", "webhook", "downloads", "guard")
"""Sections of fields: two files may name the same one only to say the same."""


class Source(NamedTuple):
    """One file of a spec."""

    path: Path
    content: bytes


def read_spec(
    path: Path,
    *,
    env: Mapping[str, str],
    given: Given | None = None,
    endpoint: str | None = None,
    files: bool = True,
) -> Spec:
    """Read and check the spec in a file, or in a folder's ``*.yaml`` and ``*.yml`` files (contract, "The spec").

    ``env`` is where ``${env:…}`` looks, and ``given`` where ``${var:…}`` does before the spec's own ``variables``;
    ``endpoint`` takes the place of the spec's own (see ``endpoint_problem``), and an API key that the environment lacks
    is no mistake where the endpoint is ``local``. ``files=False`` leaves looking at the model files to ``hash_models``,
    which looks only at those that changed; where the spec has mistakes they are looked at all the same, so that all
    mistakes are told at once.

    Raises:
        SpecError: everything that is wrong.
    """
    sources = _sources(path)
    with uncollected():
        return _read(path, sources, env=env, given=given or Given(), endpoint=endpoint, files=files)


def _read(
    path: Path, sources: Sequence[Source], *, env: Mapping[str, str], given: Given, endpoint: str | None, files: bool
) -> Spec:
    found = Found([str(source.path) for source in sources])
    defaults = defaults_in((source.content for source in sources), env)
    variables = Variables(env, given.over(defaults))
    root, texts = load(sources, partial(substitute, variables=variables), found)
    if root is None:
        raise found.error()
    _excuse(root, endpoint, given, texts, found)
    whole = Map()
    whole.put("", root, pack(0, 0, 0), pack(0, 0, 0))
    spec_check()(whole, "", found.report)
    folder = (path if path.is_dir() else path.parent).absolute()
    catalogues = Catalogues(root, folder, sources[0].path.parent, found)
    check_references(root, catalogues.made, found.report)
    if endpoint is not None:
        found.elsewhere += _override_problems(root, endpoint)
    found.elsewhere += unused(given, variables, defaults)
    if files or found.any() or catalogues.any():
        neighbours = Neighbours()
        _look_at_files(root, folder, neighbours, found)
        catalogues.look_at_files(neighbours)
    if catalogues.any():
        found.rows += catalogues.problems()
    if found.any():
        raise found.error()
    digest = digest_of(sources)
    fingerprint = _fingerprint(root, digest, catalogues, variables)
    spec = _build(root, catalogues, folder, endpoint)
    return replace(spec, sources=tuple(source.path for source in sources), files_digest=digest, fingerprint=fingerprint)


class Found:
    """The mistakes found so far, by place; the same mistake under two aliases of one value is one.

    ``elsewhere`` are those of the command line, ``rows`` those of the catalogues' rows.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.problems: dict[tuple[int, str], None] = {}
        self.elsewhere: list[Problem] = []
        self.rows: list[Problem] = []
        self._names = names

    def any(self) -> bool:
        """Whether anything is wrong."""
        return bool(self.problems or self.elsewhere or self.rows)

    def add(self, mark: int, message: str) -> None:
        """A mistake at a packed place."""
        self.problems[mark, message] = None

    def report(self, container: Container, key: str | int, message: str, at: Literal["key", "value"] = "value") -> None:
        """A mistake at a value, or at its key: a ``Report``."""
        value = container[key]  # type: ignore[index]
        if isinstance(value, Substituted) and (value.problem is not None or value.parts):
            return  # What the variable would have stood for is not known.
        self.add(mark_of(container, key, at), message)

    def name(self, mark: int) -> str:
        """A packed place, as it is written."""
        place = unpack(mark)
        return f"{self._names[place.file]}:{place.line}:{place.column}"

    def error(self) -> SpecError:
        """All mistakes, in order."""
        problems = list(self.elsewhere)
        for mark, message in sorted(self.problems):
            place = unpack(mark)
            problems.append(Problem(self._names[place.file], place.line, place.column, message))
        return SpecError(problems + self.rows)


def mark_of(container: Container, key: Any, at: Literal["key", "value"]) -> int:
    """The packed place of a value, or of its key."""
    marks = container.marks_of(key) if isinstance(container, Map) else (container.marks[key],) * 2
    return marks[0 if at == "key" else 1]


def _sources(path: Path) -> list[Source]:
    try:
        if not path.is_dir():
            return [Source(path, path.read_bytes())]
        names = sorted(
            entry.name
            for entry in path.iterdir()
            if entry.suffix in SUFFIXES and not entry.name.startswith(".") and entry.is_file()
        )
        if len(names) > MAX_FILES:
            raise SpecError([Problem(str(path), 0, 0, f"a spec has at most {MAX_FILES} files, not {len(names)}")])
        if names:
            return [Source(path / name, (path / name).read_bytes()) for name in names]
    except FileNotFoundError:
        raise SpecError([Problem(str(path), 0, 0, "there is no such file; name the spec with -f FILE")]) from None
    except OSError as error:
        name = str(error.filename or path)
        raise SpecError([Problem(name, 0, 0, f"the spec cannot be read: {error.strerror or error}")]) from None
    raise SpecError([Problem(str(path), 0, 0, "this folder holds no spec: no *.yaml or *.yml file lies in it")])


def digest_of(sources: Iterable[Source]) -> str:
    """A hash of a spec's files."""
    sha256 = hashlib.sha256()
    for source in sources:
        sha256.update(f"{source.path.name}\0{len(source.content)}\0".encode("utf-8", "surrogateescape"))
        sha256.update(source.content)
    return sha256.hexdigest()


def _fingerprint(root: Map, digest: str, catalogues: Catalogues, variables: Variables) -> str:
    """Of all that decides what is asked for; of the variables' values, which may be secret, only the hash remains."""
    key = root.get("service", {}).get("apiKey")
    unasked = names_in(key.written) if isinstance(key, Substituted) else set()
    used = [one for one in sorted(variables.used.items()) if one[0] not in unasked]
    rows = [one.digest for one in catalogues.generated]
    if used or rows:
        digest = hashlib.sha256(json.dumps([digest, rows, used]).encode()).hexdigest()
    return f"sha256:{digest}"


def load(
    sources: Sequence[Source], replace: Callable[[str], Substituted], found: Found
) -> tuple[Map | None, list[tuple[int, Substituted]]]:
    """Parse all files and make one spec of them; None where one is unreadable, since what it defines is unknown.

    With it come the texts in which something is left to be replaced.
    """
    roots: list[Map] = []
    variables: list[tuple[int, Substituted]] = []
    for number, source in enumerate(sources):
        parsed = parse(source.content, number, str(source.path), replace)
        for mark, message in parsed.problems:
            found.add(mark, message)
        variables += parsed.variables
        if parsed.root is not None:
            roots.append(parsed.root)
    if len(roots) < len(sources):
        return None, variables
    return roots[0] if len(roots) == 1 else _merge(roots, found), variables


def _merge(roots: Iterable[Map], found: Found) -> Map:
    whole = Map()
    for root in roots:
        for name, value in root.items():
            if name not in whole:
                whole.copy_from(root, name)
            elif name in _ENTRIES + _FIELDS and isinstance(value, Map) and isinstance(whole[name], Map):
                section = Map()
                for part in (whole[name], value):
                    for key in part:
                        if key not in section:
                            section.copy_from(part, key)
                        elif name in _ENTRIES or part[key] != section[key]:
                            first = found.name(section.marks_of(key)[0])
                            found.add(part.marks_of(key)[0], f"{name}.{key} is already defined at {first}")
                whole[name] = section
            elif name == SECTION and isinstance(value, Seq) and isinstance(whole[name], Seq):
                whole[name].marks.extend(value.marks)
                whole[name].extend(value)
            elif value != whole[name]:
                first = found.name(whole.marks_of(name)[0])
                found.add(root.marks_of(name)[0], f"{name} is already defined, otherwise, at {first}")
    return whole


def _excuse(
    root: Map, endpoint: str | None, given: Given, texts: Iterable[tuple[int, Substituted]], found: Found
) -> None:
    """Report the variables that could not be replaced, but for those that are not needed, or are a catalogue's."""
    service, defaults = (value if isinstance(value, Map) else Map() for value in map(root.get, ("service", VARIABLES)))
    local = (endpoint or service.get("endpoint", LOCAL)) == LOCAL
    excused: list[Any] = [value for name, value in defaults.items() if name in given.files or name in given.options]
    key = service.get("apiKey")
    if isinstance(key, Substituted) and local and key.unset:
        excused.append(key)
    elif isinstance(key, str) and not key and not local:
        found.report(service, "apiKey", "apiKey is empty; the service asks for one")
    if endpoint is not None:
        excused.append(service.get("endpoint"))
    rows = row_marks(root)
    for mark, text in texts:
        if text.parts and mark not in rows:
            found.add(mark, "${row.…} is a value of a catalogue's row; it means nothing here")
        elif text.problem is not None and not any(text is one for one in excused):
            found.add(mark, text.problem)
    for name, value in defaults.items():
        if isinstance(value, Substituted) and any(one.startswith("var:") for one in names_in(value.written)):
            found.report(defaults, name, "a variable's default may name the environment, but no other variable")


def _override_problems(root: Map, endpoint: str) -> list[Problem]:
    service = root.get("service")
    allow_http = isinstance(service, Map) and service.get("allowHttp") is True
    problem = endpoint_problem(endpoint, allow_http=allow_http)
    return [] if problem is None else [Problem("--endpoint or GLOSSI_ENDPOINT", 0, 0, problem)]


def _look_at_files(root: Map, folder: Path, neighbours: Neighbours, found: Found) -> None:
    models = root.get("models")
    for model in models.values() if isinstance(models, Map) else ():
        if not isinstance(model, Map):
            continue
        file, declared = model.get("file"), model.get("fileType")
        if not isinstance(file, str) or not file or is_remote(file) or "\0" in file:
            continue
        file_type = declared if isinstance(declared, str) else file_type_of(file)
        if file_type is not None:
            problem = file_problem(location_of(str(folder), file), _written(file), file_type, neighbours)
            if problem is not None:
                found.report(model, "file", problem)


def _written(text: str) -> str:
    return text.written if isinstance(text, Substituted) else text


def _build(root: Map, catalogues: Catalogues, folder: Path, endpoint: str | None) -> Spec:
    """The spec's values with every default filled in; everything is known to be right, and where it stood forgotten."""
    models = {key: _model(key, model, folder) for key, model in root.get("models", {}).items()}
    projects = {key: _project(key, project) for key, project in root.get("projects", {}).items()}
    spelled = len(models)
    models.update(catalogues.made.models)
    projects.update(catalogues.made.projects)
    return Spec(
        sources=(),
        folder=folder,
        fingerprint="",
        workspace=str(root["workspace"]),
        names_count=root.get("names") == "replace",
        retries=root.get("retries", 2),
        guard=Guard(**root.get("guard", {})),
        service=_service(root.get("service", {}), endpoint),
        models=models,
        templates={
            key: TemplateRef(template_id=_text(ref, "id"), name=_text(ref, "name"))
            for key, ref in root.get("templates", {}).items()
        },
        render_settings={
            key: RenderSettings(**{field: group[name] for field, name in SETTING_NAMES.items() if name in group})
            for key, group in root.get("renderSettings", {}).items()
        },
        projects=projects,
        webhook=_webhook(root["webhook"], folder) if "webhook" in root else None,
        downloads=_downloads(root["downloads"], folder) if "downloads" in root else None,
        generated=tuple(replace(one, first=spelled + one.first) for one in catalogues.generated),
    )


def _text(values: Map, key: str) -> str | None:
    """A text as plain ``str``: where its variables came from matters to messages only."""
    return str(values[key]) if key in values else None


def _service(service: Mapping[str, Any], endpoint: str | None) -> Service:
    key = service.get("apiKey") or None
    if isinstance(key, Substituted) and key.problem is not None:
        key = None
    return Service(str(endpoint or service.get("endpoint", LOCAL)).rstrip("/"), key and str(key))


def _model(key: str, model: Map, folder: Path) -> ModelEntry:
    file = str(model["file"])
    file_type = _text(model, "fileType") or type_named_by(file) or ""
    location = location_of(str(folder), file)
    return ModelEntry(key, _text(model, "name") or key, shown_file(_written(model["file"])), location, file_type)


def _project(key: str, project: Map) -> ProjectEntry:
    renders = project.get("renders", ())
    if isinstance(renders, Map):
        entries = tuple(RenderEntry(name, (wanted or {}).get("revision", 1)) for name, wanted in renders.items())
    else:
        entries = tuple(RenderEntry(str(name)) for name in renders)
    return ProjectEntry(
        key=key,
        name=_text(project, "name"),
        models=tuple(map(str, project["models"])),
        template=str(project["template"]),
        create_per_model=project.get("createPerModel", False),
        renders=entries,
    )


def _webhook(webhook: Map, folder: Path) -> WebhookEntry:
    events = webhook.get("events", EVENTS)
    return WebhookEntry(
        Webhook(
            url=str(webhook["url"]),
            events=tuple(event for event in EVENTS if event in events),
            enabled=webhook.get("enabled", True),
            description=_text(webhook, "description"),
        ),
        secret_file=folder / webhook["secretFile"] if "secretFile" in webhook else None,
    )


def _downloads(downloads: Map, folder: Path) -> Downloads:
    fields = {"path": _text(downloads, "path"), "source": _text(downloads, "from")}
    return Downloads(folder / downloads["to"], **{name: value for name, value in fields.items() if value is not None})
