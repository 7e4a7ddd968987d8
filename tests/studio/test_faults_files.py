"""Faults files: what they may say, how mistakes are told, and that what they strike repeats."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from studio_client import REPOSITORY, InProcess

from glossi_sync.schema_files import load_schema
from glossi_sync.studio.faults import FILE, UPLOAD, Faults, read_faults
from glossi_sync.studio.yaml_file import FileMistakes

EXAMPLE = REPOSITORY / "examples" / "faults.yaml"


def faults(folder: Path, *rules: dict[str, Any], seed: int = 0) -> Faults:
    path = folder / "faults.yaml"
    path.write_text(yaml.safe_dump({"seed": seed, "faults": list(rules)}), encoding="utf-8")
    return read_faults(path)


def struck(faults: Faults, at: str, subject: str, times: int) -> list[bool]:
    return [bool(list(faults.striking(at, subject))) for _ in range(times)]


def test_the_example_is_a_faults_file() -> None:
    jsonschema.Draft202012Validator.check_schema(load_schema("faults"))
    read_faults(EXAMPLE)


def test_rules_can_name_every_call_of_the_studio_and_no_other(inside: InProcess) -> None:
    def calls() -> Iterator[str]:
        for path, item in inside.app.openapi()["paths"].items():
            for method in item:
                short = path.removeprefix("/api/v1")
                if path.startswith("/uploads/"):
                    yield UPLOAD
                elif short.startswith("/files/"):
                    yield FILE
                elif short != path:
                    yield f"{method.upper()} {short}"

    named = load_schema("faults")["properties"]["faults"]["items"]["properties"]["at"]["enum"]
    assert sorted({*calls(), "*", "model", "render"}) == sorted(named)


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("[]", ["1:1: a faults file is a mapping with a list of rules, 'faults'"]),
        ("seed: 1", ["1:1: 'faults' is a required property"]),
        (
            "faults:\n- at: POST /model\n  drop: answer\n- at: nowhere near\n  drop: answer",
            [
                "2:3: faults[0].at: 'POST /model' is no call of the studio's; did you mean 'POST /models'?",
                "4:3: faults[1].at: 'nowhere near' is no call of the studio's; known are *, POST /models, ",
            ],
        ),
        ("faults:\n- at: model\n  refuze: no", ["3:3: faults[0]: the key 'refuze' is unknown; did you mean 'refuse'?"]),
        (
            "faults:\n- at: POST /models\n- {at: PUT upload, drop: answer, expire: true}",
            [
                "2:3: faults[0]: a rule has exactly one of drop, delay, answer, refuse, expire, lose; this one has none",
                "3:3: faults[1]: a rule has exactly one of drop, delay, answer, refuse, expire, lose; this one has drop"
                " and expire",
            ],
        ),
        (
            "faults:\n- at: POST /models\n  lose: true\n- at: render\n  drop: answer\n- at: model\n  expire: true",
            [
                "3:3: faults[0].lose: 'lose' has a meaning at PUT upload and GET /files/{filePath} and model and render",
                "5:3: faults[1].drop: work on a render is no request: it can be delayed, refused or lost",
                "7:3: faults[2].expire: 'expire' has a meaning at PUT upload alone",
            ],
        ),
        (
            "faults:\n- at: '*'\n  delay: [2, 1]\n- at: '*'\n  drop: answer\n  retryAfter: 1",
            [
                "3:3: faults[0].delay: the shorter delay comes first",
                "6:3: faults[1].retryAfter: 'retryAfter' goes with 'answer' alone",
            ],
        ),
        ("faults:\n- at: '*'\n  answer: 200", ["3:3: faults[0].answer: 200 is less than the minimum of 400"]),
        ("faults: 'x\n", ["1:9: "]),
    ],
)
def test_every_mistake_is_told_at_its_place(tmp_path: Path, text: str, mistakes: list[str]) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileMistakes) as caught:
        read_faults(path)
    lines = [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]
    assert len(lines) == len(mistakes), lines
    for line, mistake in zip(lines, mistakes, strict=True):
        assert line.startswith(mistake)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileMistakes, match="cannot be read"):
        read_faults(tmp_path / "faults.yaml")


calls = st.sampled_from(["POST /models", "POST /projects", "GET /templates", "PUT upload"])


@given(order=st.lists(calls, max_size=60), data=st.data())
def test_what_is_struck_depends_on_no_other_call(
    tmp_path_factory: pytest.TempPathFactory, order: list[str], data: st.DataObject
) -> None:
    rules = [
        {"at": "*", "drop": "answer", "share": 0.4},
        {"at": "POST /models", "answer": 500, "share": 0.2, "after": 2},
    ]
    one, other = (faults(tmp_path_factory.mktemp("faults"), *rules, seed=3) for _ in range(2))
    told: dict[str, list[list[int]]] = {}
    again: dict[str, list[list[int]]] = {}
    for call in order:
        told.setdefault(call, []).append([rule.number for rule, _ in one.striking(call, call)])
    for call in data.draw(st.permutations(order)):
        again.setdefault(call, []).append([rule.number for rule, _ in other.striking(call, call)])
    assert told == again


def test_a_share_is_about_that_share_and_another_seed_is_another_day(tmp_path: Path) -> None:
    rule = {"at": "POST /models", "drop": "answer", "share": 0.25}
    days = [struck(faults(tmp_path, rule, seed=seed), "POST /models", "POST /models", 2000) for seed in (1, 1, 2)]
    assert days[0] == days[1] != days[2]
    assert all(0.2 < sum(day) / 2000 < 0.3 for day in days)


def test_after_and_times_count_each_call_and_each_name(tmp_path: Path) -> None:
    some = faults(
        tmp_path,
        {"at": "*", "drop": "answer", "after": 2, "times": 3},
        {"at": "render", "refuse": "no", "times": 1},
    )
    for call in ("POST /models", "GET /templates"):
        assert struck(some, call, call, 7) == [False, False, True, True, True, False, False]
    for name in ("lamp", "chair"):
        assert struck(some, "render", name, 3) == [True, False, False]
    assert struck(some, "model", "lamp", 3) == [False] * 3


def test_work_is_refused_or_lost_by_name(tmp_path: Path) -> None:
    some = faults(
        tmp_path,
        {"at": "model", "delay": 0},
        {"at": "model", "refuse": "It melted.", "times": 1},
        {"at": "model", "lose": True, "after": 1},
        {"at": "render", "lose": True},
    )

    async def told() -> list[str | None]:
        return [await some.of_model("lamp"), await some.of_model("lamp"), await some.of_render("lamp")]

    assert asyncio.run(told()) == ["It melted.", None, None]
    assert [some.loses_model("lamp"), some.loses_model("lamp"), some.loses_render("lamp")] == [False, True, True]
