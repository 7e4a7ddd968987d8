"""Drift is a difference between the service and the state: no spec, and no progress, is taken for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from worlds import Catalogue, catalogues, converge, decide, of_kind

from glossi_sync.planning import Drift, Observed, Seen, ask_about_all, drift
from glossi_sync.planning.drift import Deviation, Drifted
from glossi_sync.reporting import drift_document, drift_markdown, drift_text
from glossi_sync.resources import Kind, Phase, Webhook
from glossi_sync.spec import ProjectEntry, RenderEntry
from glossi_sync.state import Object, Realised

SHOP = Catalogue(
    (("lamp", "a", "Lamp"),), (ProjectEntry("lamp", None, ("lamp",), "studio", renders=(RenderEntry("web"),)),)
)
HOOK = {"url": "https://a.example/hook", "events": ["job.complete"], "enabled": True}


def found(realised: Realised, observed: Observed) -> Drift:
    return drift(realised, ask_about_all(realised), observed, lambda oids: dict.fromkeys(oids, HOOK), workspace="shop")


@given(catalogues())
def test_everything_that_can_be_asked_about_is_whatever_the_spec_says(catalogue: Catalogue) -> None:
    realised = converge(catalogue.desired())
    questions = ask_about_all(realised)
    asked = {one.oid for one in (*questions.models, *questions.renders)}
    bound = set(realised.bindings.values())
    assert asked == {one.oid for one in realised.objects.values() if one.oid in bound and one.kind is not Kind.PROJECT}
    assert found(realised, Observed()).deviations == ()


@pytest.mark.parametrize(
    ("was", "now", "drifted"),
    [
        (Phase.COMPLETED, Phase.LOST, Drifted.LOST),
        (Phase.QUEUED, Phase.LOST, Drifted.LOST),
        (Phase.QUEUED, Phase.FAILED, Drifted.FAILED),
        (Phase.COMPLETED, Phase.QUEUED, Drifted.UNDONE),
        (Phase.QUEUED, Phase.COMPLETED, None),
        (Phase.FAILED, Phase.COMPLETED, None),
    ],
)
def test_a_render_drifts_when_it_is_lost_fails_or_is_undone(was: Phase, now: Phase, drifted: Drifted | None) -> None:
    realised = Realised({1: Object(1, Kind.RENDER, "d", was, remote_id="r1")}, {"render.lamp/web": 1})
    seen = found(realised, Observed({1: Seen(now, "no light" if now is Phase.FAILED else None)}))
    assert [one.drifted for one in seen.deviations] == ([drifted] if drifted else [])
    assert seen.moved_on == (drifted is None)
    assert seen.looked_at == 1


def test_what_is_not_bound_any_more_does_not_drift() -> None:
    realised = converge(SHOP.desired())
    unbound = Realised(realised.objects, {})
    (model,) = of_kind(realised, Kind.MODEL)
    assert found(unbound, Observed({model.oid: Seen(Phase.LOST)})).deviations == ()


@pytest.mark.parametrize(
    ("there", "drifted"),
    [
        (Webhook("https://a.example/hook", ("job.complete",)), None),
        (Webhook("https://a.example/hook", ("job.complete",), description="written there"), None),
        (Webhook("https://b.example/hook", ("job.complete",)), Drifted.CHANGED),
        (Webhook("https://a.example/hook", ("job.complete",), enabled=False), Drifted.CHANGED),
        (None, Drifted.LOST),
    ],
)
def test_a_webhook_drifts_from_what_was_set(there: Webhook | None, drifted: Drifted | None) -> None:
    realised = Realised({1: Object(1, Kind.WEBHOOK, "d", Phase.SET)}, {"webhook": 1})
    seen = found(realised, Observed(asked_webhook=True, webhook=there))
    assert [one.drifted for one in seen.deviations] == ([drifted] if drifted else [])


def test_a_spec_that_is_not_applied_is_told_apart() -> None:
    plan = decide(SHOP.desired(), Realised())
    seen = drift(Realised(), ask_about_all(Realised()), Observed(), lambda _: {}, pending=len(plan.changes))
    assert seen.deviations == ()
    assert "3 addresses of the spec are not applied yet; that is no drift" in drift_text(seen).plain
    assert drift_document(seen, "local")["drifted"] is False


def test_markdown_of_a_large_drift_fits_into_a_comment() -> None:
    lost = tuple(Deviation(f"model.{n}", Kind.MODEL, Drifted.LOST, "a|b\n" * 20) for n in range(9000))
    text = drift_markdown(Drift("shop", lost, 9000), "api.glossi.app")
    told = text.count("| lost |")
    assert len(text.encode()) < 60_000 and f"**{9000 - told:,} more did not fit here**" in text
    assert text.startswith("<!-- glossi-sync: shop -->\n") and told > 100
