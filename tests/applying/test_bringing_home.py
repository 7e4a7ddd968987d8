"""Bringing home: nothing leaves the folder, nothing is half there, and only what is new is fetched."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from remote_places import Bucket
from worlds import Catalogue, converge

from glossi_sync.applying import Home, Previous, bring_home, plan_downloads, plan_prune, prune, source_of
from glossi_sync.applying.downloads import Due
from glossi_sync.applying.events import Downloaded, Event, Failed, Noted, Removed
from glossi_sync.applying.previous import drop_oldest
from glossi_sync.resources import Phase
from glossi_sync.service import Downloaded as Brought
from glossi_sync.service import Part
from glossi_sync.spec import Desired, Downloads, ProjectEntry, RenderEntry
from glossi_sync.state import Bind, MemoryState, Object, PutDownload, PutObject, Realised, RenderedFile, Unbind

CHAIRS = Catalogue(
    models=(("a", "0", "A"), ("b", "1", "B")),
    projects=(
        ProjectEntry("a", None, ("a",), "studio", renders=(RenderEntry("web"),)),
        ProjectEntry("b", None, ("b",), "studio", renders=(RenderEntry("web"),)),
    ),
)


class Shelf:
    """A source that has files by their path, and a folder that is brought up to date from it."""

    def __init__(self, folder: Path, *names: str, pattern: str = "{project}/{settings}/{name}.{ext}") -> None:
        self.downloads = Downloads(folder / "home", pattern)
        self.previous = folder / "previous"
        self.state = MemoryState(service="local")
        self.desired: Mapping[str, Desired] = CHAIRS.desired()
        self.contents: dict[str, bytes] = {}
        self.fetched: list[str] = []
        self.events: list[Event] = []
        self.fails_with: dict[str, OSError] = {}
        realised = converge(self.desired)
        self.state.write([PutObject(one) for one in realised.objects.values()])
        self.state.write([Bind(address, oid) for address, oid in realised.bindings.items()])
        self.render("render.a/web", *names)

    def render(self, address: str, *names: str, version: int = 1) -> None:
        """Let a render be completed with these files."""
        one = self.realised.bound(address)
        assert one is not None
        files = []
        for number, name in enumerate(names):
            path = f"{address}/{number}-v{version}.png"
            self.contents[path] = f"{address} {number} v{version}".encode()
            files.append(RenderedFile(f"id of {path}", name, path, "PNG", is_video=False))
        self.state.write([PutObject(one, files=files)])

    @property
    def realised(self) -> Realised:
        return self.state.realised()

    async def fetch(self, file_path: str, target: Path) -> Brought:
        self.fetched.append(file_path)
        if file_path in self.fails_with:
            raise self.fails_with[file_path]
        part = Part(target)
        part.find()
        with part.opened("0" * 16) as file:
            part.received += file.write(self.contents[file_path])
        return part.finish({})

    def due(self) -> Due:
        return plan_downloads(self.downloads, self.desired, self.realised, self.state)

    def bring(self) -> Home:
        self.events.clear()
        self.fetched.clear()
        due = self.due()
        self.state.write([PutDownload(one) for one in due.touched])
        return asyncio.run(
            bring_home(self.downloads, due.fetches, self, self.state, self.events.append, previous=self.previous)
        )

    def home(self) -> dict[str, bytes]:
        root = self.downloads.to
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


FRONT, BACK = "a/web/Front.png", "a/web/Back.png"


def test_only_what_is_new_is_fetched(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "Front", "Back")
    assert shelf.bring() == Home(2, {}, 2 * len(b"render.a/web 0 v1"))
    assert shelf.home() == {FRONT: b"render.a/web 0 v1", BACK: b"render.a/web 1 v1"}
    assert shelf.bring() == Home() and shelf.fetched == []
    shelf.render("render.b/web", "Front")
    shelf.bring()
    assert shelf.fetched == ["render.b/web/0-v1.png"]


def test_what_was_deleted_or_altered_is_fetched_again_and_the_altered_file_is_kept(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "Front", "Back")
    shelf.bring()
    before = shelf.home()
    (shelf.downloads.to / FRONT).unlink()
    altered = shelf.downloads.to / BACK
    altered.write_bytes(before[BACK].upper())  # of the same size
    os.utime(altered, ns=(1, 1))
    assert shelf.bring().fetched == 2 and shelf.home() == before
    (note,) = [event for event in shelf.events if isinstance(event, Noted)]
    assert note.address == "render.a/web" and f"{BACK} was not as it was brought home" in note.message
    (kept,) = shelf.previous.iterdir()
    assert str(kept) in note.message and kept.read_bytes() == before[BACK].upper()


def test_a_file_whose_time_alone_is_another_is_read_once_and_left_where_it_is(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "Front")
    shelf.bring()
    os.utime(shelf.downloads.to / FRONT, ns=(1, 1))
    assert [one.mtime_ns for one in shelf.due().touched] == [1]
    assert shelf.bring().fetched == 0
    assert shelf.due().touched == ()


def test_a_file_that_the_state_does_not_know_is_fetched_over_and_kept_only_where_it_is_another(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "Front", "Back")
    for path, content in ((FRONT, shelf.contents["render.a/web/0-v1.png"]), (BACK, b"mine")):
        (shelf.downloads.to / path).parent.mkdir(parents=True, exist_ok=True)
        (shelf.downloads.to / path).write_bytes(content)
    assert shelf.bring().fetched == 2
    assert [path.read_bytes() for path in shelf.previous.iterdir()] == [b"mine"]


def test_what_a_render_replaces_is_kept_and_found_by_both(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "Front")
    shelf.bring()
    shelf.render("render.a/web", "Front", version=2)
    shelf.bring()
    assert shelf.home() == {FRONT: b"render.a/web 0 v2"}
    previous = Previous.in_folder(shelf.previous)
    old, new = ("id of render.a/web/0-v1.png", "id of render.a/web/0-v2.png")
    kept = previous.before(new)
    assert kept is not None and kept.read_bytes() == b"render.a/web 0 v1" and kept == previous.itself(old)
    assert previous.before(old) is None and previous.itself(new) is None
    assert not [event for event in shelf.events if isinstance(event, Noted)]
    assert shelf.due().fetches == ()


def test_where_nothing_can_be_kept_a_picture_is_replaced_and_somebodys_work_is_not(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "Front", "Back")
    shelf.bring()
    shelf.previous.write_bytes(b"in the way")
    shelf.render("render.a/web", "Front", "Back", version=2)
    (shelf.downloads.to / BACK).write_bytes(b"retouched")
    home = shelf.bring()
    assert list(home.failed) == ["render.a/web"]
    assert shelf.home() == {FRONT: b"render.a/web 0 v2", BACK: b"retouched"}


def test_what_is_kept_is_bounded_and_the_oldest_goes_first(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "Front")
    for version in (1, 2, 3, 4):
        shelf.render("render.a/web", "Front", version=version)
        shelf.bring()
    drop_oldest(shelf.previous, most=2 * len(b"render.a/web 0 v1"))
    assert sorted(path.read_bytes()[-2:] for path in shelf.previous.iterdir()) == [b"v2", b"v3"]


def test_a_disk_that_is_full_is_told_once_and_nothing_more_is_asked_for(tmp_path: Path) -> None:
    names = [f"View {number}" for number in range(40)]
    shelf = Shelf(tmp_path, *names)
    shelf.fails_with = {path: OSError(errno.ENOSPC, "No space left on device") for path in shelf.contents}
    home = shelf.bring()
    (failure,) = home.failed.values()
    assert failure.endswith(f"the disk of {shelf.downloads.to} is full; make room, then `glossi-sync download` goes on")
    assert len(shelf.fetched) <= 8
    (note,) = [event for event in shelf.events if isinstance(event, Noted)]
    assert note.message == f"the disk is full: {40 - len(shelf.fetched)} more files were not asked for"
    shelf.fails_with.clear()
    assert shelf.bring().fetched == 40


def test_one_file_that_cannot_be_brought_fails_its_address_alone(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "Front")
    shelf.render("render.b/web", "Front")
    shelf.fails_with["render.a/web/0-v1.png"] = OSError(errno.EACCES, "Permission denied", "/somewhere")
    home = shelf.bring()
    assert home.fetched == 1
    assert home.failed == {"render.a/web": "a/web/Front.png could not be brought home: Permission denied (/somewhere)"}
    assert [type(event) for event in shelf.events if not isinstance(event, Downloaded)] == [Failed]


@pytest.mark.parametrize("link", ["a", "a/web"])
@pytest.mark.parametrize("dangling", [False, True])
def test_a_symbolic_link_that_leads_out_is_not_followed(tmp_path: Path, link: str, dangling: bool) -> None:
    outside = tmp_path / "outside"
    if not dangling:
        outside.mkdir()
    shelf = Shelf(tmp_path, "Front")
    (shelf.downloads.to / link).parent.mkdir(parents=True)
    (shelf.downloads.to / link).symlink_to(outside, target_is_directory=True)
    assert "a symbolic link leads out of the downloads folder" in shelf.bring().failed["render.a/web"]
    assert shelf.fetched == [] and (dangling or not list(outside.iterdir()))
    assert dangling is not outside.exists()


def test_links_that_are_the_users_own_are_respected(tmp_path: Path) -> None:
    """The downloads folder may be a link itself, one inside it may lead elsewhere inside; a link in a file's place goes."""
    shelf = Shelf(tmp_path, "Front")
    (tmp_path / "disk/other").mkdir(parents=True)
    shelf.downloads.to.symlink_to(tmp_path / "disk", target_is_directory=True)
    (tmp_path / "disk/a").symlink_to(tmp_path / "disk/other", target_is_directory=True)
    (tmp_path / "disk/other/web").mkdir()
    precious = tmp_path / "precious.png"
    precious.write_bytes(b"precious")
    (tmp_path / "disk/other/web/Front.png").symlink_to(precious)
    assert shelf.bring().fetched == 1
    front = tmp_path / "disk/other/web/Front.png"
    assert front.read_bytes() == b"render.a/web 0 v1" and not front.is_symlink()
    assert precious.read_bytes() == b"precious"


def test_a_link_in_the_place_of_a_part_is_not_written_through(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious")
    (tmp_path / f".x.png.{'1' * 16}.part").symlink_to(precious)
    part = Part(tmp_path / "x.png")
    part.find()
    assert part.received == 0 and list(tmp_path.iterdir()) == [precious]


NAMES = (
    st.sampled_from(
        ["..", ".", "", "/etc/passwd", "C:\\x", "con", "AUX.png", "nul.tar.gz", "a\0b", "x" * 4000, "é" * 300]
    )
    | st.sampled_from(
        ["Front", "FRONT", "front", "Fro\u0301nt", "Fr\u00f3nt", "ſtraße", "STRASSE", "Front (2)", "link", "out"]
    )
    | st.text(st.characters(exclude_categories=()), max_size=12)
)


@given(
    names=st.lists(NAMES, min_size=1, max_size=6),
    pattern=st.sampled_from(
        ["{name}.{ext}", "{project}/{name}.{ext}", "{name}/{variant}.{ext}", "{variant}/{name}/{ext}", "{ext}/{name}"]
    ),
    links=st.sets(st.sampled_from(["a", "link", "out", "Front", "png", "-"])),
)
@example(["link/x", "link"], "{name}/{variant}.{ext}", {"link"})
@settings(max_examples=60)
def test_whatever_files_are_called_they_lie_in_the_folder_each_in_a_place_of_its_own(
    names: Sequence[str], pattern: str, links: set[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        outside = Path(folder, "outside")
        outside.mkdir()
        shelf = Shelf(Path(folder, "in"), *names, pattern=pattern)
        shelf.downloads.to.mkdir(parents=True)
        for link in links:
            (shelf.downloads.to / link).symlink_to(outside, target_is_directory=True)
        home = shelf.bring()
        assert list(outside.iterdir()) == []
        assert sorted(one.name for one in Path(folder).iterdir()) == ["in", "outside"]
        if not links:
            assert home == Home(len(names), {}, home.size)
            assert sorted(shelf.home().values()) == sorted(shelf.contents.values())
            assert len({path.casefold() for path in shelf.home()}) == len(names)
            assert shelf.bring().fetched == 0


@given(st.permutations(["render.a/web", "render.b/web"]))
def test_what_is_finished_later_moves_nothing_that_is_there(order: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shelf = Shelf(Path(folder), pattern="{name}.{ext}")
        for address in order:
            shelf.render(address, "Front")
            assert shelf.bring().fetched == 1
        assert shelf.home() == {
            "Front.png": f"{order[0]} 0 v1".encode(),
            "Front (2).png": f"{order[1]} 0 v1".encode(),
        }


def test_what_was_counted_up_stays_where_it_is_when_a_place_before_it_becomes_free(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "Front", "Front", pattern="{name}.{ext}")
    shelf.render("render.b/web", "Front")
    assert shelf.bring().fetched == 3
    shelf.render("render.a/web", "Front", version=2)
    assert shelf.bring().fetched == 1
    assert shelf.home()["Front.png"] == b"render.a/web 0 v2" and shelf.home()["Front (3).png"] == b"render.b/web 0 v1"


# --- pruning ---------------------------------------------------------------------------------------------------------


def pruned(shelf: Shelf) -> list[str]:
    shelf.events.clear()
    found = plan_prune(shelf.downloads, shelf.due(), shelf.desired, shelf.state.downloads())
    removed = prune(shelf.downloads.to, found, shelf.state, shelf.events.append)
    assert len(removed) == sum(isinstance(event, Removed) for event in shelf.events)
    return [
        Path(event.path).relative_to(shelf.downloads.to).as_posix()
        for event in shelf.events
        if isinstance(event, Removed)
    ]


def without(shelf: Shelf, address: str) -> None:
    """Take a render from the spec, and let an apply forget it."""
    shelf.desired = {one: want for one, want in shelf.desired.items() if one != address}
    shelf.state.write([Unbind(address)])


def test_pruning_removes_what_no_render_wants_and_nothing_else(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "Front", "Back")
    shelf.render("render.b/web", "Front")
    shelf.bring()
    mine = shelf.downloads.to / "a/web/mine.txt"
    mine.write_bytes(b"mine")
    assert pruned(shelf) == []
    shelf.desired = {one: want for one, want in shelf.desired.items() if one != "render.b/web"}
    assert pruned(shelf) == [], "no apply has forgotten it yet"
    without(shelf, "render.b/web")
    assert pruned(shelf) == ["b/web/Front.png"]
    assert not (shelf.downloads.to / "b").exists() and set(shelf.state.downloads()) == {FRONT, BACK}
    without(shelf, "render.a/web")
    (shelf.downloads.to / BACK).write_bytes(b"RENDER.A/WEB 1 V1")
    os.utime(shelf.downloads.to / BACK, ns=(1, 1))
    assert pruned(shelf) == [FRONT]
    assert set(shelf.home()) == {BACK, "a/web/mine.txt"}
    (shelf.downloads.to / BACK).unlink()
    assert pruned(shelf) == [] and not shelf.state.downloads()


def test_what_a_render_had_stays_until_its_new_files_are_known(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "Front", "Back")
    shelf.bring()
    one = shelf.realised.bound("render.a/web")
    assert one is not None
    again = Object(99, one.kind, one.digest, Phase.QUEUED, parents=one.parents)
    shelf.state.write([PutObject(again), Bind("render.a/web", 99)])
    assert pruned(shelf) == []
    shelf.state.write([PutObject(Object(99, one.kind, one.digest, Phase.COMPLETED, parents=one.parents), files=[])])
    assert pruned(shelf) == [BACK, FRONT]


def test_pruning_follows_no_link_that_leads_out(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, "Front")
    shelf.bring()
    (shelf.downloads.to / "a").rename(tmp_path / "outside")
    (shelf.downloads.to / "a").symlink_to(tmp_path / "outside", target_is_directory=True)
    without(shelf, "render.a/web")
    assert pruned(shelf) == []
    assert (tmp_path / "outside/web/Front.png").exists()
    assert any(isinstance(event, Failed) and "leads out" in event.error for event in shelf.events)


# --- buckets ---------------------------------------------------------------------------------------------------------

PICTURE = bytes(range(256)) * 8192


def left_over(bucket: Bucket, target: Path, count: int) -> None:
    """What a killed run leaves: a part, under the name that this program gives it."""
    source = source_of(Downloads(target.parent, source=bucket.url), None)  # type: ignore[arg-type]
    asyncio.run(source.fetch("front.png", target))
    target.unlink()
    part = Part(target)
    etag = f'"{hashlib.md5(PICTURE).hexdigest()}"'
    from glossi_sync.service import tag_of

    url = f"{bucket.url}/front.png"
    with part.opened(tag_of(url, url, etag)) as file:
        file.write(PICTURE[:count])


@pytest.mark.parametrize("count", [1, 1_000_000, len(PICTURE)])
def test_a_bucket_is_asked_only_for_what_an_earlier_run_has_not_brought(
    bucket: Bucket, tmp_path: Path, count: int
) -> None:
    bucket.put("front.png", PICTURE)
    target = tmp_path / "front.png"
    left_over(bucket, target, count)
    bucket.asked.clear()
    source = source_of(Downloads(tmp_path, source=bucket.url), None)  # type: ignore[arg-type]
    brought = asyncio.run(source.fetch("front.png", target))
    assert (brought.size, brought.resumed_from) == (len(PICTURE), count)
    assert target.read_bytes() == PICTURE and list(tmp_path.iterdir()) == [target]
    served = [(one.method, one.status) for one in bucket.asked]
    assert served == [("HEAD", 200), ("GET", 206)][: 1 if count == len(PICTURE) else 2]


def test_the_parts_of_two_objects_of_a_bucket_are_never_joined(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("front.png", PICTURE)
    target = tmp_path / "front.png"
    left_over(bucket, target, 1_000_000)
    other = PICTURE[::-1]
    bucket.put("front.png", other)
    source = source_of(Downloads(tmp_path, source=bucket.url), None)  # type: ignore[arg-type]
    brought = asyncio.run(source.fetch("front.png", target))
    assert (brought.resumed_from, brought.sha256) == (0, hashlib.sha256(other).hexdigest())
    assert target.read_bytes() == other and list(tmp_path.iterdir()) == [target]
