"""Each rule of safety, broken on purpose, is found by the simulation: it could not pass without them."""

from __future__ import annotations

import pytest
from simulation.invariants import Broken
from simulation.mutations import MUTATIONS, Mutation
from simulation.story import simulate

SEEDS = 300
"""Within so many seeds each broken rule must be found."""


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_a_broken_rule_is_found(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    mutation(monkeypatch)
    for seed in range(SEEDS):
        try:
            simulate(seed)
        except Broken:
            return
    pytest.fail(f"{SEEDS} seeds did not find that this is broken: {mutation.__doc__}")
