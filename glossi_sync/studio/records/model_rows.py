"""Models: their rows, and what happens to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, insert, select, update

from glossi_sync.service import wire
from glossi_sync.studio.records.tables import MODELS, values_of


@dataclass(frozen=True, slots=True)
class Model:
    """A model's row. ``file_path`` is its key in storage, whether or not the file is there yet. Times: epoch
    seconds."""

    model_id: str
    workspace_id: str
    name: str
    file_name: str
    file_type: str
    file_path: str
    status: wire.ModelStatus
    created_at: float
    error_message: str | None = None
    facts: dict[str, Any] | None = None
    confirmed_at: float | None = None
    finished_at: float | None = None


def add_models(connection: Connection, models: Sequence[Model]) -> None:
    connection.execute(insert(MODELS), [values_of(model, MODELS) for model in models])


def models(connection: Connection, workspace_id: str, model_ids: Iterable[str]) -> dict[str, Model]:
    """Those of the workspace's models that exist, by id."""
    query = select(MODELS).where(MODELS.c.workspace_id == workspace_id, MODELS.c.model_id.in_(list(model_ids)))
    return {row.model_id: Model(**row._mapping) for row in connection.execute(query)}


def model_of_path(connection: Connection, model_id: str) -> Model | None:
    """A model by its id alone: for the signed URL, which names no workspace that could be trusted less than itself."""
    row = connection.execute(select(MODELS).where(MODELS.c.model_id == model_id)).one_or_none()
    return None if row is None else Model(**row._mapping)


def confirm_model(connection: Connection, model_id: str, now: float) -> None:
    connection.execute(update(MODELS).where(MODELS.c.model_id == model_id).values(confirmed_at=now))


def begin_analysis(connection: Connection, model_id: str) -> Model | None:
    """Take a confirmed, unfinished model up (again): it is ANALYZING. None where there is nothing to do for it."""
    unfinished = MODELS.c.status.in_([wire.MODEL_PENDING, wire.MODEL_ANALYZING]) & MODELS.c.confirmed_at.is_not(None)
    changed = connection.execute(
        update(MODELS).where(MODELS.c.model_id == model_id, unfinished).values(status=wire.MODEL_ANALYZING)
    )
    return model_of_path(connection, model_id) if changed.rowcount else None


def finish_analysis(
    connection: Connection, model_id: str, now: float, *, facts: dict[str, Any] | None, error: str | None
) -> None:
    """READY with facts, or FAILED with the error's message."""
    status = wire.MODEL_READY if error is None else wire.MODEL_FAILED
    connection.execute(
        update(MODELS)
        .where(MODELS.c.model_id == model_id)
        .values(status=status, facts=facts, error_message=error, finished_at=now)
    )


def unfinished_models(connection: Connection) -> tuple[str, ...]:
    """What a restart takes up again: ids of models, longest waiting first."""
    waiting: Select[Any] = (
        select(MODELS.c.model_id)
        .where(
            MODELS.c.status.in_([wire.MODEL_PENDING, wire.MODEL_ANALYZING]),
            MODELS.c.confirmed_at.is_not(None),
        )
        .order_by(MODELS.c.confirmed_at, MODELS.c.model_id)
    )
    return tuple(connection.scalars(waiting))
