"""The spec: what the user wrote, read, checked and typed, and ``desire``, which says what it asks for.

``read_spec`` reads a file or a folder and raises ``SpecError`` with everything that is wrong, each mistake with its
position; ``catalogues`` in it make models and projects from rows. ``hash_models`` reads the model files' contents, as
few as possible, on this machine or where a URL says (``stores`` alone knows obstore). ``desire`` is pure and turns
both, with the service's templates, into Desired. The shape of a spec is described in ``schemas/spec.schema.json``,
nowhere else.
This room knows neither what exists (``state``) nor how to ask the service (``service``).
"""

from glossi_sync.spec.desired import Desired, desire
from glossi_sync.spec.document import (
    Downloads,
    Generated,
    Guard,
    ModelEntry,
    ProjectEntry,
    RenderEntry,
    Service,
    Spec,
    WebhookEntry,
)
from glossi_sync.spec.endpoint import endpoint_problem
from glossi_sync.spec.given import Given, read_given
from glossi_sync.spec.hashing import Hashed, HashedFile, Stamp, hash_models, look_at_remote_files
from glossi_sync.spec.locating import locate
from glossi_sync.spec.problems import Problem, SpecError
from glossi_sync.spec.reading import read_spec
from glossi_sync.spec.remote_hashing import HashedRemote

__all__ = [
    "Desired",
    "Downloads",
    "Generated",
    "Given",
    "Guard",
    "Hashed",
    "HashedFile",
    "HashedRemote",
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
    "look_at_remote_files",
    "read_given",
    "read_spec",
]
