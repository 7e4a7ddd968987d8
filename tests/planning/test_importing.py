"""What can be imported: everything that the service knows and nothing speaks against; afterwards there is nothing to plan."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from worlds import NOW, Catalogue, catalogues, converge, decide

from glossi_sync.applying.importing import bind_imports
from glossi_sync.planning import Policy, plan
from glossi_sync.planning.importing import Imports, Known, decide_import
from glossi_sync.planning.observe import Observed
from glossi_sync.resources import Kind, Phase, kind_of
from glossi_sync.service import ModelStatus, RenderJob
from glossi_sync.spec import Desired, ProjectEntry, RenderEntry
from glossi_sync.spec.ids import GivenId
from glossi_sync.state import Intent, MemoryState, Realised, Subject, check

LAMP = Catalogue(
    models=(("lamp", "a", "Lamp"), ("cup", "b", "Cup")),
    projects=(ProjectEntry("lamp", None, ("lamp",), "studio", renders=(RenderEntry("web"),)),),
)


def ids(desired: dict[str, Desired]) -> dict[str, str]:
    """An id for each address, the address itself."""
    return {address: f"at {address}" for address in desired}


def given_ids(ids: dict[str, str]) -> list[GivenId]:
    return [GivenId(address, remote_id, number) for number, (address, remote_id) in enumerate(ids.items())]


def known(desired: dict[str, Desired], ids: dict[str, str], model: str = "READY", render: str = "COMPLETED") -> Known:
    """A service that knows all of them."""
    return Known(
        {
            ids[address]: ModelStatus(ids[address], desired[address].label or "", model, model == "READY", None)
            for address in ids
            if address in desired and kind_of(address) is Kind.MODEL
        },
        {
            ids[address]: RenderJob(ids[address], render, ids.get(desired[address].parents[0], "elsewhere"))
            for address in ids
            if address in desired and kind_of(address) is Kind.RENDER
        },
    )


def imported(
    ids: dict[str, str], realised: Realised | None = None, service: Known | None = None, *, replace: bool = False
) -> Imports:
    desired = LAMP.desired()
    return decide_import(
        given_ids(ids), desired, realised or Realised(), service or known(desired, ids), replace=replace
    )


def told(imports: Imports) -> list[str]:
    assert not imports.imports
    return [message for _, _, message in imports.complaints]


def bound(imports: Imports) -> MemoryState:
    state = MemoryState(service="local")
    bind_imports(imports.imports, state, run_id=1, command="import ids.csv", clock=lambda: NOW, rng=Random(1))
    return state


@given(catalogues(), st.randoms())
def test_after_everything_was_imported_there_is_nothing_to_plan(catalogue: Catalogue, rng: Random) -> None:
    desired = catalogue.desired()
    rows = list(ids(desired).items())
    rng.shuffle(rows)
    imports = decide_import(given_ids(dict(rows)), desired, Realised(), known(desired, dict(rows)), replace=False)
    assert not imports.complaints
    state = bound(imports)
    assert check(state) == []
    assert plan(desired, state.realised(), Observed(), Policy(), now=NOW).is_settled
    assert [run.command for run in state.runs()] == ["import ids.csv"]


def test_what_is_not_finished_goes_on_from_where_it_is() -> None:
    desired = LAMP.desired()
    state = bound(imported(ids(desired), service=known(desired, ids(desired), "ANALYZING", "RENDERING")))
    changes = plan(desired, state.realised(), Observed(), Policy(), now=NOW).changes
    assert {change.address for change in changes if change.waits} == {"model.lamp", "model.cup", "render.lamp/web"}
    assert not [step for change in changes for step in change.steps]


def test_what_failed_is_bound_as_failed() -> None:
    desired = LAMP.desired()
    imports = imported(ids(desired), service=known(desired, ids(desired), "FAILED", "FAILED"))
    phases = {one.want.address: one.phase for one in imports.imports}
    assert phases == {
        "model.lamp": Phase.FAILED,
        "model.cup": Phase.FAILED,
        "project.lamp": Phase.CREATED,
        "render.lamp/web": Phase.FAILED,
    }


def test_what_is_bound_is_bound_anew_only_on_request() -> None:
    realised = converge(LAMP.desired())
    own = realised.bound("model.cup")
    assert own is not None
    one = {"model.cup": "another"}
    assert told(imported(one, realised)) == [f"model.cup is bound to {own.remote_id} already; --replace binds it anew"]
    again = imported(one, realised, replace=True)
    assert [(each.want.address, each.remote_id) for each in again.imports] == [("model.cup", "another")]


def test_what_is_bound_so_already_is_left_alone() -> None:
    realised = converge(LAMP.desired())
    same = {address: str(realised.objects[oid].remote_id) for address, oid in realised.bindings.items()}
    assert imported(same, realised) == Imports(unchanged=len(same))


def test_a_remembered_object_is_bound_again_instead_of_a_second_one() -> None:
    realised = converge(LAMP.desired())
    oid = realised.bindings["model.cup"]
    unbound = replace(realised, bindings={a: o for a, o in realised.bindings.items() if a != "model.cup"})
    [one] = imported({"model.cup": str(realised.objects[oid].remote_id)}, unbound).imports
    assert one.oid == oid


def test_an_id_that_stands_for_something_else_is_refused() -> None:
    realised = converge(LAMP.desired())
    lamp = realised.bound("model.lamp")
    assert lamp is not None
    assert told(imported({"model.cup": str(lamp.remote_id)}, realised, replace=True)) == [
        f"the model {lamp.remote_id} is known: it was made of something else than model.cup is"
    ]
    assert told(imported({"model.cup": "x", "model.lamp": "x"})) == ["the model x is given for several addresses"] * 2


def test_what_a_thing_is_made_of_must_be_bound_or_given_too() -> None:
    desired = LAMP.desired()
    assert told(imported({"project.lamp": "p"})) == [
        "project.lamp is made of model.lamp, which is bound to nothing like it; give its id too"
    ]
    realised = converge(desired)
    other = replace(LAMP, models=(("lamp", "z", "Lamp"), LAMP.models[1])).desired()
    complaints = decide_import(given_ids({"project.lamp": "p"}), other, realised, Known(), replace=True).complaints
    assert "which is bound to nothing like it" in complaints[0][2]
    lost = {oid: replace(one, phase=Phase.LOST) for oid, one in realised.objects.items()}
    complaints = decide_import(
        given_ids({"project.lamp": "p"}), desired, replace(realised, objects=lost), Known(), replace=True
    ).complaints
    assert "which is bound to nothing like it" in complaints[0][2]


def test_a_render_in_doubt_is_left_to_resolve() -> None:
    desired = LAMP.desired()
    subject = Subject("render.lamp/web", desired["render.lamp/web"].digest)
    doubt = Intent(1, 1, "start", "POST /renders", (subject,), NOW)
    assert told(imported(ids(desired), Realised(in_doubt=(doubt,)))) == [
        "whether render.lamp/web was started is in doubt; settle that instead: "
        "glossi-sync resolve render.lamp/web --adopt at render.lamp/web"
    ]


def test_what_was_imported_is_remembered_like_what_was_made() -> None:
    desired = LAMP.desired()
    state = bound(imported(ids(desired)))
    realised = state.realised()
    assert decide(desired, realised).is_settled
    assert state.inputs([realised.bindings["model.cup"]]) != {}
    for address, want in desired.items():
        one = realised.bound(address)
        assert one is not None and one.parents == tuple(realised.bindings[parent] for parent in want.parents)
