"""Storage: the studio's files, by key, in a folder of this machine or in an S3 bucket.

A key is the ``uploadKey`` or ``filePath`` of an answer: ``workspaces/<id>/models/<id>/model.glb``. Every part of a
key is made by the studio (ids, a fixed name, a known suffix), and a key that comes in from outside is looked at
letter by letter before it becomes a path. Files appear whole or not at all, and what lies under a key never changes,
but for a model's file before it is confirmed.

    FolderStorage   uploads come to the studio's own signed URLs; workers read files where they lie
    BucketStorage   uploads go to the bucket by presigned URLs; workers fetch copies of what they need

The server sees a ``Storage``, a worker (a process of this machine, or of another) its ``Depot``. ``bucket`` is
imported only where a bucket is used.
"""

from glossi_sync.studio.storage.folder import FolderDepot, FolderStorage
from glossi_sync.studio.storage.protocol import (
    MEDIA_TYPES,
    Depot,
    FileLost,
    NotUploaded,
    Storage,
    StorageAway,
    StoredFile,
    TooLarge,
    UploadReplaced,
    WrongContentType,
    beside_model,
    check_key,
    job_prefix,
    model_key,
)

__all__ = [
    "MEDIA_TYPES",
    "Depot",
    "FileLost",
    "FolderDepot",
    "FolderStorage",
    "NotUploaded",
    "Storage",
    "StorageAway",
    "StoredFile",
    "TooLarge",
    "UploadReplaced",
    "WrongContentType",
    "beside_model",
    "check_key",
    "job_prefix",
    "model_key",
]
