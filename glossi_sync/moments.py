"""Moments as documents and logs write them."""

from __future__ import annotations

import time


def moment(at: float) -> str:
    """Unix seconds in ISO 8601, in UTC, to the millisecond: ``2026-11-25T17:52:25.123Z``."""
    milliseconds = round(at * 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(milliseconds // 1000))}.{milliseconds % 1000:03d}Z"
