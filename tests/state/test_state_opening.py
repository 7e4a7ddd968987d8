"""Where a state lies, how it comes to be, and which files are refused: each with one sentence that says what to do."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import filelock  # noqa: F401  (before a test gives up the right to read where it is installed)
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glossi_sync.resources import Kind, Phase
from glossi_sync.state import (
    Bind,
    FileStamp,
    Holder,
    Object,
    PutObject,
    Realised,
    RemoteStamp,
    StateError,
    StateLocked,
    Write,
    default_location,
    open_state,
    service_identity,
    statements,
)

LAMP = Object(1, Kind.MODEL, "d" * 64, Phase.READY, "Desk Lamp", "m-1")
WRITES: list[Write] = [PutObject(LAMP, inputs={"file": "lamp.glb"}), Bind("model.lamp", 1)]
HOLDER = Holder(7, "glossi-sync apply", "ana", "build-7", 4711, 0.0)


def made(path: Path) -> Path:
    state = open_state(path, service="local")
    state.write(WRITES)
    state.close()
    return path


def refusal(path: str | Path, **options: object) -> str:
    with pytest.raises(StateError) as caught:
        open_state(path, **{"service": "local", **options})  # type: ignore[arg-type]
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def unreadable(path: Path) -> str:
    """The message of the StateError that opening or reading ends in."""
    with pytest.raises(StateError) as caught, closing(open_state(path, service="local")) as state:
        state.realised()
    assert "restore it from a backup" in str(caught.value)
    return str(caught.value)


# Names and places


@pytest.mark.parametrize(
    ("endpoint", "identity", "file"),
    [
        ("local", "local", "storefront@local.db"),
        ("https://api.glossi.app/api/v1", "https://api.glossi.app", "storefront@api.glossi.app.db"),
        ("HTTPS://API.Glossi.app:443/", "https://api.glossi.app", "storefront@api.glossi.app.db"),
        ("https://user:secret@api.glossi.app/", "https://api.glossi.app", "storefront@api.glossi.app.db"),
        ("http://127.0.0.1:8080/api/v1", "http://127.0.0.1:8080", "storefront@127.0.0.1-8080.db"),
        ("http://studio.lan", "http://studio.lan", "storefront@studio.lan-80.db"),
        ("https://studio.lan", "https://studio.lan", "storefront@studio.lan.db"),
        ("http://[::1]:9000/api/v1", "http://[::1]:9000", "storefront@__1-9000.db"),
    ],
)
def test_a_state_is_named_after_its_workspace_and_service(endpoint: str, identity: str, file: str) -> None:
    assert service_identity(endpoint) == identity
    assert service_identity(identity) == identity
    assert default_location(Path("/shop"), "storefront", endpoint) == Path("/shop/state") / file


@pytest.mark.parametrize(
    "endpoint", ["", "api.glossi.app", "ftp://x", "https://", "http://h:port", "http://[::1", "Local"]
)
def test_what_names_no_service_is_refused(endpoint: str) -> None:
    with pytest.raises(StateError, match="names no service: give `local` or a URL"):
        service_identity(endpoint)


@given(st.text(min_size=1), st.text(min_size=1))
def test_two_workspaces_never_share_a_file_or_leave_the_folder(one: str, other: str) -> None:
    places = [default_location(Path("/shop"), workspace, "local") for workspace in (one, other)]
    assert all(place.parent == Path("/shop/state") and ".." not in place.parts for place in places)
    assert (places[0] == places[1]) == (one == other)


# Making


def test_a_new_state_is_empty_private_and_made_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "shop" / "state" / "storefront@local.db"
    old = os.umask(0)
    try:
        state = open_state(path, service="local")
        state.write(WRITES)
    finally:
        os.umask(old)
    files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert files == {path.name: 0o600, f"{path.name}-wal": 0o600, f"{path.name}-shm": 0o600}
    assert state.location == str(path)
    assert len(state.lineage) == 32
    assert state.serial == 1
    state.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_what_was_written_is_there_again(tmp_path: Path) -> None:
    path = made(tmp_path / "a.db")
    state = open_state(str(path), service="local")
    assert state.realised() == Realised({1: LAMP}, {"model.lamp": 1})
    assert state.inputs([1]) == {1: {"file": "lamp.glb"}}
    state.close()


def test_two_states_have_two_lineages(tmp_path: Path) -> None:
    one, other = (open_state(tmp_path / name, service="local") for name in ("one.db", "other.db"))
    assert one.lineage != other.lineage
    one.close()
    other.close()


def test_many_who_make_it_at_once_share_one_state(tmp_path: Path) -> None:
    path = tmp_path / "state" / "a.db"
    together = Barrier(8)

    def lineage(number: int) -> str:
        together.wait()
        state = open_state(path, service="local")
        state.write([PutObject(Object(number, Kind.MODEL, "d", Phase.READY))])
        state.close()
        return state.lineage

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lineage, range(8)))) == 1
    state = open_state(path, service="local")
    assert set(state.realised().objects) == set(range(8))
    assert state.serial == 8
    state.close()


def test_a_file_system_without_hard_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    path = made(tmp_path / "a.db")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_an_orphaned_log_is_never_taken_for_a_new_states_own(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    state = open_state(path, service="local")
    state.write(WRITES)
    saved = (tmp_path / "a.db-wal").read_bytes()
    state.close()
    path.unlink()
    (tmp_path / "a.db-wal").write_bytes(saved)
    message = refusal(path)
    assert "a.db-wal, which holds its last writes, is still there: put the state back" in message
    assert not path.exists()


# Looking without making


def test_a_plan_makes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state" / "a.db"
    state = open_state(path, service="local", create=False)
    assert state.realised() == Realised()
    assert (state.lineage, state.serial, state.location, state.service) == ("", 0, str(path), "local")
    assert not state.runs() and not state.strays() and not state.downloads() and not state.stamps()
    state.put_stamps({"/lamp.glb": FileStamp(1, 2, 3, "s", 4)})
    with pytest.raises(StateError, match="does not exist yet"):
        state.write(WRITES)
    with pytest.raises(StateError, match="does not exist yet"), state.lock(HOLDER):
        pass
    state.close()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user can enter (pytest's own are closed)."""
    folder = Path(tempfile.mkdtemp(prefix="glossi-state-"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def as_nobody(act: Callable[[], str]) -> str:
    """What ``act`` returns, or the message of the StateError it raises, without root's right to write everywhere."""
    if os.name != "posix":
        pytest.skip("needs POSIX permissions")
    if os.getuid() != 0:
        return _outcome(act)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgid(65534)
        os.setuid(65534)
        os.write(writing, _outcome(act).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    assert os.waitpid(child, 0)[1] == 0
    return text


def _outcome(act: Callable[[], str]) -> str:
    try:
        return act()
    except StateError as error:
        return str(error)
    except BaseException as error:
        return f"not a StateError: {error!r}"


def test_a_plan_works_in_a_read_only_folder(open_folder: Path) -> None:
    path = made(open_folder / "a.db")
    path.chmod(0o444)
    open_folder.chmod(0o555)

    def look() -> str:
        state = open_state(path, service="local", create=False)
        state.put_stamps({"/lamp.glb": FileStamp(1, 2, 3, "s", 4)})
        found = state.realised() == Realised({1: LAMP}, {"model.lamp": 1}) and not state.stamps()
        state.close()
        return f"found: {found}"

    assert as_nobody(look) == "found: True"
    assert [file.name for file in open_folder.iterdir()] == ["a.db"]
    missing = open_folder / "b.db"
    assert as_nobody(lambda: open_state(missing, service="local", create=False).lineage) == ""


def test_an_apply_in_a_read_only_folder_is_refused(open_folder: Path) -> None:
    path = made(open_folder / "a.db")
    path.chmod(0o444)
    open_folder.chmod(0o555)

    def write() -> str:
        state = open_state(path, service="local", create=False)
        state.write(WRITES)
        return "written"

    def lock() -> str:
        with open_state(path, service="local", create=False).lock(HOLDER):
            return "locked"

    assert f"the state {path} cannot be written: you may only read it, or its folder; get write" in as_nobody(write)
    assert f"the state {path} cannot be locked: you have no permission on {path}.lock" in as_nobody(lock)
    assert "cannot be opened: you may only read it" in as_nobody(lambda: open_state(path, service="local").lineage)
    new = open_folder / "new.db"
    assert f"the state {new} cannot be created: you have no permission on" in as_nobody(
        lambda: open_state(new, service="local").lineage
    )
    assert {file.name for file in open_folder.iterdir()} == {"a.db"}


def test_a_state_left_in_the_middle_is_not_read_without_its_log(open_folder: Path) -> None:
    state = open_state(open_folder / "a.db", service="local")
    state.write(WRITES)
    copy = open_folder / "copy"
    copy.mkdir()
    for name in ("a.db", "a.db-wal"):
        (copy / name).write_bytes((open_folder / name).read_bytes())
        (copy / name).chmod(0o444)
    state.close()
    copy.chmod(0o555)
    path = copy / "a.db"
    answer = as_nobody(lambda: repr(open_state(path, service="local", create=False).realised()))
    assert "is read-only, and a run left the state in the middle of its work; make the folder writable" in answer
    copy.chmod(0o755)
    path.chmod(0o644)
    state = open_state(path, service="local", create=False)
    assert state.realised().bindings == {"model.lamp": 1}
    state.close()


def test_an_unreadable_state_and_folder_are_refused(open_folder: Path) -> None:
    path = made(open_folder / "a.db")
    assert f"you have no permission on {path}; get it for {open_folder}" in as_nobody(
        lambda: open_state(path, service="local").lineage
    )
    open_folder.chmod(0o700)
    if os.getuid() == 0:
        for create in (True, False):
            answer = as_nobody(lambda create=create: open_state(path, service="local", create=create).lineage)  # type: ignore[misc]
            assert f"the state {path} cannot be opened: you have no permission on {path}" in answer


def test_looser_permissions_are_tightened(tmp_path: Path) -> None:
    path = made(tmp_path / "a.db")
    path.chmod(0o644)
    open_state(path, service="local").close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


# Refusing


def test_another_services_state_is_refused(tmp_path: Path) -> None:
    path = made(tmp_path / "a.db")
    message = refusal(path, service="https://api.glossi.app")
    assert "belongs to the service local, and this run speaks to https://api.glossi.app" in message
    assert "--state" in message


def test_a_newer_schema_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(statements, "MIGRATIONS", (*statements.MIGRATIONS, ("CREATE TABLE later (x INTEGER)",)))
        path = made(tmp_path / "a.db")
    known = len(statements.MIGRATIONS)
    said = f"was written by a newer glossi-sync (schema version {known + 1}, this one knows up to {known}): upgrade"
    assert said in refusal(path)
    assert "upgrade" in refusal(path, create=False)


def test_a_folder_or_another_file_in_its_place_is_refused(tmp_path: Path) -> None:
    assert "is a folder; give the path of a file" in refusal(tmp_path)
    text = tmp_path / "notes.db"
    text.write_text("Buy milk. " * 500)
    assert "the file is not a glossi-sync state" in refusal(text)
    assert text.read_text() == "Buy milk. " * 500
    below = text / "state" / "a.db"
    assert "a file lies where" in refusal(below) and "needs a folder" in refusal(below)
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE meta (name TEXT)")
    connection.close()
    assert "is an SQLite database, but not a glossi-sync state" in refusal(other)
    assert "its path is too long" in refusal(tmp_path / ("x" * 300))


def test_a_url_of_a_kind_that_is_not_known_is_refused_without_telling_its_password() -> None:
    with pytest.raises(StateError) as caught:
        open_state("mysql://ana:hunter2@db/glossi", service="local")
    assert "the state mysql://… is of a kind that is not known" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("create", [True, False])
def test_an_emptied_file_is_not_a_new_state(tmp_path: Path, create: bool) -> None:
    path = made(tmp_path / "a.db")
    path.write_bytes(b"")
    assert "it is damaged (the file is empty); restore it from a backup" in refusal(path, create=create)


def test_damage_is_told_whenever_it_is_met(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    state = open_state(path, service="local")
    state.write([PutObject(Object(number, Kind.MODEL, "d" * 64, Phase.READY)) for number in range(500)])
    state.close()
    sound = path.read_bytes()
    path.write_bytes(sound[:4096] + b"\xa5" * (len(sound) - 4096))
    assert "it is damaged" in unreadable(path)
    path.write_bytes(sound[: len(sound) // 2])
    assert "it is damaged" in unreadable(path)


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE objects SET phase = 'molten'",
        "UPDATE objects SET parents = '1,x'",
        "UPDATE objects SET digest = CAST(x'ff' AS TEXT)",
        "DELETE FROM meta",
    ],
)
def test_rows_that_nobody_wrote_are_damage(tmp_path: Path, harm: str) -> None:
    path = made(tmp_path / "a.db")
    connection = sqlite3.connect(path)
    connection.execute(harm)
    connection.commit()
    connection.close()
    assert "it is damaged" in unreadable(path)


# Bringing an older schema up to date

LATER = ("ALTER TABLE runs ADD COLUMN note TEXT", "UPDATE runs SET note = command")


def test_an_older_schema_is_brought_up_to_date_and_backed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path / "a.db")
    version = len(statements.MIGRATIONS)
    with closing(open_state(path, service="local")) as state:
        lineage = state.lineage
    with monkeypatch.context() as newer:
        newer.setattr(statements, "MIGRATIONS", (*statements.MIGRATIONS, LATER))
        state = open_state(path, service="local")
        assert (state.lineage, state.serial) == (lineage, 1)
        assert state.realised().bindings == {"model.lamp": 1}
        state.close()
        connection = sqlite3.connect(path)
        assert connection.execute("SELECT schema_version FROM meta").fetchone() == (version + 1,)
        connection.close()
    backup = tmp_path / f"a.db.schema{version}.backup"
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    state = open_state(backup, service="local")
    assert state.realised().bindings == {"model.lamp": 1}
    state.close()


def test_a_state_from_before_remote_files_opens_and_remembers_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(statements, "MIGRATIONS", statements.MIGRATIONS[:1])
        path = made(tmp_path / "a.db")
    stamps = {"s3://shop/lamp.glb": RemoteStamp(5, '"etag"', "sha256")}
    with closing(open_state(path, service="local", create=False)) as state:
        assert state.realised() == Realised({1: LAMP}, {"model.lamp": 1})
        assert state.remote_stamps() == {}
        state.put_remote_stamps(stamps)
    with closing(open_state(path, service="local")) as state:
        assert state.remote_stamps() == stamps
    assert (tmp_path / "a.db.schema1.backup").exists()


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path / "a.db")
    with monkeypatch.context() as newer:
        newer.setattr(statements, "MIGRATIONS", (*statements.MIGRATIONS, (*LATER, "UPDATE nothing SET x = 1")))
        assert "cannot be migrated" in refusal(path)
    state = open_state(path, service="local")
    assert state.realised().bindings == {"model.lamp": 1}
    state.close()


def test_a_held_state_is_not_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path / "a.db")
    held = open_state(path, service="local")
    with held.lock(HOLDER), monkeypatch.context() as newer:
        newer.setattr(statements, "MIGRATIONS", (*statements.MIGRATIONS, LATER))
        with pytest.raises(StateLocked, match="held by `glossi-sync apply` of ana on build-7"):
            open_state(path, service="local")
    held.close()
