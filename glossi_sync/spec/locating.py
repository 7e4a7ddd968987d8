"""Places for problems that are found when the spec was read long ago: the files are read again, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

from glossi_sync.spec.document import Generated, Spec
from glossi_sync.spec.fields import Columns, compile_field
from glossi_sync.spec.problems import Problem
from glossi_sync.spec.reading import Found, Source, digest_of, load, mark_of
from glossi_sync.spec.row_problems import RowProblems
from glossi_sync.spec.rows import RowsError, open_rows
from glossi_sync.spec.variables import Variables, substitute
from glossi_sync.spec.yaml_values import Map


def locate(spec: Spec, messages: Sequence[tuple[tuple[str | int, ...], str]]) -> list[Problem]:
    """Say what is wrong with values of a spec that was read before, given by path: ``("models", "lamp", "file")``.

    What a catalogue made is told at the row's field. Where the files have changed since, the problems stand for the
    whole file.
    """
    unplaced = [Problem(str(spec.sources[0]), 0, 0, message) for _, message in messages]
    try:
        sources = [Source(path, path.read_bytes()) for path in spec.sources]
    except OSError:
        return unplaced
    found = Found([str(source.path) for source in sources])
    # Without the variables' values, which are not needed to tell where something stands.
    root, _ = load(sources, partial(substitute, variables=Variables({})), found)
    if root is None or digest_of(sources) != spec.files_digest:
        return unplaced
    found.problems.clear()
    generated: dict[str, list[tuple[str, str]]] = {}
    for path, message in messages:
        section, key, *rest = path
        if section == "models" and key not in root.get("models", {}):
            generated.setdefault(str(key), []).append((str(rest[0]), message))
            continue
        container: Any = root
        for part in path[:-1]:
            container = container[part]
        found.add(mark_of(container, path[-1], "value"), message)
    for made in spec.generated if generated else ():
        _locate_rows(spec, root, made, generated, found)
    return list(found.error().problems)


def _locate_rows(
    spec: Spec, root: Map, made: Generated, messages: Mapping[str, Sequence[tuple[str, str]]], found: Found
) -> None:
    """Find the places of what is wrong with models that one catalogue made, by key: fields with their messages."""
    keys = islice(spec.models, made.first, made.first + made.count)
    wanted = [(number, *one) for number, key in enumerate(keys) for one in messages.get(key, ())]
    if not wanted:
        return
    entry = root["catalogues"][made.catalogue]
    try:
        rows = open_rows(made.rows, made.rows, spec.folder, spec.sources[0].parent)
    except RowsError:
        rows = None
    if rows is None or rows.digest != made.digest:
        found.rows += [Problem(str(spec.sources[0].parent / made.rows), 0, 0, message) for _, _, message in wanted]
        return
    problems = RowProblems(rows)
    for number, name, message in wanted:
        where = compile_field(entry["model"][name], Columns()).where
        if where is None:
            found.add(mark_of(entry["model"], name, "value"), message)
        else:
            problems.add(number, where, message)
    found.rows += problems.placed({})
    if problems.uncounted:
        found.add(mark_of(entry, "rows", "value"), f"{rows.name}: {problems.uncounted:,} more problems are not listed")
