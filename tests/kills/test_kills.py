"""The console script killed for real, over real HTTP: what the studio recorded was done once, or somebody was told.

A few kills; for two hundred: ``make kill``, and ``kills/__main__.py`` to do one seed again.
"""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from kills.__main__ import told
from kills.moments import AtLine, AtRequest, AtTime, moment
from kills.products import SCRIPT, Products, write_products
from kills.proof import Before, Broken, look, prove
from kills.story import kill
from kills.studio import Studio, running_studio

KILLS, PRODUCTS, SEED = 8, 40, 1


def test_whenever_it_is_killed_everything_is_done_once_or_told(tmp_path: Path) -> None:
    try:
        figures = kill(tmp_path, seed=SEED, kills=KILLS, products=PRODUCTS, say=print)
    except Broken as broken:
        pytest.fail(told(broken, seed=SEED, kills=KILLS, products=PRODUCTS), pytrace=False)
    print(figures)
    assert figures.kills == KILLS
    assert sum(figures.in_doubt.values()) > 0, "no kill has fallen between a call and its answer"


def test_the_moments_of_a_seed_are_its_own_and_of_every_sort() -> None:
    moments = [moment(Random(f"7/apply {number}"), 40) for number in range(200)]
    assert moments == [moment(Random(f"7/apply {number}"), 40) for number in range(200)]
    assert {type(one) for one in moments} == {AtTime, AtLine, AtRequest}
    assert {(one.call, one.when) for one in moments if isinstance(one, AtRequest)} >= {
        ("POST /renders", when) for when in ("before", "after", "lost")
    }


# --- the proof can fail --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Done:
    """A few products that were applied without a kill."""

    products: Products
    studio: Studio
    before: Before
    records: Path


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    folder = tmp_path_factory.mktemp("kills")
    with running_studio(folder / "studio", "1") as studio:
        products = write_products(folder / "catalogue", 5, Random(1))
        before = look(studio)
        subprocess.run(
            [SCRIPT, "apply", "--yes"],
            cwd=products.folder,
            env=products.environment(studio),
            check=True,
            capture_output=True,
        )
        yield Done(products, studio, before, folder / "studio" / "records.db")


def test_an_apply_that_nobody_kills_is_proven(done: Done) -> None:
    proven = prove(done.products, done.studio, done.before)
    assert (proven.uploads, proven.renders, proven.uploads_repeated) == (5, 6, 0)
    assert not +proven.strays
    assert not +proven.strays_told


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        ("INSERT INTO render_jobs SELECT 'again', {job} FROM render_jobs LIMIT 1", "started more than once"),
        ("DELETE FROM render_jobs", "0 render jobs, and 6 renders are wanted"),
        (
            "INSERT INTO models SELECT 'again', {model} FROM models WHERE name = 'Product 3'",
            "model.sku0003 is model .*, and its file lies under .*again",
        ),
        (
            "UPDATE models SET file_path = 'nowhere' WHERE name = 'Product 2'",
            "model.sku0002 is model .* lies under \\[\\]",
        ),
        (
            "INSERT INTO project_models SELECT 'again', 0, model_id FROM models LIMIT 1",
            "1 projects that the state knows nothing of",
        ),
        (
            "UPDATE project_models SET model_id = (SELECT model_id FROM models WHERE name = 'Product 0')",
            "project.sku000[1-4] is project .*, and not of",
        ),
    ],
)
def test_what_was_done_twice_or_is_not_there_is_found(
    done: Done, disturbed: Callable[[str], None], deed: str, said: str
) -> None:
    disturbed(deed)
    with pytest.raises(Broken, match=said):
        prove(done.products, done.studio, done.before)


@pytest.fixture
def disturbed(done: Done) -> Iterator[Callable[[str], None]]:
    """Changes the studio's records behind everyone's back, for one test."""
    with closing(sqlite3.connect(done.records)) as records, closing(sqlite3.connect(":memory:")) as copy:
        records.backup(copy)

        def disturb(deed: str) -> None:
            rest = {
                name: ", ".join(
                    column for _, column, *_ in records.execute(f"PRAGMA table_info({table})").fetchall()[1:]
                )
                for name, table in (("job", "render_jobs"), ("model", "models"))
            }
            with records:
                records.execute(deed.format(**rest))

        yield disturb
        copy.backup(records)


def test_a_picture_that_is_missing_at_home_is_found(done: Done) -> None:
    picture = done.products.folder / "renders" / "sku0004" / "film" / "Front View.png"
    content = picture.read_bytes()
    picture.write_bytes(b"another")
    with pytest.raises(Broken, match="is another product's picture"):
        prove(done.products, done.studio, done.before)
    picture.unlink()
    with pytest.raises(Broken, match="was not brought home"):
        prove(done.products, done.studio, done.before)
    picture.write_bytes(content)
