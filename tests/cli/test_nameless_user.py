"""A container may run as a user that has a number and no name."""

from __future__ import annotations

import sys

import pytest

from glossi_sync.cli.session import holder


@pytest.mark.skipif(sys.platform == "win32", reason="users have names there")
def test_a_user_without_a_name_may_hold_a_state(monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    def nobody(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert holder(1, "glossi-sync apply").user == "unknown"
