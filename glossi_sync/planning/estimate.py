"""Estimate: how many calls an apply may make. Planning prints the bound, applying's batchers keep to it.

Steps of the same group may share a call: records all together, projects without a name of their own by template,
renders by settings. When the members become ready at different times, one call for all would make the first wait for
the last; a call for each would be dear. ``allowance`` is the middle: small groups may take a call each, large ones
pay a call for every fiftieth member.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence

from glossi_sync.planning.change import Change
from glossi_sync.resources import Kind, Model, Project, Render
from glossi_sync.spec import Desired

FREE_CALLS = 8
MEMBERS_A_CALL = 50

Group = tuple[str, Hashable]
"""A step's name and what its members share."""


def allowance(members: int) -> int:
    """The most calls that a batched step may take for a group of so many members."""
    if members <= FREE_CALLS:
        return members
    return FREE_CALLS + -(-(members - FREE_CALLS) // MEMBERS_A_CALL)


def group_steps(changes: Iterable[Change], desired: Mapping[str, Desired]) -> dict[tuple[str, str], Group]:
    """The group of every step that may be batched, by address and step name; the others take a call of their own.

    Projects with a name or with several models cannot be made by createPerModel (guide, "Creating Multiple
    Projects"). Answers are told apart by model and by project id, so two members that share one are put into
    groups of their own.
    """
    grouped: dict[tuple[str, str], Group] = {}
    taken: Counter[tuple[str, Hashable, str]] = Counter()
    for change in changes:
        want = desired.get(change.address)
        if want is None:
            continue
        for step in change.steps:
            match step.name, want.inputs:
                case "record", Model():
                    shared: Hashable = None
                case "create", Project() as project if want.label is None and len(project.models) == 1:
                    shared = project.template_id
                case "start", Render() as render:
                    shared = render.settings
                case _:
                    continue
            member = (step.name, shared, want.parents[0] if want.parents else change.address)
            grouped[change.address, step.name] = (step.name, (shared, taken[member]))
            taken[member] += 1
    return grouped


def calls(changes: Sequence[Change], desired: Mapping[str, Desired]) -> dict[str, int]:
    """The most calls of each sort that an apply of ``changes`` may make, service refusals aside."""
    grouped = group_steps(changes, desired)
    members = Counter(grouped.values())
    bound: Counter[str] = Counter()
    for change in changes:
        for step in change.steps:
            group = grouped.get((change.address, step.name))
            bound[step.call] += 1 if group is None else allowance(members.pop(group, 0))
    return dict(bound)


def upload_bytes(changes: Iterable[Change], desired: Mapping[str, Desired]) -> int:
    """The bytes that the uploads among ``changes`` will send."""
    total = 0
    for change in changes:
        if change.kind is Kind.MODEL and any(step.name == "upload" for step in change.steps):
            inputs = desired[change.address].inputs
            total += inputs.size if isinstance(inputs, Model) else 0
    return total
