"""A real studio for the client to speak to: real processes, real HTTP, small pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from glossi_sync.studio.embedded import EmbeddedStudio

ENGINES = Path(__file__).parents[1] / "studio"


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStudio]:
    """One studio for all tests of this folder; its processes find ``small_engines`` where the studio's tests lie."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ENGINES))
        data = tmp_path_factory.mktemp("studio") / "data"
        with EmbeddedStudio(data, workers=2, engine="small_engines:DrawingEngine") as running:
            yield running
