"""The loop: wait for a reason, run once for all reasons that have come, and again after a while where that failed.

    reason, timer ──> run ──> converged ──────────────────> wait for the next reason or the timer
                       │ ├──> failed, partly ──> wait, ever longer ──> run
                       │ ├──> bad spec ──> wait for the next reason (nothing else would help)
                       │ └──> not still: a file is being written ──> look again soon, with the same reasons
                       └────> stopped ──> end

Runs never overlap: there is one thread that runs. What comes during a run causes exactly one more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from glossi_sync.watching.pace import Backoff
from glossi_sync.watching.triggers import Triggers


class Came(StrEnum):
    """What came of a run."""

    CONVERGED = "converged"
    SETTLED = "settled"
    """Converged in part; what is left has failed for good or is held: running again would not change that."""
    PARTLY = "partly"
    FAILED = "failed"
    BAD_SPEC = "bad spec"
    NOT_STILL = "not still"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run; ``seconds`` are those to wait until a file is still."""

    came: Came
    seconds: float = 0.0


TIMER = "the timer"
AGAIN = "the last run failed"


def watch(
    run: Callable[[tuple[str, ...]], Outcome],
    triggers: Triggers,
    backoff: Backoff,
    *,
    every: float | None,
    answered: Callable[[str], bool] = lambda reason: False,
) -> None:
    """Run until ``triggers`` are stopped, or a run was. The caller pulls the first trigger, if it wants a run at once.

    ``run`` hears the reasons; ``every`` are the seconds between a run's end and the next one without a reason (None: it
    needs one); ``answered`` tells reasons that a converged run has answered although they came while it ran.
    """
    pause, otherwise = every, TIMER
    unanswered: tuple[str, ...] = ()
    while not triggers.stopped:
        if unanswered:
            # A file is being written. More reasons, which it may well give, make it no stiller.
            triggers.rest(pause)
        reasons = tuple(dict.fromkeys((*unanswered, *triggers.wait(0 if unanswered else pause)))) or (otherwise,)
        if triggers.stopped:
            return
        outcome = run(reasons)
        pause, otherwise, unanswered = every, TIMER, ()
        match outcome.came:
            case Came.STOPPED:
                return
            case Came.NOT_STILL:
                pause, unanswered = outcome.seconds, reasons
            case Came.FAILED | Came.PARTLY:
                wait = backoff.failed()
                if every is None or wait < every:
                    pause, otherwise = wait, AGAIN
            case Came.CONVERGED | Came.SETTLED:
                backoff.succeeded()
        if outcome.came is Came.CONVERGED:
            triggers.forget(answered)
