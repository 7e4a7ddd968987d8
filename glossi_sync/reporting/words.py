"""The words and signs that all reports share."""

from __future__ import annotations

from collections.abc import Mapping

from glossi_sync.planning import Action, Change, Plan, Trouble

SIGNS: Mapping[Action, str] = {
    Action.CREATE: "+",
    Action.REPLACE: "~",
    Action.RESUME: ">",
    Action.RETRY: "!",
    Action.RECREATE: "+",
    Action.ADOPT: "=",
    Action.UPDATE: "~",
    Action.REMOVE: "-",
    Action.FORGET: "-",
    Action.NONE: " ",
}

COLOURS: Mapping[Action, str] = {
    Action.CREATE: "green",
    Action.REPLACE: "yellow",
    Action.RESUME: "cyan",
    Action.RETRY: "yellow",
    Action.RECREATE: "green",
    Action.ADOPT: "cyan",
    Action.UPDATE: "yellow",
    Action.REMOVE: "red",
    Action.FORGET: "red",
    Action.NONE: "bright_black",
}


def word(change: Change) -> str:
    """The one word that stands beside an address: its action, or its trouble."""
    if change.trouble is not None and not change.steps:
        return change.trouble.value
    return "note" if change.action is Action.NONE and change.note else change.action.value


def summary_line(plan: Plan) -> str:
    """``Plan: 3 to create, 1 to replace; 4 failed; 40 unchanged.``"""
    actions = plan.actions
    acting = [
        f"{actions[action]} to {action.value}" for action in Action if action is not Action.NONE and actions[action]
    ]
    trouble = [
        f"{count} {trouble.value}"
        for trouble in Trouble
        if (count := sum(change.trouble is trouble for change in plan.changes))
    ]
    quiet = actions[Action.NONE] - sum(
        change.action is Action.NONE and change.trouble is not None for change in plan.changes
    )
    parts = [", ".join(acting) or "nothing to do", ", ".join(trouble), f"{quiet} unchanged" if quiet else ""]
    return f"Plan: {'; '.join(part for part in parts if part)}."


def calls_line(calls: Mapping[str, int]) -> str:
    """``POST /models 1, PUT upload 3``"""
    return ", ".join(f"{call} {count}" for call, count in calls.items())
