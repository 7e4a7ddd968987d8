"""For all tests: no property has a deadline, because a busy machine proves nothing."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
