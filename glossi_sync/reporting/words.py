"""The words and signs that all reports share."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from glossi_sync.planning import Action, Change, Forecast, Plan, Trouble
from glossi_sync.planning.explain import size

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


def explanation(change: Change) -> str:
    """Why and how, in one line: the steps, and the reason where the action's word does not say it already."""
    if change.action is Action.NONE and change.trouble is None and change.note is not None:
        return change.note
    if change.trouble is Trouble.FAILED:
        return change.reason.removeprefix("failed: ")  # the word beside it says so
    steps = " → ".join(step.name for step in change.steps)
    if change.action is Action.CREATE or (change.action is Action.REPLACE and change.diff):
        return steps
    if change.waits and not steps:
        steps = "wait"
    return f"{change.reason}: {steps}" if steps else change.reason


def arrows(text: str) -> str:
    """A difference's text as people are shown it; documents have ``->``."""
    return text.replace(" -> ", " → ")


def likeness(change: Change) -> Hashable:
    """What changes that may stand for each other have in common: all but their names, and what differs in each."""
    reason = change.reason.replace(change.moved_from or change.address, "")
    if change.trouble is Trouble.BLOCKED:
        reason = ""
    fields = tuple(one.field for one in change.diff)
    return change.kind, change.action, change.trouble, reason, fields, word(change)


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
    about = f" ({plan.scope})" if str(plan.scope) else ""
    parts = [", ".join(acting) or "nothing to do", ", ".join(trouble), f"{quiet} unchanged" if quiet else ""]
    return f"Plan{about}: {'; '.join(part for part in parts if part)}."


def calls_line(calls: Mapping[str, int]) -> str:
    """``POST /models 1, PUT upload 3``"""
    return ", ".join(f"{call} {count}" for call, count in calls.items())


def forecast_line(plan: Plan) -> str | None:
    """``Expected: at least 24 pictures and 6 videos; 4.8 MB to upload; about 3 min, going by 5 earlier runs.``"""
    parts = [*_pictures(plan.forecast), *([f"{size(plan.upload_bytes)} to upload"] if plan.upload_bytes else [])]
    seconds = plan.forecast.seconds if plan.forecast is not None else None
    if plan.forecast is not None and seconds is not None:
        runs = "an earlier run" if plan.forecast.runs == 1 else f"{plan.forecast.runs} earlier runs"
        parts.append(f"about {duration(seconds)}, going by {runs}")
    return f"Expected: {'; '.join(parts)}." if parts else None


def _pictures(forecast: Forecast | None) -> list[str]:
    if forecast is None or not forecast.renders:
        return []
    known = forecast.renders - forecast.unknown
    files = [
        counted(count, what) for count, what in ((forecast.pictures, "picture"), (forecast.videos, "video")) if count
    ]
    least = "at least " if forecast.at_least else ""
    parts = [least + " and ".join(files)] if files else ["no pictures and no videos"] if known else []
    if forecast.unknown:
        of = f"{counted(forecast.unknown, 'render')} on templates that nothing was rendered on before"
        parts.append(f"and those of {of}" if known else f"the pictures of {of}, which cannot be counted yet")
    return parts


def duration(seconds: float) -> str:
    """A length of time for a person: ``8 s``, ``3 min``, ``2 h 10 min``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    hours, minutes = divmod(minutes, 60)
    return " ".join([*([f"{hours} h"] if hours else []), *([f"{minutes} min"] if minutes or not hours else [])])


def counted(count: int, one: str, many: str | None = None) -> str:
    """``1 model``, ``2,400 models``; ``many`` where that is not spelled with an s."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
