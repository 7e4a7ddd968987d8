"""A template binding names exactly one of the service's templates, or is told why it does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glossi_sync.errors import UserError
from glossi_sync.resources import Template, TemplateRef, UnresolvedTemplate, resolve_template

STUDIO, OUTDOOR = Template("t1", "Studio Light"), Template("t2", "Outdoor Scene", "Natural outdoor lighting")
TWIN = Template("t3", "Studio Light")

lists = st.lists(st.builds(Template, st.sampled_from("abc"), st.sampled_from(["One", "Two"])), max_size=5)


@given(lists, st.sampled_from("abcd"))
def test_by_id_the_one_with_that_id(templates: list[Template], template_id: str) -> None:
    matches = [template for template in templates if template.template_id == template_id]
    if len(matches) == 1:
        assert resolve_template(TemplateRef(template_id=template_id), templates) is matches[0]
    else:
        with pytest.raises(UnresolvedTemplate):
            resolve_template(TemplateRef(template_id=template_id), templates)


@given(lists, st.sampled_from(["One", "Two", "one", ""]))
def test_by_name_the_one_with_exactly_that_name(templates: list[Template], name: str) -> None:
    matches = [template for template in templates if template.name == name]
    if len(matches) == 1:
        assert resolve_template(TemplateRef(name=name), iter(templates)) is matches[0]
    else:
        with pytest.raises(UnresolvedTemplate):
            resolve_template(TemplateRef(name=name), iter(templates))


@pytest.mark.parametrize(
    ("ref", "templates", "said"),
    [
        (
            TemplateRef(name="Studio Lihgt"),
            [STUDIO, OUTDOOR],
            "the service has no template with the name 'Studio Lihgt'; did you mean 'Studio Light'? "
            "(it has 'Studio Light', 'Outdoor Scene')",
        ),
        (
            TemplateRef(template_id="t9"),
            [STUDIO],
            "the service has no template with the id 't9' (it has 'Studio Light')",
        ),
        (TemplateRef(name="X"), [], "the service has no template with the name 'X' (it has none at all)"),
        (
            TemplateRef(name="Studio Light"),
            [STUDIO, OUTDOOR, TWIN],
            "2 templates have the name 'Studio Light' (t1, t3); bind it by id instead",
        ),
    ],
)
def test_a_binding_that_does_not_fit_is_told_what_there_is(
    ref: TemplateRef, templates: list[Template], said: str
) -> None:
    with pytest.raises(UnresolvedTemplate) as raised:
        resolve_template(ref, templates)
    assert str(raised.value) == said
    assert isinstance(raised.value, UserError)
