"""Each rule of safety, broken on purpose, is found by the simulation: it could not pass without them."""

from __future__ import annotations

import pytest
from simulation.invariants import Broken
from simulation.mutations import BUCKET_MUTATIONS, MUTATIONS, Mutation
from simulation.story import simulate

SEEDS = 300
"""Within so many seeds each broken rule must be found."""


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_a_broken_rule_is_found(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    mutation(monkeypatch)
    assert found(None), f"{SEEDS} seeds did not find that this is broken: {mutation.__doc__}"


@pytest.mark.parametrize("mutation", BUCKET_MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_a_broken_rule_of_the_lock_in_a_bucket_is_found(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    mutation(monkeypatch)
    assert found("bucket"), f"{SEEDS} seeds did not find that this is broken: {mutation.__doc__}"


def found(backend: str | None) -> bool:
    for seed in range(SEEDS):
        try:
            simulate(seed, backend=backend)
        except Broken:
            return True
    return False
