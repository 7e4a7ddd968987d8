"""Explain: why an object is replaced, field by field, in the words that the user wrote.

Inputs are kept by object, each kind its own; here they are joined into a tree (a render holds its project, a project
its models) and the two trees compared by deepdiff, so that a render's replacement can say that it was a file that
changed: ``project.models[0].file: content changed (sha256 1f3a… -> 9c2e…, 1.2 MB -> 1.3 MB)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from glossi_sync.planning.change import Action, Difference, Plan
from glossi_sync.resources import Inputs, Model, Project, Render, RenderSettings, Webhook
from glossi_sync.resources.render import SETTING_NAMES
from glossi_sync.spec import Desired
from glossi_sync.state import Realised

Tree = dict[str, Any]
ReadInputs = Callable[[Iterable[int]], Mapping[int, Mapping[str, Any]]]


def inputs_of(want: Desired) -> Tree:
    """What is kept in the state of an object's own inputs, for a later explanation; parents are joined when read."""
    inputs: Inputs = want.inputs
    match inputs:
        case Model() as model:
            file = {"path": model.file, "sha256": model.sha256, "size": model.size}
            return {"file": file, "fileType": model.file_type, "name": want.label}
        case Project() as project:
            return {"template": {"id": project.template_id, "name": project.template_name}, "name": want.label}
        case Render() as render:
            return {"settings": _settings(render.settings), "revision": render.revision}
        case Webhook() as webhook:
            return {"url": webhook.url, "events": list(webhook.events), "enabled": webhook.enabled}


def explain(plan: Plan, desired: Mapping[str, Desired], realised: Realised, read_inputs: ReadInputs) -> Plan:
    """The same plan, with the differences of every replaced object filled in.

    ``read_inputs`` reads stored inputs by oid (``State.inputs``); it is called once, with all oids that are needed.
    """
    replaced = [c for c in plan.changes if c.action is Action.REPLACE and c.replaced in realised.objects]
    if not replaced:
        return plan
    oids: set[int] = set()
    for change in replaced:
        _collect(change.replaced, realised, oids)
    stored = read_inputs(oids)
    differences = {
        change.address: _differences(
            _stored_tree(change.replaced, realised, stored), _desired_tree(change.address, desired)
        )
        for change in replaced
        if change.replaced is not None
    }
    changes = tuple(replace(c, diff=differences.get(c.address, c.diff)) for c in plan.changes)
    return replace(plan, changes=changes)


def _collect(oid: int | None, realised: Realised, into: set[int]) -> None:
    one = realised.objects.get(oid) if oid is not None else None
    if one is not None:
        into.add(one.oid)
        for parent in one.parents:
            _collect(parent, realised, into)


def _stored_tree(oid: int, realised: Realised, stored: Mapping[int, Mapping[str, Any]]) -> Tree:
    one = realised.objects[oid]
    parents = [_stored_tree(parent, realised, stored) for parent in one.parents if parent in realised.objects]
    return _join(one.kind, dict(stored.get(oid, {})), parents)


def _desired_tree(address: str, desired: Mapping[str, Desired]) -> Tree:
    want = desired[address]
    return _join(want.kind, inputs_of(want), [_desired_tree(parent, desired) for parent in want.parents])


def _join(kind: str, own: Tree, parents: list[Tree]) -> Tree:
    if kind == "project":
        return {**own, "models": parents}
    if kind == "render":
        return {**own, "project": parents[0] if parents else {}}
    return own


def _differences(before: Tree, after: Tree) -> tuple[Difference, ...]:
    # deepdiff costs 0.1 s to import, and most plans replace nothing.
    from deepdiff import DeepDiff  # noqa: PLC0415

    fields: dict[str, Difference] = {}
    found = DeepDiff(before, after, view="tree", exclude_regex_paths=[r"\['path'\]$"])
    for entries in found.values():
        for entry in entries:
            path = entry.path(output_format="list")
            field, text = _say(path, before, after, entry.t1, entry.t2)
            fields.setdefault(field, Difference(field, text))
    return tuple(fields[field] for field in sorted(fields))


def _say(path: list[str | int], before: Tree, after: Tree, old: Any, new: Any) -> tuple[str, str]:
    """Name the field and tell its change; a file and a template are told whole, not hash by hash."""
    for depth, name in enumerate(path):
        if name in ("file", "template"):
            whole = path[: depth + 1]
            was, now = _at(before, whole), _at(after, whole)
            if isinstance(was, dict) and isinstance(now, dict):
                return _spell(whole), _file(was, now) if name == "file" else _template(was, now)
    return _spell(path), f"{_value(old)} -> {_value(new)}"


def _at(tree: Any, path: list[str | int]) -> Any:
    for name in path:
        try:
            tree = tree[name]
        except (KeyError, IndexError, TypeError):
            return None
    return tree


def _spell(path: list[str | int]) -> str:
    text = ""
    for name in path:
        text += f"[{name}]" if isinstance(name, int) else f".{name}" if text else name
    return text


def _file(was: Tree, now: Tree) -> str:
    hashes = f"sha256 {str(was.get('sha256'))[:4]}… -> {str(now.get('sha256'))[:4]}…"
    return f"content changed ({hashes}, {size(was.get('size', 0))} -> {size(now.get('size', 0))})"


def _template(was: Tree, now: Tree) -> str:
    if was.get("name") != now.get("name"):
        return f"{was.get('name')} -> {now.get('name')}"
    return f"{was.get('name')} is another template now (id {was.get('id')} -> {now.get('id')})"


def _value(value: Any) -> str:
    """A scalar as the user would write it; a whole model by its file; what is not there as a dash."""
    match value:
        case bool():
            return str(value).lower()
        case dict() if isinstance(value.get("file"), dict):
            return str(value["file"].get("path"))
        case str() | int() | float():
            return str(value)
        case None:
            return "-"
        case _:
            return "-" if type(value).__name__ == "NotPresent" else str(value)


def size(count: int) -> str:
    """A number of bytes for a person: ``1.2 MB``."""
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def _settings(settings: RenderSettings) -> Tree:
    return {written: getattr(settings, name) for name, written in SETTING_NAMES.items()}
