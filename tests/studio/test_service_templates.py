"""Templates at the studio (guide, "Finding Available Templates")."""

from __future__ import annotations

import pytest
from studio_client import WORKSPACE_TEMPLATE, WORKSPACE_TEMPLATE_ID, Api, ok, refused

PUBLIC = ["Colour Pop", "Dark Luxe", "Outdoor Scene", "Studio Light", "Warm Interior", "White Catalogue"]


@pytest.mark.parametrize(
    ("query", "public", "own"),
    [
        ("", True, True),
        ("?internal=false", True, False),
        ("?public=false", False, True),
        ("?internal=true&public=true", True, True),
        ("?internal=false&public=false", False, False),
    ],
)
def test_the_filters_leave_what_they_say(api: Api, query: str, public: bool, own: bool) -> None:
    answer = ok(api.get(f"/templates{query}"))
    assert set(answer) == {"templates"}
    names = [template["name"] for template in answer["templates"]]
    assert sorted(names[: len(PUBLIC) * public]) == PUBLIC * public
    assert names[len(PUBLIC) * public :] == [WORKSPACE_TEMPLATE] * own


def test_a_template_is_told_by_id_name_and_description(api: Api) -> None:
    templates = ok(api.get("/templates"))["templates"]
    assert all(set(template) == {"templateId", "name", "description"} for template in templates)
    assert all(isinstance(value, str) and value for template in templates for value in template.values())
    assert len({template["templateId"] for template in templates}) == len(templates)
    assert templates[-1]["templateId"] == WORKSPACE_TEMPLATE_ID


def test_a_filter_that_is_no_truth_value_is_refused(api: Api) -> None:
    assert "public" in refused(api.get("/templates?public=perhaps"), 422, "invalid_request")
