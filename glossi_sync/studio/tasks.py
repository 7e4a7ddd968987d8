"""Tasks: what the server gives to a worker, and how a worker carries it out, on this machine or on another.

A task names files by their keys and brings the storage's ``Depot`` along. It is carried out in a working folder of its
own: models are fetched, the work is done on plain files, and what came of it is put back under keys that no other
attempt uses. So a worker that was given up for dead, and is not, can spoil nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from glossi_sync.studio.engines import RenderedFile, RenderRequest, Settings, SourceModel
from glossi_sync.studio.processing import CONVERTED, THUMBNAIL, ProcessedModel
from glossi_sync.studio.storage.protocol import Depot, beside_model

if TYPE_CHECKING:
    from glossi_sync.studio.template import Template


@dataclass(frozen=True, slots=True)
class ProcessingTask:
    """A model's file, to be looked at. ``attempt`` names the attempt, and is never used again."""

    file_type: str
    key: str
    attempt: str
    depot: Depot

    def carry_out(self, process: Callable[[Path, str, Path], ProcessedModel]) -> ProcessedModel:
        """Process the model, and keep what was made of it beside its file.

        Raises:
            ProcessingError: the file is not usable.
            StorageAway, OSError: the files cannot be fetched or put back.
        """
        with self.depot.working_folder(self.attempt) as folder:
            made = _new_folder(folder / "made")
            processed = process(self.depot.fetch(self.key, _new_folder(folder / "upload")), self.file_type, made)
            for name, is_there in ((CONVERTED, processed.converted), (THUMBNAIL, processed.thumbnail)):
                if is_there:
                    self.depot.put(made / name, beside_model(self.key, name))
            return processed


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model of a project: its name at the service, and the key of its GLB file."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A finished file, and the key under which it was kept."""

    file: RenderedFile
    key: str


@dataclass(frozen=True, slots=True)
class RenderTask:
    """A job, to be rendered. ``attempt`` names the attempt, and is never used again; the finished files are kept
    under ``prefix/attempt``."""

    models: tuple[StoredModel, ...]
    template: Template
    settings: Settings
    prefix: str
    attempt: str
    depot: Depot

    def carry_out(self, render: Callable[[RenderRequest], tuple[RenderedFile, ...]]) -> tuple[KeptFile, ...]:
        """Render the job, and keep its files.

        Raises:
            EngineError: the job cannot be rendered.
            StorageAway, OSError: the files cannot be fetched or put back.
        """
        with self.depot.working_folder(self.attempt) as folder:
            models = tuple(
                SourceModel(model.name, self.depot.fetch(model.key, _new_folder(folder / f"model-{number}")))
                for number, model in enumerate(self.models)
            )
            drawn = _new_folder(folder / "drawn")
            files = render(RenderRequest(models, self.template, self.settings, drawn))
            return tuple(self._keep(file, number, drawn) for number, file in enumerate(files))

    def _keep(self, file: RenderedFile, number: int, drawn: Path) -> KeptFile:
        key = f"{self.prefix}/{self.attempt}/{number}{_suffix(file.file_name)}"
        self.depot.put(drawn / Path(file.file_name).name, key)
        return KeptFile(file, key)


def _new_folder(path: Path) -> Path:
    path.mkdir()
    return path


def _suffix(file_name: str) -> str:
    suffix = Path(file_name).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) else ""
