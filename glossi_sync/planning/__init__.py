"""Planning: look at the service, then decide what would have to happen. Nothing here changes anything anywhere.

``observe`` asks the service about the few objects whose answer matters (reads alone); ``plan`` is a pure function of
what is desired, realised and observed; ``explain`` tells in the user's words why an object is replaced. A plan names
the exact steps of every address, and bounds the calls that an apply may make: applying takes it as its orders, unless
the ``guard`` finds that it takes away too much. ``roll_back`` plans the bindings of an earlier run.
"""

from glossi_sync.planning.change import Action, Change, Difference, Plan, Trouble
from glossi_sync.planning.decide import Policy, plan
from glossi_sync.planning.estimate import allowance
from glossi_sync.planning.explain import explain
from glossi_sync.planning.guard import LargeChange
from glossi_sync.planning.observe import Observed, Refresh, Seen, ask, observe
from glossi_sync.planning.rollback import remembered, roll_back
from glossi_sync.planning.survey import Survey, survey

__all__ = [
    "Action",
    "Change",
    "Difference",
    "LargeChange",
    "Observed",
    "Plan",
    "Policy",
    "Refresh",
    "Seen",
    "Survey",
    "Trouble",
    "allowance",
    "ask",
    "explain",
    "observe",
    "plan",
    "remembered",
    "roll_back",
    "survey",
]
