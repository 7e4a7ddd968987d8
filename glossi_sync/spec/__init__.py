"""The spec: what the user wrote, read, checked and typed, and ``desire``, which says what it asks for.

``read_spec`` reads a file or a folder and raises ``SpecError`` with everything that is wrong, each mistake with its
position; ``hash_models`` reads the model files' contents, as few as possible; ``desire`` is pure and turns both, with
the service's templates, into Desired. The shape of a spec is described in ``schemas/spec.schema.json``, nowhere else.
This room knows neither what exists (``state``) nor how to ask the service (``service``).
"""

from glossi_sync.spec.desired import Desired, desire
from glossi_sync.spec.document import (
    Downloads,
    Guard,
    ModelEntry,
    ProjectEntry,
    RenderEntry,
    Service,
    Spec,
    WebhookEntry,
)
from glossi_sync.spec.endpoint import endpoint_problem
from glossi_sync.spec.hashing import Hashed, HashedFile, Stamp, hash_models
from glossi_sync.spec.problems import Problem, SpecError
from glossi_sync.spec.reading import locate, read_spec

__all__ = [
    "Desired",
    "Downloads",
    "Guard",
    "Hashed",
    "HashedFile",
    "ModelEntry",
    "Problem",
    "ProjectEntry",
    "RenderEntry",
    "Service",
    "Spec",
    "SpecError",
    "Stamp",
    "WebhookEntry",
    "desire",
    "endpoint_problem",
    "hash_models",
    "locate",
    "read_spec",
]
