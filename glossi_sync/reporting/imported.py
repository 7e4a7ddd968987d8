"""What an import has bound, or would bind, for a person and for a program."""

from __future__ import annotations

from collections import Counter
from typing import Any

from glossi_sync.planning.importing import Imports
from glossi_sync.reporting.words import counted
from glossi_sync.resources import Kind


def import_text(imports: Imports, *, dry_run: bool) -> str:
    """A line for each address, and what it means."""
    if not imports.imports:
        return f"Nothing to import: {counted(imports.unchanged, 'address', 'addresses')} bound so already.\n"
    width = max(len(one.want.address) for one in imports.imports)
    lines = [
        f"  + {one.want.address:<{width}}  {one.phase}  {one.remote_id}{f'  {one.error}' if one.error else ''}"
        for one in imports.imports
    ]
    counts = Counter(one.want.kind for one in imports.imports)
    what = ", ".join(counted(counts[kind], kind) for kind in Kind if counts[kind])
    lines += ["", f"{'Would be imported' if dry_run else 'Imported'}: {what}."]
    if imports.unchanged:
        lines.append(f"Bound so already: {imports.unchanged}.")
    lines.append("That each was made of what the spec says now is taken from you: the service cannot tell.")
    if counts[Kind.PROJECT]:
        lines.append("Projects were taken as they are: the service cannot be asked about one.")
    return "\n".join(lines) + "\n"


def import_document(imports: Imports, *, dry_run: bool) -> dict[str, Any]:
    """The same as JSON values."""
    return {
        "dryRun": dry_run,
        "unchanged": imports.unchanged,
        "imported": [
            {"address": one.want.address, "remoteId": one.remote_id, "phase": one.phase.value, "error": one.error}
            for one in imports.imports
        ],
    }
