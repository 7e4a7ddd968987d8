"""What a shell completes: addresses, from the states beside the spec. Quick, and silent about whatever is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import click


def bound_addresses(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The addresses that begin so, for an option's or argument's ``shell_complete``."""
    from glossi_sync.state.peek import addresses_like  # noqa: PLC0415

    named = context.params.get("state_location") or os.environ.get("GLOSSI_STATE")
    if named:
        return addresses_like([Path(named)], incomplete)
    spec = Path(context.params.get("spec_path") or os.environ.get("GLOSSI_SPEC") or "glossi.yaml")
    folder = spec if spec.is_dir() else spec.parent
    return addresses_like(sorted((folder / "state").glob("*.db")), incomplete)
