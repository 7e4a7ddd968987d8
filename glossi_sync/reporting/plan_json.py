"""A plan for a program: the document that ``schemas/plan.schema.json`` describes (contract, "plan --format json")."""

from __future__ import annotations

from typing import Any

from glossi_sync.planning import Action, Change, Forecast, Plan
from glossi_sync.planning.reviewed import Made
from glossi_sync.reporting.saved_plan import FORMAT, made_document


def plan_document(plan: Plan, made: Made | None = None) -> dict[str, Any]:
    """The plan as JSON values; with ``made`` an apply can take it as its orders."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "workspace": plan.workspace,
        "spec": plan.spec,
        "state": {"lineage": plan.lineage, "serial": plan.serial},
        "changes": [_change(change) for change in plan.changes],
        "summary": {
            **{action.value: plan.actions[action] for action in Action},
            "failed": sum(change.trouble == "failed" for change in plan.changes),
            "blocked": sum(change.trouble == "blocked" for change in plan.changes),
            "held": sum(change.trouble == "held" for change in plan.changes),
            "steps": dict(plan.steps),
            "calls": dict(plan.calls),
            "uploadBytes": plan.upload_bytes,
        },
    }
    if plan.scope.shard is not None:
        document["shard"] = str(plan.scope.shard)
    if plan.scope.targets:
        document["targets"] = list(plan.scope.targets)
    if plan.forecast is not None:
        document["estimate"] = _estimate(plan.forecast)
    if plan.remark is not None:
        document["remark"] = plan.remark
    if plan.excess is not None:
        document["refused"] = plan.excess
    if made is not None:
        document["madeWith"] = made_document(made)
    return document


def _estimate(forecast: Forecast) -> dict[str, Any]:
    return {
        "renders": forecast.renders,
        "pictures": forecast.pictures,
        "videos": forecast.videos,
        "atLeast": forecast.at_least,
        "unknown": forecast.unknown,
        "seconds": None if forecast.seconds is None else round(forecast.seconds, 1),
        "runs": forecast.runs,
    }


def _change(change: Change) -> dict[str, Any]:
    document: dict[str, Any] = {
        "address": change.address,
        "action": change.action.value,
        "reason": change.reason,
        "diff": [{"field": difference.field, "text": difference.text} for difference in change.diff],
        "steps": [step.name for step in change.steps],
    }
    if change.digest is not None:
        document["digest"] = change.digest
    if change.waits:
        document["waits"] = True
    if change.trouble is not None:
        document["trouble"] = change.trouble.value
    if change.note is not None:
        document["note"] = change.note
    if change.moved_from is not None:
        document["movedFrom"] = change.moved_from
    return document
