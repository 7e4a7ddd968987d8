"""Addresses: what is put together is read back, and nothing else passes for one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glossi_sync.resources import Kind, is_address, kind_of, model_address, project_address, render_address
from glossi_sync.resources.address import KEY_PATTERN, WEBHOOK_ADDRESS

keys = st.from_regex(KEY_PATTERN, fullmatch=True)
models = st.none() | keys


@given(keys, models, keys)
def test_every_address_that_is_put_together_is_one_and_tells_its_kind(key: str, model: str | None, group: str) -> None:
    project = project_address(key, model)
    addresses = {
        model_address(key): Kind.MODEL,
        project: Kind.PROJECT,
        render_address(project, group): Kind.RENDER,
        WEBHOOK_ADDRESS: Kind.WEBHOOK,
    }
    for address, kind in addresses.items():
        assert is_address(address)
        assert kind_of(address) is kind


@given(keys, models, keys)
def test_an_address_can_be_read_back(key: str, model: str | None, group: str) -> None:
    """Keys hold no slash, so the parts can be told apart; dots and dashes in them do no harm."""
    project = project_address(key, model)
    parts = [key] if model is None else [key, model]
    assert project.removeprefix("project.").split("/") == parts
    assert render_address(project, group).removeprefix("render.").split("/") == [*parts, group]
    assert model_address(key).removeprefix("model.") == key


things = st.one_of(
    st.tuples(st.just("model"), keys),
    st.tuples(st.just("project"), keys, models),
    st.tuples(st.just("render"), keys, models, keys),
)


def _address(thing: tuple[str | None, ...]) -> str:
    match thing:
        case "model", str(key):
            return model_address(key)
        case "project", str(key), model:
            return project_address(key, model)
        case _, str(key), model, str(group):
            return render_address(project_address(key, model), group)
    raise AssertionError(thing)


@given(things, things)
def test_two_things_have_two_addresses(one: tuple[str | None, ...], other: tuple[str | None, ...]) -> None:
    assert (_address(one) == _address(other)) is (one == other)


@pytest.mark.parametrize(
    "text",
    ["", "lamp", "model", "model.", "model.lamp/x", "model.-lamp", "model..lamp", "model.lámpara", "model.a b", "Model.lamp"]
    + ["project.", "project.a/", "project./a", "project.a/b/c", "project.a//b", "render.a", "render.a/b/c/d", "render.a/"]
    + ["webhook.x", "webhooks", " webhook", "webhook\n", "model.lamp\n", "template.studio", "model.lamp model.chair"],
)  # fmt: skip
def test_what_only_looks_like_an_address_is_none(text: str) -> None:
    assert not is_address(text)


@given(st.text("model.projctrendwbhk/-_ A0\n", max_size=16) | st.text(max_size=12))
def test_an_address_is_a_kind_and_as_many_keys_as_it_takes(text: str) -> None:
    kind, dot, rest = text.partition(".")
    parts = rest.split("/")
    counts = {"model": (1,), "project": (1, 2), "render": (2, 3)}
    expected = text == "webhook" or (
        dot == "."
        and len(parts) in counts.get(kind, ())
        and all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", part) for part in parts)
    )
    assert is_address(text) is expected
