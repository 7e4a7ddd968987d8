"""Catalogues: models and projects generated from rows, as if each were written down in the spec.

    rows --> key --> model.KEY
                 --> project.KEY, or project.KEY.SUFFIX for each of several

Every text is compiled once. What is wrong with a value is told at the row's field that it came from, what is wrong
with every row at its place in the spec; a row with a problem makes no entry, but its other values are looked at too.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol, TypeGuard

from glossi_sync.resources import FILE_TYPES
from glossi_sync.resources.address import KEY_PATTERN
from glossi_sync.spec.document import Generated, ModelEntry, ProjectEntry, RenderEntry
from glossi_sync.spec.fields import Columns, Field, compile_field
from glossi_sync.spec.files import file_problem, location_of, name_problem
from glossi_sync.spec.filters import slug
from glossi_sync.spec.neighbours import Neighbours
from glossi_sync.spec.problems import Problem, is_utf8, near
from glossi_sync.spec.references import Made, section, texts, unknown
from glossi_sync.spec.remote import is_remote, shown_file, type_named_by
from glossi_sync.spec.row_problems import Repeated, RowProblems
from glossi_sync.spec.rows import ColumnName, Flaw, Row, Rows, RowsError, open_rows
from glossi_sync.spec.schema import Report, show
from glossi_sync.spec.variables import Substituted
from glossi_sync.spec.yaml_values import Map, Seq

SECTION = "catalogues"

_KEY_RULE = "may hold letters, digits, '.', '_' and '-', and starts with a letter or digit"

_KEY = re.compile(KEY_PATTERN)
_TYPES = {kind: kind for kind in FILE_TYPES}
_MODEL_TEXTS = ("name", "file", "fileType")
_PROJECT_TEXTS = ("name", "template")


class Findings(Protocol):
    """Takes what is wrong with the spec, and tells places of it."""

    @property
    def report(self) -> Report: ...

    def add(self, mark: int, message: str) -> None: ...

    def name(self, mark: int) -> str: ...


@dataclass(frozen=True, slots=True)
class _Project:
    """One project for each row. ``renders`` are those that a row names, ``fixed`` all of them where no row does."""

    suffix: str
    name: Field | None
    template: Field
    renders: tuple[Field, ...]
    fixed: tuple[RenderEntry, ...] | None


@dataclass(frozen=True, slots=True)
class _Catalogue:
    """One catalogue, compiled."""

    number: int
    entry: Map
    rows: Rows
    columns: Sequence[ColumnName]
    key: Field
    name: Field | None
    file: Field
    file_type: Field | None
    projects: tuple[_Project, ...]

    def defined(self) -> Iterator[tuple[int, Repeated]]:
        """Every entry that the rows define, by its row's number."""
        for number, row in enumerate(self.rows.read(self.columns)):
            if not isinstance(row, Flaw):
                key = self.key.value(row)
                yield number, Repeated("models", key)
                for project in self.projects:
                    yield number, Repeated("projects", key + project.suffix)


def row_marks(root: Map) -> set[int | None]:
    """The places in a spec where a text may name values of a row."""
    marks: set[int | None] = set()
    for entry in _list(root.get(SECTION)):
        marks.add(_mark(entry, "key"))
        model = entry.get("model")
        if isinstance(model, Map):
            marks.update(_mark(model, name) for name in _MODEL_TEXTS)
        for _, project in _projects_of(entry):
            marks.update(_mark(project, name) for name in _PROJECT_TEXTS)
            renders = project.get("renders")
            if isinstance(renders, Seq):
                marks.update(renders.marks)
    return marks


class Catalogues:
    """The catalogues of a spec. ``base`` is its folder as the user would call it."""

    def __init__(self, root: Map, folder: Path, base: Path, found: Findings) -> None:
        self.made = Made()
        self.generated: list[Generated] = []
        self.unreadable: list[Problem] = []
        """What is wrong with rows as a whole."""
        self._root = root
        self._folder = folder
        self._found = found
        self._expansions: list[_Expansion] = []
        for number, entry in enumerate(_list(root.get(SECTION))):
            compiled = self._compile(number, entry, base)
            if compiled is None:
                self.made.whole = False
            else:
                self._expand(compiled)

    def _compile(self, number: int, entry: Map, base: Path) -> _Catalogue | None:
        """A catalogue ready to be read, or None where it is not to be made sense of, which was reported."""
        rows, model = entry.get("rows"), entry.get("model")
        if not _is_fixed(rows) or not isinstance(model, Map):
            return None
        try:
            opened = open_rows(str(rows), _written(rows), self._folder, base)
        except RowsError as error:
            for problem in error.problems:
                if problem.file:
                    self.unreadable.append(problem)
                else:
                    self._found.report(entry, "rows", problem.message)
            return None
        compiler = _Compiler(self._root, opened, self._found)
        key, file = compiler.field(entry, "key"), compiler.field(model, "file")
        projects = [compiler.project(suffix, project) for suffix, project in _projects_of(entry)]
        name, file_type = compiler.optional(model, "name"), compiler.optional(model, "fileType")
        compiler.check_model(entry, model)
        if key is None or file is None or compiler.failed:
            return None
        wanted = compiler.columns.wanted()
        good = tuple(project for project in projects if project is not None)
        return _Catalogue(number, entry, opened, wanted, key, name, file, file_type, good)

    def _expand(self, catalogue: _Catalogue) -> None:
        first = len(self.made.models)
        expansion = _Expansion(catalogue, self._root, str(self._folder), self.made)
        expansion.run()
        self._expansions.append(expansion)
        count = len(self.made.models) - first
        rows = str(catalogue.entry["rows"])
        self.generated.append(Generated(catalogue.number, rows, first, count, catalogue.rows.digest))

    def look_at_files(self, neighbours: Neighbours) -> None:
        """Look at every generated model's file."""
        for expansion, made in zip(self._expansions, self.generated, strict=True):
            entries = islice(self.made.models.values(), made.first, made.first + made.count)
            expansion.look_at_files(entries, neighbours)

    def any(self) -> bool:
        """Whether any row has a problem."""
        return bool(self.unreadable) or any(one.problems.any() for one in self._expansions)

    def problems(self) -> list[Problem]:
        """All that is wrong with rows; what is too much to tell is reported at the catalogue's own place."""
        told = list(self.unreadable)
        repeated = {one for expansion in self._expansions for one in expansion.problems.repeated()}
        places = self._first_places(repeated) if repeated else {}
        for expansion in self._expansions:
            told += expansion.problems.placed(places)
            if more := expansion.problems.uncounted:
                rows = expansion.catalogue.rows.name
                self._found.report(expansion.catalogue.entry, "rows", f"{rows}: {more:,} more problems are not listed")
        return told

    def _first_places(self, repeated: set[Repeated]) -> dict[Repeated, str]:
        places: dict[Repeated, str] = {}
        for one in repeated:
            written = section(self._root, one.section)
            if one.key in written:
                places[one] = self._found.name(written.marks_of(one.key)[0])
        for expansion in self._expansions:
            catalogue = expansion.catalogue
            found: dict[Repeated, int] = {}
            for number, one in catalogue.defined():
                if one in repeated and one not in places:
                    found.setdefault(one, number)
            wanted = [(number, catalogue.key.where, "") for number in found.values()]
            for one, place in zip(found, catalogue.rows.places(wanted), strict=True):
                places[one] = str(place).removesuffix(": ")
        return places


class _Compiler:
    """Compiles the texts of one catalogue, and checks those that are the same in every row."""

    def __init__(self, root: Map, rows: Rows, found: Findings) -> None:
        self.columns = Columns()
        self.failed = False
        self._rows = rows
        self._found = found
        self._report = found.report
        self._templates = section(root, "templates")
        self._settings = section(root, "renderSettings")

    def field(self, container: Map | Seq, key: Any) -> Field | None:
        """A text of the catalogue; None where it is none, or names what the rows do not have."""
        text = container[key] if isinstance(container, Seq) or key in container else None
        if not _is_text(text):
            self.failed = True
            return None
        compiled = compile_field(text, self.columns)
        for column in compiled.columns:
            refusal = self._rows.refusal(ColumnName(column.name, column.optional))
            if refusal is not None:
                mark = container.marks_of(key)[1] if isinstance(container, Map) else container.marks[key]
                self._found.add(mark, f"{column.written}: {refusal}")
                self.failed = True
        return compiled

    def optional(self, container: Map, key: str) -> Field | None:
        """A text that may be left out."""
        return self.field(container, key) if key in container else None

    def check_model(self, entry: Map, model: Map) -> None:
        """Check what does not differ between rows."""
        key, file, file_type = entry.get("key"), model.get("file"), model.get("fileType")
        if _is_fixed(key):
            self._report(entry, "key", "the key is the same in every row; name a column: ${row.NAME}")
            self.failed = True
        if _is_fixed(file_type) and file_type not in _TYPES:
            self._report(model, "fileType", _unknown_type(show(file_type), str(file_type)))
        if _is_fixed(file):
            problem = name_problem(str(file), show(shown_file(_written(file))), typed="fileType" in model)
            if problem is not None:
                self._report(model, "file", problem)

    def project(self, suffix: str, project: Map) -> _Project | None:
        """A project of the catalogue, or None where something in it is not to be made sense of."""
        name, template = self.optional(project, "name"), self.field(project, "template")
        label = f"KEY{suffix}"
        named, written = project.get("template"), project.get("renders", Seq())
        if _is_fixed(named) and named not in self._templates:
            self._report(project, "template", unknown(label, "template", named, "templates", self._templates))
        for index, key in texts(written):
            if _is_fixed(key) and key not in self._settings:
                message = unknown(label, "render settings", key, "renderSettings", self._settings)
                self._report(written, index, message, "key" if isinstance(written, Map) else "value")
        if template is None:
            return None
        if isinstance(written, Map):
            return _Project(suffix, name, template, (), tuple(_render(key, wanted) for key, wanted in written.items()))
        fields = [self.field(written, index) for index, _ in texts(written)]
        renders = tuple(one for one in fields if one is not None)
        fixed = (
            None if any(one.columns for one in renders) else tuple(RenderEntry(str(key)) for _, key in texts(written))
        )
        return _Project(suffix, name, template, renders, fixed)


class _Expansion:
    """Makes the entries of one catalogue's rows, and gathers what is wrong with them."""

    def __init__(self, catalogue: _Catalogue, root: Map, folder: str, made: Made) -> None:
        self.catalogue = catalogue
        self.problems = RowProblems(catalogue.rows)
        self._folder = folder
        self._made = made
        self._models = section(root, "models")
        self._projects = section(root, "projects")
        self._templates = section(root, "templates")
        self._settings = section(root, "renderSettings")
        self._template_keys = {key: key for key in self._templates}
        self._renders: dict[tuple[str, ...], tuple[RenderEntry, ...]] = {}
        self._numbers = array("Q")
        """Of the rows that made a model, in their order."""
        self._unmade: list[tuple[int, ModelEntry]] = []
        """What a good key would have made."""

    def run(self) -> None:
        catalogue, models = self.catalogue, self._made.models
        key_of, projects = catalogue.key.value, catalogue.projects
        for number, row in enumerate(catalogue.rows.read(catalogue.columns)):
            if isinstance(row, Flaw):
                self._made.whole = False
                self.problems.add(number, row.where, row.message)
                continue
            key = key_of(row)
            good = self._is_new(number, row, key)
            model = self._model(number, row, key)
            if good:
                models[key] = model
                self._numbers.append(number)
            else:
                self._unmade.append((number, model))
            for project in projects:
                self._project(number, row, key, project, good)

    def look_at_files(self, entries: Iterable[ModelEntry], neighbours: Neighbours) -> None:
        """Look at the files of the models that were made."""
        where = self.catalogue.file.where
        for number, entry in chain(zip(self._numbers, entries, strict=True), self._unmade):
            if entry.file_type and not is_remote(entry.location):
                problem = file_problem(entry.location, entry.file, entry.file_type, neighbours)
                if problem is not None:
                    self.problems.add(number, where, problem)

    def _is_new(self, number: int, row: Row, key: str) -> bool:
        """Whether a row's key is well formed and not defined yet."""
        if _KEY.fullmatch(key) is None:
            self.problems.add(number, self.catalogue.key.where, partial(_bad_key, self.catalogue.key, row))
        elif key in self._made.models or key in self._models:
            self.problems.add(number, self.catalogue.key.where, Repeated("models", key))
        else:
            return True
        return False

    def _model(self, number: int, row: Row, key: str) -> ModelEntry:
        catalogue = self.catalogue
        name, file, typed = key, catalogue.file.value(row), catalogue.file_type
        if catalogue.name is not None:
            name = self._name(number, row, catalogue.name)
        shown = file if catalogue.file.shown is catalogue.file.value else catalogue.file.shown(row)
        remote = is_remote(file)
        if remote:
            shown = shown_file(shown)
        if typed is not None:
            written = typed.value(row)
            file_type = _TYPES.get(written, "")
            if not file_type and typed.columns:
                self.problems.add(number, typed.where, partial(_unknown_type, show(typed.shown(row)), written))
        else:
            file_type = (type_named_by(file) or "") if remote else _file_type(file)
        if not file_type or not file or remote or "\0" in file or not (file.isascii() or is_utf8(file)):
            problem = _bad_file(file, shown, typed is not None)
            if problem is not None:
                file_type = ""
                if catalogue.file.columns:
                    self.problems.add(number, catalogue.file.where, problem)
        return ModelEntry(key, name, shown, location_of(self._folder, file), file_type)

    def _project(self, number: int, row: Row, model: str, project: _Project, good: bool) -> None:
        key = model + project.suffix if project.suffix else model
        name = None if project.name is None else self._name(number, row, project.name)
        written = project.template.value(row)
        template = self._template_keys.get(written)
        if template is None:
            template = written
            if project.template.columns:
                shown = project.template.shown(row)
                label = self.catalogue.key.shown(row) + project.suffix
                message = partial(unknown, label, "template", shown, "templates", self._templates)
                self.problems.add(number, project.template.where, message)
        renders = project.fixed if project.fixed is not None else self._row_renders(number, row, project)
        if not good:
            return
        if key in self._made.projects or key in self._projects:
            self.problems.add(number, self.catalogue.key.where, Repeated("projects", key))
        else:
            self._made.projects[key] = ProjectEntry(key, name, (model,), template, renders=renders)

    def _row_renders(self, number: int, row: Row, project: _Project) -> tuple[RenderEntry, ...]:
        """The renders that a row names; an empty text is none. Rows that name the same ones share them."""
        texts = tuple([one.value(row) for one in project.renders])
        known = self._renders.get(texts)
        if known is not None:
            return known
        good = True
        label = self.catalogue.key.shown(row) + project.suffix
        for index, (one, text) in enumerate(zip(project.renders, texts, strict=True)):
            if not one.columns or not text:
                continue
            message = None
            if text not in self._settings:
                message = partial(unknown, label, "render settings", one.shown(row), "renderSettings", self._settings)
            elif text in texts[:index]:
                message = partial("project {!r} has the render settings {} twice".format, label, show(one.shown(row)))
            if message is not None:
                self.problems.add(number, one.where, message)
                good = False
        entries = tuple(RenderEntry(text) for text in texts if text)
        if good:
            self._renders[texts] = entries
        return entries

    def _name(self, number: int, row: Row, field: Field) -> str:
        name = field.value(row)
        if not name or not (name.isascii() or is_utf8(name)):
            self.problems.add(number, field.where, partial(_bad_name, field, row))
        return name


def _bad_key(field: Field, row: Row) -> str:
    column = field.columns[0]
    hint = "" if slug in column.filters else f"; ${{row.{column.name}|slug}} makes one of it"
    shown = field.shown(row)
    return f"the key {show(shown)} is not well formed: it {_KEY_RULE}{hint}" if shown else "the key is empty"


def _bad_name(field: Field, row: Row) -> str:
    if field.value(row):
        return f"the name {show(field.shown(row))} holds half a character (a lone surrogate)"
    return f"the name is empty; write ${{row.{field.columns[0].name}|default:TEXT}} where it may be"


def _bad_file(file: str, shown: str, typed: bool) -> str | None:
    if not file:
        return "the file's name is empty"
    if not is_utf8(file):
        return f"the file's name {show(shown)} holds half a character (a lone surrogate)"
    return name_problem(file, show(shown), typed=typed)


def _unknown_type(shown: str, written: str) -> str:
    return f"the file type {shown} is none of {', '.join(FILE_TYPES)}{near(written, FILE_TYPES)}"


def _file_type(file: str) -> str:
    """As ``type_named_by``, which makes a path of each text; an empty text where there is none."""
    stem, _, suffix = file.rpartition(".")
    known = _TYPES.get(suffix)
    if known is not None and stem and stem[-1] not in "/\\":
        return known
    return type_named_by(file) or ""


def _render(key: str, wanted: Any) -> RenderEntry:
    return RenderEntry(key, wanted.get("revision", 1) if isinstance(wanted, Map) else 1)


def _list(value: Any) -> Iterator[Map]:
    """The catalogues that are mappings; what they are else is reported with the shape."""
    return (entry for entry in value if isinstance(entry, Map)) if isinstance(value, Seq) else iter(())


def _projects_of(entry: Map) -> Iterator[tuple[str, Map]]:
    """The projects that a catalogue makes for each row, with the suffix of their keys."""
    one, several = entry.get("project"), entry.get("projects")
    if isinstance(one, Map):
        yield "", one
    for suffix, project in several.items() if isinstance(several, Map) else ():
        if isinstance(project, Map):
            yield f".{suffix}", project


def _mark(container: Map, key: str) -> int | None:
    return container.marks_of(key)[1] if key in container else None


def _is_text(value: Any) -> TypeGuard[str]:
    """Whether a value is a text that can be made sense of."""
    return isinstance(value, str) and value != "" and not (isinstance(value, Substituted) and value.problem is not None)


def _is_fixed(value: Any) -> TypeGuard[str]:
    """Whether a value is a text that is the same in every row."""
    return _is_text(value) and not (isinstance(value, Substituted) and value.parts)


def _written(text: str) -> str:
    return text.written if isinstance(text, Substituted) else text
