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
    """A model's row. ``file_path`` is its key in storage, whether or not the file is there yet; ``glb_path`` the key
    of what is rendered (once READY), the upload itself where that is a GLB. Times: epoch seconds."""

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
    thumbnail_path: str | None = None
    glb_path: str | None = None


@dataclass(frozen=True, slots=True)
class MadeOfModel:
    """What the studio made of a model's file: facts, and keys of what is rendered and of its picture."""

    facts: dict[str, Any]
    glb_path: str
    thumbnail_path: str | None


def add_models(connection: Connection, models: Sequence[Model]) -> None:
    connection.execute(insert(MODELS), [values_of(model, MODELS) for model in models])


def models(connection: Connection, workspace_id: str, model_ids: Iterable[str]) -> dict[str, Model]:
    """Those of the workspace's models that exist, by id."""
    query = select(MODELS).where(MODELS.c.workspace_id == workspace_id, MODELS.c.model_id.in_(list(model_ids)))
    return {row.model_id: Model(**row._mapping) for row in connection.execute(query)}


def model_states(
    connection: Connection, workspace_id: str, model_ids: Iterable[str]
) -> dict[str, tuple[str, wire.ModelStatus, str | None]]:
    """Name, status and error's message of those of the workspace's models that exist, by id: what polling asks for,
    without the rest of their rows."""
    c = MODELS.c
    query = select(c.model_id, c.name, c.status, c.error_message)
    found = connection.execute(query.where(c.workspace_id == workspace_id, c.model_id.in_(list(model_ids))))
    return {model_id: (name, status, error) for model_id, name, status, error in found}


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
    connection: Connection,
    model_id: str,
    now: float,
    *,
    made: MadeOfModel | None,
    error: str | None,
) -> Model | None:
    """READY with what was made of it, or FAILED with the error's message. None where it is not ANALYZING, and nothing
    was changed: what follows from a model's end must follow once."""
    status = wire.MODEL_READY if error is None else wire.MODEL_FAILED
    changed = connection.execute(
        update(MODELS)
        .where(MODELS.c.model_id == model_id, MODELS.c.status == wire.MODEL_ANALYZING)
        .values(
            status=status,
            facts=made and made.facts,
            glb_path=made and made.glb_path,
            thumbnail_path=made and made.thumbnail_path,
            error_message=error,
            finished_at=now,
        )
    )
    return model_of_path(connection, model_id) if changed.rowcount else None


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
