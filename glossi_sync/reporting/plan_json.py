"""A plan for a program: the document that ``schemas/plan.schema.json`` describes (contract, "plan --format json")."""

from __future__ import annotations

from typing import Any

from glossi_sync.planning import Action, Change, Plan

FORMAT = 1


def plan_document(plan: Plan) -> dict[str, Any]:
    """The plan as JSON values."""
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
    if plan.remark is not None:
        document["remark"] = plan.remark
    if plan.excess is not None:
        document["refused"] = plan.excess
    return document


def _change(change: Change) -> dict[str, Any]:
    document: dict[str, Any] = {
        "address": change.address,
        "action": change.action.value,
        "reason": change.reason,
        "diff": [{"field": difference.field, "text": difference.text} for difference in change.diff],
        "steps": [step.name for step in change.steps],
    }
    if change.trouble is not None:
        document["trouble"] = change.trouble.value
    if change.note is not None:
        document["note"] = change.note
    if change.moved_from is not None:
        document["movedFrom"] = change.moved_from
    return document
