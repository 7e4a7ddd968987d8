"""What a check finds in a state: damage in the file, and rows that contradict one another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from glossi_sync.resources import Kind, Phase
from glossi_sync.state import Bind, Intend, Intent, MemoryState, Object, PutObject, StateError, check, open_state

LAMP = Object(1, Kind.MODEL, "a" * 64, Phase.READY, remote_id="m1")
SHOT = Object(2, Kind.PROJECT, "b" * 64, Phase.CREATED, remote_id="p1", parents=(1,))


def test_a_sound_state_has_nothing_wrong(tmp_path: Path) -> None:
    state = open_state(tmp_path / "a.db", service="local")
    state.write([PutObject(LAMP), PutObject(SHOT), Bind("model.lamp", 1), Bind("project.lamp", 2)])
    assert check(state) == []
    state.close()


@pytest.mark.parametrize(
    ("writes", "said"),
    [
        (
            [PutObject(LAMP), Bind("model.lamp", 7)],
            "model.lamp is bound to the object 7, which the state does not have",
        ),
        ([PutObject(LAMP), Bind("project.lamp", 1)], "project.lamp is bound to a model"),
        ([PutObject(LAMP), Bind("lamp", 1)], "the binding 'lamp' is no address"),
        ([PutObject(SHOT)], "project object 2 was made from the object 1, which the state does not have"),
        ([PutObject(replace(LAMP, digest="xyz"))], "model object 1 has no proper digest"),
        ([PutObject(replace(LAMP, remote_id=None))], "model object 1 has no remote id"),
        (
            [PutObject(replace(LAMP, phase=Phase.COMPLETED))],
            "model object 1 is in the phase completed, which a model does not have",
        ),
        ([PutObject(LAMP), PutObject(replace(LAMP, oid=3))], "two model objects have the remote id m1"),
        (
            [Intend(Intent(5, 1, "fly", "POST /moon", (), 0.0))],
            "the call 5 in the journal is of an unknown step 'fly'",
        ),
    ],
)
def test_a_contradiction_is_told_in_a_sentence(writes: list[object], said: str) -> None:
    state = MemoryState(service="local")
    state.write(writes)  # type: ignore[arg-type]
    assert check(state) == [said]


def test_a_damaged_page_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    state = open_state(path, service="local")
    state.write([PutObject(replace(LAMP, oid=oid, remote_id=f"m{oid}")) for oid in range(2000)])
    state.close()
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = b"\xa5" * 4096
    path.write_bytes(content)
    with pytest.raises(StateError, match="damaged"):
        reopened = open_state(path, service="local")
        found = check(reopened)
        reopened.close()
        raise StateError(f"damaged: {found}" if found else "nothing was found")
