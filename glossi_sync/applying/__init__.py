"""Applying: do what a plan says, and nothing else. Nothing here decides whether something is needed.

``apply`` is the scheduler: what is unblocked is started, what is done unblocks more. Each kind has a module that takes
its steps; ``ledger`` writes every mutating call into the journal before and after it; ``batching`` lets steps share
calls within the plan's bounds; ``waiting`` polls; ``downloads`` brings finished renders home, ``pruning`` removes what
nothing wants any more. What happens is told as ``events``, which the reporting room shows.
"""

from glossi_sync.applying.apply import Applied, Setup, apply
from glossi_sync.applying.downloads import Due, Fetch, Home, bring_home, plan_downloads
from glossi_sync.applying.events import Emit, Event
from glossi_sync.applying.ledger import new_id
from glossi_sync.applying.model_files import model_files
from glossi_sync.applying.previous import Previous
from glossi_sync.applying.pruning import Prunable, plan_prune, prune
from glossi_sync.applying.rebind import rebind
from glossi_sync.applying.secrets import WEBHOOK_SECRET, KeepSecret, keep_in, keep_sealed
from glossi_sync.applying.sources import NoSource, source_of
from glossi_sync.applying.stop import Stop, Stopped

__all__ = [
    "WEBHOOK_SECRET",
    "Applied",
    "Due",
    "Emit",
    "Event",
    "Fetch",
    "Home",
    "KeepSecret",
    "NoSource",
    "Previous",
    "Prunable",
    "Setup",
    "Stop",
    "Stopped",
    "apply",
    "bring_home",
    "keep_in",
    "keep_sealed",
    "model_files",
    "new_id",
    "plan_downloads",
    "plan_prune",
    "prune",
    "rebind",
    "source_of",
]
