"""Models: records, confirmation, status (guide, Steps 2.1, 2.3 and 2.4)."""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from glossi_sync.service import wire
from glossi_sync.studio import records as rows
from glossi_sync.studio.api.context import Body, Id, Text, TheStudio, TheWorkspace, check_length
from glossi_sync.studio.api.errors import Refusal, documented
from glossi_sync.studio.api.uploads import new_model, settled_uploads, upload_urls

router = APIRouter(tags=["models"])


class NewModel(Body):
    name: Text
    fileName: Text
    fileType: wire.FileType


class CreateModels(Body):
    models: Annotated[list[NewModel], Field(min_length=1)]


class CreatedModel(BaseModel):
    modelId: str
    name: str
    uploadUrl: str
    uploadKey: str


class CreatedModels(BaseModel):
    models: list[CreatedModel]


class ConfirmUpload(Body):
    fileType: wire.FileType


class ConfirmedModel(BaseModel):
    modelId: str
    name: str
    status: wire.ModelStatus
    filePath: str


class QueryModels(Body):
    modelIds: Annotated[list[Id], Field(min_length=1)]


class ModelState(BaseModel):
    modelId: str
    name: str
    status: wire.ModelStatus
    ready: bool
    errorMessage: str | None = None


class Facts(BaseModel):
    triangles: int
    vertices: int = 0
    materials: int
    textures: int
    animations: int
    variants: list[str]
    extensions: list[str] = []
    minimum: list[float]
    maximum: list[float]


class ModelDetails(ModelState):
    fileName: str
    fileType: wire.FileType
    filePath: str
    glbFilePath: str | None = None
    thumbnailUrl: str | None = None
    facts: Facts | None = None


class ModelStates(BaseModel):
    models: list[ModelState]
    allReady: bool
    notFound: list[str]


@router.post(wire.MODELS_PATH, responses=documented(_413="Too many models for one request."))
async def create_models(
    body: CreateModels, request: Request, studio: TheStudio, workspace_id: TheWorkspace
) -> CreatedModels:
    """Make a record for each model, and a signed URL to upload its file to."""
    check_length(len(body.models), "models")
    now = studio.clock()
    made = [
        new_model(
            studio.new_id(), workspace_id, now, name=model.name, file_name=model.fileName, file_type=model.fileType
        )
        for model in body.models
    ]
    urls = await upload_urls(studio, request, made)
    await studio.records.write(lambda connection: rows.add_models(connection, made))
    return CreatedModels(
        models=[
            CreatedModel(
                modelId=model.model_id,
                name=model.name,
                uploadUrl=upload_url,
                uploadKey=model.file_path,
            )
            for model, upload_url in zip(made, urls, strict=True)
        ]
    )


@router.post(
    wire.MODEL_STATUS_PATH,
    response_model_exclude_none=True,
    responses=documented(_413="Too many ids for one request."),
)
async def model_status(body: QueryModels, studio: TheStudio, workspace_id: TheWorkspace) -> ModelStates:
    """How far each model is; ids that are not known stand in ``notFound``."""
    check_length(len(body.modelIds), "modelIds")
    asked = list(dict.fromkeys(body.modelIds))
    known = await studio.records.read(lambda connection: rows.model_states(connection, workspace_id, asked))
    states = [_state(model_id, *known[model_id]) for model_id in asked if model_id in known]
    missing = [model_id for model_id in asked if model_id not in known]
    ready = not missing and all(state["ready"] for state in states)
    # In one go: a model object for each of 500 costs as much as asking the database for them.
    return ModelStates.model_validate({"models": states, "allReady": ready, "notFound": missing})


@router.get(
    wire.MODEL_PATH,
    response_model_exclude_none=True,
    responses=documented(_404="No such model."),
)
async def model_details(
    model_id: Annotated[Id, Path(alias="modelId")], request: Request, studio: TheStudio, workspace_id: TheWorkspace
) -> ModelDetails:
    """Everything that the studio knows of a model: its files, its thumbnail, its facts. The studio's own: the hosted
    service has no such call."""
    found = await studio.records.read(lambda connection: rows.models(connection, workspace_id, [model_id]))
    model = found.get(model_id)
    if model is None:
        raise _no_model(model_id)
    origin = (studio.public_url or str(request.base_url)).rstrip("/")
    thumbnail = model.thumbnail_path and wire.FILES_PATH.replace("{filePath}", model.thumbnail_path)
    return ModelDetails(
        **_state(model.model_id, model.name, model.status, model.error_message),
        fileName=model.file_name,
        fileType=cast(wire.FileType, model.file_type),
        filePath=model.file_path,
        glbFilePath=model.glb_path,
        thumbnailUrl=thumbnail and f"{origin}{wire.API_PREFIX}{thumbnail}",
        facts=None if model.facts is None else Facts(**model.facts),
    )


def _no_model(model_id: str) -> Refusal:
    return Refusal(404, "model_not_found", f"there is no model {model_id} in this workspace")


def _state(model_id: str, name: str, status: wire.ModelStatus, error: str | None) -> dict[str, Any]:
    """A ``ModelState``, to be validated with the rest of its answer."""
    ready = status == wire.MODEL_READY
    return {"modelId": model_id, "name": name, "status": status, "ready": ready, "errorMessage": error}


@router.post(
    wire.MODEL_CONFIRM_PATH,
    responses=documented(_404="No such model.", _409="Nothing was uploaded, or the record is of another file type."),
)
async def confirm_upload(
    model_id: Annotated[Id, Path(alias="modelId")], body: ConfirmUpload, studio: TheStudio, workspace_id: TheWorkspace
) -> ConfirmedModel:
    """Finish the upload: the file is final, and is processed. To confirm again changes nothing."""
    now = studio.clock()
    model = (await studio.records.read(lambda connection: rows.models(connection, workspace_id, [model_id]))).get(
        model_id
    )
    if model is None:
        raise _no_model(model_id)
    if body.fileType != model.file_type:
        raise Refusal(
            409,
            "file_type_mismatch",
            f"the model {model.name!r} was recorded as {model.file_type}, not as {body.fileType}:"
            f" confirm it as {model.file_type}, or make a new record",
        )
    if model.confirmed_at is None:
        async with settled_uploads(studio, workspace_id, [model]):
            if await studio.records.write(lambda connection: _confirm(connection, model_id, now)):
                studio.work.add_model(model_id)
    return ConfirmedModel(modelId=model_id, name=model.name, status=model.status, filePath=model.file_path)


def _confirm(connection: Connection, model_id: str, now: float) -> bool:
    """Whether it was this call that confirmed it: of two at once, one is."""
    model = rows.model_of_path(connection, model_id)
    if model is None or model.confirmed_at is not None:
        return False
    rows.confirm_model(connection, model_id, now)
    return True
