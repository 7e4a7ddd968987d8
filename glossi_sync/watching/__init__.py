"""Watching: when to run again, and how it is told to a monitor. What a run does, the commands know.

``Triggers`` collects reasons to run from many threads; ``watch`` is the loop that runs once for all that have come
together, and again after a while where that failed; ``Stillness`` tells files that are still being copied;
``folders`` notices changed files; ``metrics`` counts for Prometheus, and answers probes.
"""

from glossi_sync.watching.loop import Came, Outcome, watch
from glossi_sync.watching.pace import Backoff
from glossi_sync.watching.stillness import Stillness
from glossi_sync.watching.triggers import Triggers

__all__ = ["Backoff", "Came", "Outcome", "Stillness", "Triggers", "watch"]
