"""A plan for a pull request: always below the limit, whatever it holds; nothing of a spec's becomes markup."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from glossi_sync.planning import Action, Change, Difference, Plan, Scope, Trouble
from glossi_sync.reporting import Preview, Previews, plan_markdown
from glossi_sync.resources import Kind
from glossi_sync.resources.model import LIFECYCLE

OURS = {"details", "summary", "b", "h3", "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "code", "br"}
OURS |= {"blockquote", "img"}
HOSTILE = (
    "</details>", "<script>", "a | b", "`", "``", "|", "\\|", "\\", "\n\n# x", "[a](b)", "![a](b)", "<!--", "-->", "&lt;",
    "@everyone", "#1", "GH-1", "https://a.example", "www.a.example", "**", "__", "~~", "$x$", "\u202e", "\r\n", "\ud800", "灯",
)  # fmt: skip
anything = st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=12)), max_size=6).map("".join)
changes = st.builds(
    Change,
    address=anything,
    kind=st.sampled_from(Kind),
    action=st.sampled_from(Action),
    reason=anything,
    steps=st.sampled_from([(), LIFECYCLE.steps]),
    trouble=st.none() | st.sampled_from(Trouble),
    note=st.none() | anything,
    diff=st.lists(st.builds(Difference, anything, anything), max_size=10).map(tuple),
)


def plan_of(changes: Sequence[Change], **more: Any) -> Plan:
    return Plan("shop", "sha256:" + "0" * 64, "", 0, tuple(changes), **more)


class Shown(HTMLParser):
    """What a browser would see: tags in balance, the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.text += "\n"
        if tag not in ("br", "img"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "code" not in self._open:  # the forges call nobody from there
            self.text += data


def shown(markdown: str) -> Shown:
    """As the forges render it: GitHub's tables, raw HTML let through."""
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return Shown(reader.render(markdown))


@settings(max_examples=60)
@given(st.lists(changes, max_size=8), st.none() | anything, st.none() | anything, st.none() | anything)
def test_nothing_of_a_spec_becomes_markup(
    found: list[Change], excess: str | None, remark: str | None, service: str | None
) -> None:
    text = plan_markdown(
        plan_of(found, excess=excess, remark=remark, scope=Scope(targets=() if service is None else (service,))),
        service=service,
        previews=Previews("a", tuple(Preview(one.address, (one.address,), one.note) for one in found), len(found)),
    )
    seen = shown(text)
    assert set(seen.tags) <= OURS
    rows = [line for line in text.splitlines() if line.startswith("| ") and "| address |" not in line]
    assert len(rows) == len(found) == seen.tags.count("tr") - seen.tags.count("table")
    assert seen.tags.count("td") == 3 * len(rows), "a cell has become two"
    assert not re.search(r"[@#]\w|://|www\.|\u202e", seen.text), "somebody is mentioned, or something linked"


@settings(max_examples=20)
@given(changes, st.integers(1, 600), st.sampled_from(["", "x", "灯", "<", "\n"]), st.booleans())
def test_it_fits_into_a_comment_however_large_the_plan(one: Change, count: int, more: str, alike: bool) -> None:
    every = [
        Change(f"{one.address}{number}", one.kind, one.action, one.reason if alike else f"{number} {more * 500}")
        for number in range(count)
    ]
    text = plan_markdown(plan_of([one, *every], excess=more * 9999), saved="plan.json" * 99, previews=previews(count))
    assert len(text.encode("utf-8", "surrogatepass")) < 60_000
    shown(text)


def previews(count: int) -> Previews:
    return Previews("x", tuple(Preview(f"project.{number}", ("a/" * 99 + "b.png",)) for number in range(count)), count)


@pytest.mark.parametrize("count", [1, 20, 20_000])
def test_what_is_cut_is_counted_and_the_whole_is_named(count: int) -> None:
    every = [
        Change(f"model.sku-{number}", Kind.MODEL, Action.REPLACE, f"reason {number}", steps=LIFECYCLE.steps)
        for number in range(count)
    ]
    text = plan_markdown(plan_of(every), saved="plan.json")
    told = text.count("| `model.sku-")
    assert told == count or f"**{count - told:,} more changes did not fit here**: the saved plan, `plan.json`" in text
    assert f"{count} to replace" in text
    if told < count:
        assert len(text) > 55_000, "there was room for more"
        assert "`glossi-sync plan -v` lists all" in plan_markdown(plan_of(every))


def test_the_most_important_is_kept_when_it_is_cut() -> None:
    notes = [Change(f"model.{number}", Kind.MODEL, Action.NONE, "x", note=f"{number} " * 90) for number in range(900)]
    last = [
        Change("render.new/web", Kind.RENDER, Action.CREATE, "not realised"),
        Change("render.other/web", Kind.RENDER, Action.REPLACE, "its inputs changed"),
        Change("render.bad/web", Kind.RENDER, Action.NONE, "failed: no light", trouble=Trouble.FAILED),
    ]
    text = plan_markdown(plan_of([*notes, *last]))
    assert all(f"`{one.address}`" in text for one in last)
    assert text.index("render.bad/web") < text.index("`model.") < text.index("render.other/web") < text.index("new/web")


def test_like_changes_share_a_row_and_their_names_are_folded_below() -> None:
    every = [Change(f"render.sku-{n}/web", Kind.RENDER, Action.CREATE, "not realised") for n in range(300)]
    text = plan_markdown(plan_of(every))
    assert "| `+`&nbsp;create | `render.sku-0/web`<br>and **299 more** like it |" in text
    assert "<details><summary>create: all 300</summary>" in text and "`render.sku-299/web`" in text
    assert "did not fit" not in text


def test_a_comment_is_found_again_by_its_first_line() -> None:
    assert plan_markdown(plan_of([])).splitlines()[0] == "<!-- glossi-sync: shop -->"


def test_pictures_are_linked_below_their_product() -> None:
    made = (Preview("project.lamp", ("lamp/La lámpara.png",), "in 720p"), Preview("project.x", note="no light"))
    text = plan_markdown(plan_of([]), previews=Previews("previews", made, 7))
    assert '`project.lamp`: in 720p<br><img src="previews/lamp/La%20l%C3%A1mpara.png"' in text
    assert "`project.x`: no light\n" in text
    assert "7 more change and have no preview (--preview-limit)." in text
