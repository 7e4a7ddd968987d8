"""Names: a spec that begins to count them as inputs, or stops, changes digests although nothing else has changed.

That is one decision of the user, and a thousand replacements: it is told as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from glossi_sync.planning.change import Action, Change
from glossi_sync.resources import Model, Project, Render
from glossi_sync.spec import Desired

COUNT_NOW = "names count now (`names: replace`)"
COUNT_NO_MORE = "names do not count any more (`names: keep`)"


class OtherNames:
    """What the digests of a spec would be if it counted names and does not, or the other way round."""

    def __init__(self, desired: Mapping[str, Desired]) -> None:
        self._desired = desired
        self._known: dict[str, str] = {}
        self._count = next(map(_counts, filter(_is_named, desired.values())), False)
        self.reason = COUNT_NOW if self._count else COUNT_NO_MORE
        """Why an object with such a digest is replaced."""

    def digest(self, address: str) -> str:
        """The other digest of an address of the spec; the same one where names have no part in it."""
        if address not in self._known:
            self._known[address] = self._digest(self._desired[address])
        return self._known[address]

    def _digest(self, want: Desired) -> str:
        name = None if self._count else want.label
        match want.inputs:
            case Model() as model:
                return model.digest(name)
            case Project() as project:
                models = tuple(self.digest(parent) for parent in want.parents)
                return Project(project.template_id, project.template_name, models).digest(name)
            case Render() as render:
                return Render(self.digest(want.parents[0]), render.settings, render.revision).digest()
            case _:
                return want.digest


def remark(changes: Iterable[Change]) -> str | None:
    """What is to be said of a plan that replaces something for its names alone; None where none does."""
    for reason, back in ((COUNT_NOW, "keep"), (COUNT_NO_MORE, "replace")):
        count = sum(change.action is Action.REPLACE and change.reason == reason for change in changes)
        if count:
            which = "1 of the replacements has" if count == 1 else f"{count} of the replacements have"
            return (
                f"{which} one cause and no other: {reason}. What was made before stays remembered: with "
                f"`names: {back}` it is bound again, and nothing is made."
            )
    return None


def _is_named(want: Desired) -> bool:
    return want.label is not None and isinstance(want.inputs, Model | Project)


def _counts(want: Desired) -> bool:
    assert isinstance(want.inputs, Model | Project)
    return want.digest != want.inputs.digest()
