"""Drafting: a first spec, made from a folder of models, for its owner to edit.

    find_models ──> Found ──> draft ──> Draft ──> draft_text

``finding`` looks at the folder, ``drafting`` decides what the spec says of it (pure), ``writing`` spells it as YAML,
with comments. It asks no service, and whether the models are fit to be uploaded is for the spec's own reading to say.
"""

from glossi_sync.drafting.drafting import Choice, Draft, draft
from glossi_sync.drafting.finding import Found, NoModels, find_models
from glossi_sync.drafting.writing import draft_text

__all__ = ["Choice", "Draft", "Found", "NoModels", "draft", "draft_text", "find_models"]
