"""Whole states on their way: pulled out, pushed back, copied to another place; and what is refused on that way.

A push may lose what others have done since the pull. So it is refused where the state is another one (its lineage), is
further on (its serial, its journal, its runs), or belongs to another service; the last is never forced.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from glossi_sync.resources import Phase
from glossi_sync.state import document as documents
from glossi_sync.state.document import Document
from glossi_sync.state.store import State, StateError


def pull(state: State) -> dict[str, Any]:
    """The whole state as JSON values (see ``document``), without a secret in clear.

    Raises:
        StateError: it cannot be read, or there is none.
    """
    _refuse_absent(state)
    return documents.write(state.dump())


def push(state: State, value: Any, *, force: bool = False) -> bool:
    """Put a pulled state in the place of what is there, and tell whether that moved a binding; under the lock.

    What the document does not carry, the upload URLs of models that are recorded, is kept where it is still of use.
    With ``force``, a state that was further on counts on from its own serial, so that no plan made from it is taken
    for a plan made from this one.

    Raises:
        StateError: it is no pulled state, or is refused as the module says; or the state cannot be read or written.
    """
    try:
        wanted = documents.read(value)
    except ValueError as error:
        raise StateError(
            f"the document cannot be pushed: {error}; `glossi-sync state pull` writes such documents"
        ) from error
    there = state.dump()
    _refuse_service(wanted, there, state.location)
    if not (force or there.is_empty):
        _refuse_loss(wanted, there, state.location)
    if there.lineage == wanted.lineage and there.serial > wanted.serial:
        wanted = replace(wanted, serial=there.serial + 1)
    state.load(_with_upload_urls(wanted, there))
    return wanted.bindings != there.bindings


def migrate(source: State, target: State) -> Document:
    """Copy a whole state to another place, lineage and serial included; under the locks of both.

    Raises:
        StateError: there is nothing to copy, the target holds something already, or one of them cannot be used.
    """
    _refuse_absent(source)
    there = target.dump()
    if not there.is_empty:
        raise StateError(
            f"the state cannot be copied to {target.location}: a state lies there already (lineage {there.lineage}, "
            f"serial {there.serial}); give an empty place"
        )
    found = source.dump()
    _refuse_service(found, there, target.location)
    target.load(found)
    # What is known of files is no part of it, but need not be found out again.
    target.put_stamps(source.stamps())
    target.put_remote_stamps(source.remote_stamps())
    return found


def _refuse_absent(state: State) -> None:
    if not state.lineage:
        raise StateError(f"there is no state at {state.location}")


def _refuse_service(wanted: Document, there: Document, location: str) -> None:
    if wanted.service != there.service:
        raise StateError(
            f"the document cannot be pushed: it belongs to the service {wanted.service}, and the state {location} to "
            f"{there.service}, where its ids mean nothing"
        )


def _refuse_loss(wanted: Document, there: Document, location: str) -> None:
    lost = "push with --force to lose what is there"
    if wanted.lineage != there.lineage:
        raise StateError(
            f"the document cannot be pushed: it is another state (lineage {wanted.lineage}) than {location} (lineage "
            f"{there.lineage}); {lost}"
        )
    if wanted.serial < there.serial:
        raise StateError(
            f"the document cannot be pushed: it is older (serial {wanted.serial}) than the state {location} (serial "
            f"{there.serial}); pull again, or {lost}"
        )
    ended = {one.intent.call_id: one.outcome for one in wanted.journal}
    calls = sum(
        one.intent.call_id not in ended or (ended[one.intent.call_id] is None and one.outcome is not None)
        for one in there.journal
    )
    runs = len({past.run.run_id for past in there.runs} - {past.run.run_id for past in wanted.runs})
    events = len({one.digest for one in there.events} - {one.digest for one in wanted.events})
    if calls or runs or events:
        raise StateError(
            f"the document cannot be pushed: the state {location} has {calls} calls, {runs} runs and {events} events "
            f"that it lacks; pull again, or {lost}"
        )


def _with_upload_urls(wanted: Document, there: Document) -> Document:
    """What a document does not carry of its recorded models, from where it is still known."""
    kept = {
        oid: there.objects[oid]
        for oid, thing in wanted.objects.items()
        if thing.phase is Phase.RECORDED
        and oid in there.objects
        and replace(there.objects[oid], expires=None) == replace(thing, expires=None)
    }
    urls = {oid: url for oid, url in there.upload_urls.items() if oid in kept}
    return replace(wanted, objects={**wanted.objects, **kept}, upload_urls={**wanted.upload_urls, **urls})
