"""Planning: look at the service, then decide what would have to happen. Nothing here changes anything anywhere.

``observe`` asks the service about the few objects whose answer matters (reads alone); ``plan`` is a pure function of
what is desired, realised and observed; ``explain`` tells in the user's words why an object is replaced. A plan names
the exact steps of every address, and bounds the calls that an apply may make: applying takes it as its orders, unless
the ``guard`` finds that it takes away too much. ``forecast`` says what it may bring, from what has been before.
``roll_back`` plans the bindings of an earlier run. A ``Scope`` narrows a run to some addresses, or to
a shard.
"""

from glossi_sync.planning.change import Action, Change, Difference, Forecast, Plan, Trouble
from glossi_sync.planning.decide import Policy, plan
from glossi_sync.planning.drift import Drift, ask_about_all, drift
from glossi_sync.planning.estimate import allowance
from glossi_sync.planning.explain import explain
from glossi_sync.planning.forecast import Cameras, Memory, forecast
from glossi_sync.planning.guard import LargeChange
from glossi_sync.planning.observe import Observed, Refresh, Seen, ask, observe
from glossi_sync.planning.rollback import remembered, roll_back
from glossi_sync.planning.scope import WHOLE, Scope, UnknownAddress
from glossi_sync.planning.sketch import Sketch, projects_to_draw, sketch
from glossi_sync.planning.survey import Survey, survey

__all__ = [
    "WHOLE",
    "Action",
    "Cameras",
    "Change",
    "Difference",
    "Drift",
    "Forecast",
    "LargeChange",
    "Memory",
    "Observed",
    "Plan",
    "Policy",
    "Refresh",
    "Scope",
    "Seen",
    "Sketch",
    "Survey",
    "Trouble",
    "UnknownAddress",
    "allowance",
    "ask",
    "ask_about_all",
    "drift",
    "explain",
    "forecast",
    "observe",
    "plan",
    "projects_to_draw",
    "remembered",
    "roll_back",
    "sketch",
    "survey",
]
