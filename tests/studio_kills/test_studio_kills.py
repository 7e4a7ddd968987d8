"""The studio's server killed for real, under load: nothing that it has promised to a client is lost.

A few kills; for a hundred: ``make studio-kills``, and ``studio_kills/__main__.py`` to do one seed again.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from studio_kills.__main__ import told as told_again
from studio_kills.client import Broken
from studio_kills.engine import sketched
from studio_kills.moments import AtPoint, AtTime, UnderWay, moment, read, spelled
from studio_kills.proof import prove
from studio_kills.story import Told, kill, told

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills processes by signal")

KILLS, SEED = 6, 1


def test_whenever_it_is_killed_nothing_is_lost(tmp_path: Path) -> None:
    try:
        figures = kill(tmp_path, seed=SEED, kills=KILLS, say=print)
    except Broken as broken:
        pytest.fail(told_again(broken, seed=SEED, kills=KILLS), pytrace=False)
    print(figures)
    assert figures.kills == KILLS
    assert figures.unanswered.total() > 0, "no kill has fallen between a request and its answer"


def test_the_moments_of_a_seed_are_its_own_and_of_every_sort() -> None:
    moments = [moment(Random(f"7/life {number}")) for number in range(500)]
    assert moments == [moment(Random(f"7/life {number}")) for number in range(500)]
    assert {type(one) for one in moments} == {AtTime, UnderWay, AtPoint}
    assert {(one.point, one.when) for one in moments if isinstance(one, AtPoint)} >= {
        ("commit", "before"),
        ("commit", "after"),
        ("analysis", "before"),
        ("render", "before"),
        ("delivery", "after"),
        ("file", "after"),
        ("POST /renders", "after"),
        ("PUT upload", "half"),
    }
    assert all(read(spelled(one)) == one for one in moments)


# --- the proof can fail --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """A story without a kill, whose server lives as long as these tests."""
    folder = tmp_path_factory.mktemp("studio-kills")
    with asyncio.Runner() as runner:
        story = told(folder, seed=3, kills=0)
        end = runner.run(story.__aenter__())
        yield end
        runner.run(story.__aexit__(None, None, None))


def test_a_story_without_kills_is_proven(done: Told) -> None:
    proven = prove(done.studio, done.ledger, done.receiver)
    assert proven.models > proven.flawed > 0
    assert proven.files > proven.renders > 0
    assert proven.jobs > 0


# Of a client of the guide's, and of a product that nothing is wrong with: what is said of the others differs.
PLAIN = "SELECT model_id FROM models WHERE name LIKE 'product %' AND model_id NOT IN (SELECT model_id FROM job_models)"
PLAINLY_MADE = f"SELECT project_id, model_id FROM project_models WHERE model_id IN ({PLAIN})"
SOUND = f"model_id = (SELECT model_id FROM ({PLAINLY_MADE}) LIMIT 1)"
SOME = "workspace_id, name, file_name, file_type, created_at"
ANOTHER_MODEL = f"INSERT INTO models (model_id, file_path, status, {SOME}) SELECT 'again', 'workspaces/nowhere',"
OF_A_MODEL = f"{SOME} FROM models LIMIT 1"
OF_A_PLAIN_ONE = f"project_id IN (SELECT project_id FROM ({PLAINLY_MADE}))"
COMPLETED = f"job_id = (SELECT job_id FROM render_jobs WHERE status = 'COMPLETED' AND {OF_A_PLAIN_ONE} LIMIT 1)"


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        ("DELETE FROM models WHERE confirmed_at IS NOT NULL", "models that were recorded are not there"),
        (f"UPDATE models SET status = 'PENDING', confirmed_at = NULL WHERE {SOUND}", "the model .* READY, and is PEND"),
        (f"UPDATE models SET status = 'FAILED', error_message = 'lost' WHERE {SOUND}", "the model .* and is FAILED"),
        ("DELETE FROM projects", "the project .* and is of None"),
        ("DELETE FROM render_jobs", "the render job .* is not there"),
        (f"UPDATE render_jobs SET status = 'QUEUED' WHERE {COMPLETED}", "the render job .* and is .*QUEUED"),
        (f"UPDATE render_jobs SET status = 'FAILED' WHERE {COMPLETED}", "the render job .* and is .*FAILED"),
        (f"DELETE FROM renders WHERE {COMPLETED}", "the render job .* was .*, and is "),
        ("UPDATE render_jobs SET batch_id = 'another'", "a retry of .* was answered with"),
        ("DELETE FROM jobs", "the job .* is not there"),
        ("UPDATE jobs SET status = 'PROCESSING', finished_at = NULL", "the job .* was .*, and is "),
        ("UPDATE job_models SET project_id = NULL, render_job_id = NULL", "the job .* was .*, and is "),
        ("UPDATE webhooks SET description = 'of old'", "the webhook is described as 'of old'"),
        ("UPDATE deliveries SET status = 'FAILED' WHERE number = 3", "the delivery 3 is FAILED"),
        ("UPDATE deliveries SET body = '{}' WHERE number = 3", "the delivery 3 is DELIVERED, and was never heard"),
        (
            "INSERT INTO projects SELECT 'again', workspace_id, name, template_id, created_at FROM projects LIMIT 1",
            "never told: .*'project.created', 'again'",
        ),
        (f"{ANOTHER_MODEL} 'PENDING', {OF_A_MODEL}", "1 models that were never answered"),
        (f"{ANOTHER_MODEL} 'READY', {OF_A_MODEL}", "the stray model again is READY"),
    ],
)
def test_what_is_lost_or_done_twice_in_the_records_is_found(
    done: Told, disturbed: Callable[[str], None], deed: str, said: str
) -> None:
    disturbed(deed)
    with pytest.raises(Broken, match=said):
        prove(done.studio, done.ledger, done.receiver)


@pytest.fixture
def disturbed(done: Told) -> Iterator[Callable[[str], None]]:
    """Changes the studio's records behind everyone's back, for one test."""
    path = done.studio.data / "records.db"
    with closing(sqlite3.connect(path)) as records, closing(sqlite3.connect(":memory:")) as copy:
        records.backup(copy)

        def disturb(deed: str) -> None:
            with records:
                assert records.execute(deed).rowcount

        yield disturb
        copy.backup(records)


def test_files_that_are_lost_or_changed_or_left_over_are_found(done: Told) -> None:
    files = done.studio.data / "files"

    def prove_with(key: str, content: bytes | None) -> None:
        path = files / key
        before = path.read_bytes() if path.exists() else None
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        try:
            prove(done.studio, done.ledger, done.receiver)
        finally:
            if before is None:
                path.unlink()
            else:
                path.write_bytes(before)

    model = next(one.key for one in done.ledger.models.values() if one.uploaded and one.product.content)
    render = next(one.completed for one in done.ledger.renders.values() if one.completed)["renders"][0]["filePath"]
    for key, content, said in (
        (model, None, "the file of the model .* is not there"),
        (model, b"another", "the file of the model .* is another"),
        (render, None, "which is not there"),
        (render, sketched("Front View", ["another"]), "another's picture"),
        (f"{render}.again", b"", "files that no row names"),
        ("../working/left", b"", "left over in working"),
        ("../incoming/left", b"", "left over in incoming"),
    ):
        with pytest.raises(Broken, match=said):
            prove_with(key, content)
    prove(done.studio, done.ledger, done.receiver)


def test_an_event_that_was_not_heard_or_heard_as_two_is_found(done: Told) -> None:
    bodies = done.receiver.bodies
    deaf = replace(done.receiver, bodies=[each for each in bodies if each[0] != bodies[0][0]])
    with pytest.raises(Broken, match="was never heard"):
        prove(done.studio, done.ledger, deaf)
    forged = replace(done.receiver, bodies=[*bodies, (bodies[0][0], "another signature")])
    with pytest.raises(Broken, match="signed with another secret"):
        prove(done.studio, done.ledger, forged)
