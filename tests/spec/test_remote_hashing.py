"""Remote files, hashed: what has not changed is not read, what has is; each failure is told in the user's words."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from remote_places import SECRET, Bucket, Web, glb, web

from glossi_sync.spec import (
    Hashed,
    HashedRemote,
    Spec,
    SpecError,
    hash_models,
    look_at_remote_files,
    read_spec,
    remote_hashing,
)
from glossi_sync.spec.stores import PIECE_BYTES


@pytest.fixture
def site() -> Iterator[Web]:
    with web() as running:
        yield running


def spec_of(folder: Path, *files: str, **model: str) -> Spec:
    """A spec of models, one on each line from the fourth on."""
    lines = [f"  m{number}: {json.dumps({'file': file, **model})}\n" for number, file in enumerate(files)]
    path = folder / "glossi.yaml"
    path.write_text("version: 1\nworkspace: shop\nmodels:\n" + "".join(lines))
    return read_spec(path, env={})


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Memory:
    """What hashing asked to be remembered, as a state would keep it."""

    remote: dict[str, HashedRemote] = field(default_factory=dict)
    told: int = 0

    def remember(self, fresh: Mapping[str, HashedRemote]) -> None:
        self.remote.update(fresh)
        self.told += len(fresh)

    def hash(self, spec: Spec, **options: Any) -> Hashed:
        """Hash with what is remembered; ``told`` counts what was new."""
        self.told = 0
        return hash_models(spec, {}, dict(self.remote), remember=self.remember, **options)


def told(look: Callable[[], Any]) -> list[str]:
    """What is said, without the place; no URL's query, no credential."""
    with pytest.raises(SpecError) as caught:
        look()
    said = str(caught.value)
    assert SECRET not in said and "s1gn" not in said and "Debug source" not in said
    return [problem.message for problem in caught.value.problems]


def test_a_catalogue_in_a_bucket_is_hashed_by_content_and_then_not_read_again(bucket: Bucket, tmp_path: Path) -> None:
    contents = {f"models/a{number}.glb": glb(f"lamp {number}", size=number * 9000) for number in range(50)}
    spec = spec_of(tmp_path, *[bucket.put(key, content) for key, content in contents.items()])
    memory = Memory()
    first = memory.hash(spec)
    assert [(one.sha256, one.size) for one in first.models.values()] == [
        (sha256(content), len(content)) for content in contents.values()
    ]
    assert bucket.gets(200) == bucket.gets() and sorted(bucket.gets()) == sorted(contents)
    bucket.asked.clear()
    second = memory.hash(spec)
    assert (second.models, second.remote, memory.told) == (first.models, first.remote, 0)
    assert bucket.gets(304) == bucket.gets() and sorted(bucket.gets()) == sorted(contents)


def test_an_object_that_has_changed_is_hashed_again_and_it_alone(bucket: Bucket, tmp_path: Path) -> None:
    spec = spec_of(tmp_path, *[bucket.put(f"{key}.glb", glb(key)) for key in "abc"])
    memory = Memory()
    first = memory.hash(spec)
    bucket.put("b.glb", glb("d"))
    bucket.asked.clear()
    second = memory.hash(spec)
    assert bucket.gets(200) == ["b.glb"]
    assert second.models["m1"].sha256 == sha256(glb("d")) != first.models["m1"].sha256
    assert second.models["m1"].size == first.models["m1"].size
    assert memory.told == 1


def test_a_bucket_that_holds_many_is_listed_instead(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_hashing, "WORTH_LISTING", 5)
    keys = [f"models/{folder}/{number}.glb" for folder in "ab" for number in range(5)]
    spec = spec_of(tmp_path, *[bucket.put(key, glb(key)) for key in keys])
    memory = Memory()
    memory.hash(spec)
    assert bucket.lists() == 0
    bucket.put(keys[3], glb("another"))
    bucket.remove(keys[4])
    bucket.asked.clear()
    assert told(lambda: memory.hash(spec)) == [f"{bucket.url}/{keys[4]} does not exist there (404)"]
    assert bucket.lists() == 1
    assert sorted(bucket.gets()) == sorted(keys[3:5])
    assert [one.query for one in bucket.asked if "prefix=models%2F&" in one.query + "&"]


def test_where_a_bucket_cannot_be_listed_or_holds_far_more_its_files_are_asked_for_one_by_one(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_hashing, "WORTH_LISTING", 2)
    spec = spec_of(tmp_path, *[bucket.put(key, glb(key)) for key in ("z1.glb", "z2.glb")])
    memory = Memory()
    first = memory.hash(spec)
    for number in range(20):
        bucket.put(f"a{number}", b"?")
    bucket.asked.clear()
    assert memory.hash(spec).models == first.models
    assert (bucket.lists(), sorted(bucket.gets(304))) == (1, ["z1.glb", "z2.glb"])
    bucket.asked.clear()
    bucket.refuse = lambda method, path: (403, b"") if not path.endswith(".glb") else None
    assert memory.hash(spec).models == first.models
    assert (bucket.lists(), sorted(bucket.gets(304))) == (1, ["z1.glb", "z2.glb"])


def test_a_file_that_is_named_twice_is_read_once(bucket: Bucket, tmp_path: Path) -> None:
    url = bucket.put("lamp.glb", glb())
    models = hash_models(spec_of(tmp_path, url, url), {}).models
    assert models["m0"].sha256 == models["m1"].sha256
    assert bucket.gets() == ["lamp.glb"]


def test_of_several_entries_that_name_a_file_the_one_that_knows_most_of_it_is_checked(
    bucket: Bucket, tmp_path: Path
) -> None:
    url = bucket.put("lamp", b"hello")
    entries = {"a": {"file": url, "fileType": "obj"}, "b": {"file": url, "fileType": "glb"}}
    (tmp_path / "glossi.yaml").write_text(json.dumps({"version": 1, "workspace": "shop", "models": entries}))
    said = f"{url} is not a GLB file: it does not start with 'glTF'"
    assert told(lambda: hash_models(read_spec(tmp_path / "glossi.yaml", env={}), {})) == [said, said]


def test_a_key_is_what_stands_in_the_url_letter_by_letter(bucket: Bucket, tmp_path: Path) -> None:
    keys = ["a/My Lämp%20@2x+1.glb", "a/what?#.glb", "~{x}&=!.glb"]
    spec = spec_of(tmp_path, *[bucket.put(key, glb(key)) for key in keys])
    assert [one.sha256 for one in hash_models(spec, {}).models.values()] == [sha256(glb(key)) for key in keys]


@pytest.mark.parametrize(
    ("scheme", "environment"),
    [
        ("gs", {"GOOGLE_BASE_URL": None, "GOOGLE_ALLOW_HTTP": "true", "GOOGLE_SKIP_SIGNATURE": "true"}),
        (
            "az",
            {
                "AZURE_ENDPOINT": None,
                "AZURE_ALLOW_HTTP": "true",
                "AZURE_SKIP_SIGNATURE": "true",
                "AZURE_STORAGE_ACCOUNT_NAME": "ana",
            },
        ),
    ],
)
def test_the_buckets_of_other_clouds_are_read_by_their_own_environment(
    scheme: str, environment: dict[str, str | None], site: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value or site.origin)
    site.put("/shop/a/my lamp.glb", glb())
    spec = spec_of(tmp_path, f"{scheme}://shop/a/my lamp.glb")
    memory = Memory()
    assert memory.hash(spec).models["m0"].sha256 == sha256(glb())
    memory.hash(spec)
    assert [one.status for one in site.asked] == [200, 304]
    site.files.clear()
    assert told(lambda: memory.hash(spec)) == [f"{scheme}://shop/a/my lamp.glb does not exist there (404)"]


@pytest.mark.parametrize("place", ["bucket", "site"])
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("lamp.glb", b"", "is empty (0 bytes)"),
        ("lamp.obj", b"", "is empty (0 bytes)"),
        ("lamp.glb", b"hello", "is not a GLB file: it does not start with 'glTF'"),
        ("lamp.glb", glb(size=2_000_000)[:-4], "(4 are missing)"),
        ("lamp.obj", b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
    ],
)
def test_what_cannot_be_uploaded_is_refused_as_a_file_on_disk_is(
    place: str, name: str, content: bytes, said: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    at: Bucket | Web = request.getfixturevalue(place)
    url = at.put(name if place == "bucket" else f"/{name}", content)
    spec = spec_of(tmp_path, url)
    for look in (lambda: hash_models(spec, {}), lambda: look_at_remote_files(spec)):
        (message,) = told(look)
        assert message.startswith(f"{url} ") and said in message


def test_what_is_too_large_is_not_read_to_its_end(site: Web, tmp_path: Path) -> None:
    class Huge(bytes):
        def __len__(self) -> int:
            return 2**30 + 1

    url = site.put("/huge.obj", Huge(b"o lamp"))
    site.cut = 6
    assert told(lambda: hash_models(spec_of(tmp_path, url), {})) == [
        f"{url} has 1,073,741,825 bytes; the service takes files of up to 1,073,741,824 (1 GB)"
    ]


def test_a_look_reads_no_more_than_the_beginning(bucket: Bucket, tmp_path: Path) -> None:
    spec = spec_of(tmp_path, bucket.put("lamp.glb", glb()))
    look_at_remote_files(spec)
    assert bucket.gets() == ["lamp.glb"]
    (tmp_path / "local.obj").write_bytes(b"o")
    look_at_remote_files(spec_of(tmp_path, "local.obj"))


def test_every_problem_stands_at_its_place_beside_those_of_files_on_disk(bucket: Bucket, tmp_path: Path) -> None:
    urls = [bucket.put("good.glb", glb()), f"{bucket.url}/gone.glb", "s3://no-such-shop/lamp.glb"]
    spec = spec_of(tmp_path, *urls)
    (tmp_path / "bad.glb").write_bytes(glb())
    spec = spec_of(tmp_path, *urls, "bad.glb")
    (tmp_path / "bad.glb").write_bytes(b"bad")
    with pytest.raises(SpecError) as caught:
        hash_models(spec, {})
    assert [(one.line, one.message) for one in caught.value.problems] == [
        (5, f"{bucket.url}/gone.glb does not exist there (404)"),
        (6, "s3://no-such-shop/lamp.glb cannot be read: there is no bucket s3://no-such-shop"),
        (7, "bad.glb is not a GLB file: it does not start with 'glTF'"),
    ]


def test_a_catalogues_problem_stands_at_the_rows_field(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("a.glb", glb())
    (tmp_path / "rows.csv").write_text("sku,bucket\na,x\nb,y\n")
    entry = {"rows": "rows.csv", "key": "${row.sku}", "model": {"file": f"{bucket.url}/${{row.sku}}.glb"}}
    path = tmp_path / "glossi.yaml"
    path.write_text(json.dumps({"version": 1, "workspace": "shop", "catalogues": [entry]}))
    spec = read_spec(path, env={})
    with pytest.raises(SpecError) as caught:
        hash_models(spec, {})
    (problem,) = caught.value.problems
    assert str(problem) == f"{tmp_path}/rows.csv:3:1: {bucket.url}/b.glb does not exist there (404)"


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "cannot be read: nothing answers there"),
        ({"AWS_ENDPOINT_URL": "http://nowhere.invalid"}, "cannot be read: the server's name is not known, or there is no network"),
        ({"AWS_ALLOW_HTTP": None}, "cannot be read: its endpoint is an http:// URL; where that is meant, set AWS_ALLOW_HTTP=true"),
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "cannot be read: the environment has no credentials for s3://; set AWS_ACCESS_KEY_ID"),
    ],
)  # fmt: skip
def test_what_the_environment_lacks_is_told(
    environment: dict[str, str | None], said: str, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "AWS_ACCESS_KEY_ID" in environment:
        # Where a cloud's machine would have its own credentials to give.
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://169.254.169.254.invalid")
    spec = spec_of(tmp_path, bucket.put("certificate of a region.glb", glb()))
    for name, value in environment.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
    (message,) = told(lambda: hash_models(spec, {}))
    assert said in message


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (403, b"<Error><Code>AccessDenied</Code></Error>", "may not be read with the environment's credentials, or does not exist (403)"),
        (401, b"s1gn", "may not be read with the environment's credentials, or does not exist (401)"),
        (400, b"<Error><Code>AuthorizationHeaderMalformed</Code></Error>", "cannot be read: the server answers 400"),
        (301, b"<Error><Code>PermanentRedirect</Code></Error>", "cannot be read: its bucket lies in another region; set AWS_REGION"),
        (503, b"<Error><Code>SlowDown</Code></Error>", "cannot be read: the server answers 503"),
    ],
)  # fmt: skip
def test_a_bucket_that_refuses_is_told_in_words(
    status: int, body: bytes, said: str, bucket: Bucket, tmp_path: Path
) -> None:
    url = bucket.put("lamp.glb", glb())
    bucket.refuse = lambda method, path: (status, body)
    assert told(lambda: hash_models(spec_of(tmp_path, url), {})) == [f"{url} {said}"]


def test_a_bucket_that_stumbles_is_asked_again(bucket: Bucket, tmp_path: Path) -> None:
    url = bucket.put("lamp.glb", glb())
    bucket.refuse = lambda method, path: (503, b"") if len(bucket.gets()) < 2 else None
    assert hash_models(spec_of(tmp_path, url), {}).models["m0"].sha256 == sha256(glb())
    assert [one.status for one in bucket.asked if one.method == "GET"] == [503, 503, 200]


def test_nobody_is_asked_on_and_on_once_enough_is_wrong(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_hashing, "ENOUGH", 3)
    monkeypatch.setattr(remote_hashing, "AT_A_TIME", 2)
    spec = spec_of(tmp_path, *[f"{bucket.url}/{number}.glb" for number in range(40)])
    assert 3 <= len(told(lambda: hash_models(spec, {}))) <= 4
    assert len(bucket.gets()) <= 4


def test_without_the_extra_a_remote_file_is_a_mistake_that_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "obstore"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "obstore", None)
    spec = spec_of(tmp_path, "s3://shop/a.glb", "https://cdn.example/b.glb?sig=s1gn")
    said = "s3://shop/a.glb cannot be read without the extra `buckets`: pip install 'glossi-sync[buckets]'"
    assert told(lambda: hash_models(spec, {})) == [said]
    assert told(lambda: look_at_remote_files(spec)) == [said]


def test_a_file_on_a_web_server_is_read_once_for_as_long_as_its_etag_stays(site: Web, tmp_path: Path) -> None:
    content = glb("lamp", size=3_000_000)
    spec = spec_of(tmp_path, site.put("/lamp.glb", content))
    memory = Memory()
    first = memory.hash(spec)
    assert (first.models["m0"].sha256, first.models["m0"].size) == (sha256(content), len(content))
    assert memory.hash(spec).models == first.models
    site.put("/lamp.glb", glb("other"))
    assert memory.hash(spec).models["m0"].sha256 == sha256(glb("other"))
    assert [one.status for one in site.asked] == [200, 304, 200]


def test_the_files_of_one_server_share_a_connection(site: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_hashing, "AT_A_TIME", 1)
    urls = [site.put(f"/-._~/!$&'()*+,;=:@/lamp{number}.glb", glb(str(number))) for number in range(9)]
    hash_models(spec_of(tmp_path, *urls), {})
    assert [site.origin + one.path for one in site.asked] == urls
    assert site.connections < 9


def test_a_server_that_knows_no_conditions_is_believed_by_its_etag(site: Web, tmp_path: Path) -> None:
    site.conditions = False
    content = glb("lamp", size=60_000_000)
    spec = spec_of(tmp_path, site.put("/lamp.glb", content))
    memory = Memory()
    first = memory.hash(spec)
    site.files["/lamp.glb"] = content
    assert memory.hash(spec).models == first.models
    assert memory.told == 0


@pytest.mark.parametrize("etag", [lambda content: None, lambda content: 'W/"1"'])
def test_without_an_etag_that_vouches_for_every_byte_a_file_is_hashed_each_time(
    etag: Callable[[bytes], str | None], site: Web, tmp_path: Path
) -> None:
    site.etag = etag
    spec = spec_of(tmp_path, site.put("/lamp.glb", glb("a")))
    memory = Memory()
    first = memory.hash(spec)
    assert memory.remote == {}
    assert first.remote[f"{site.origin}/lamp.glb"].etag is None
    site.put("/lamp.glb", glb("b"))
    assert memory.hash(spec).models["m0"].sha256 == sha256(glb("b"))
    assert [one.status for one in site.asked] == [200, 200]


def test_a_signed_url_is_asked_for_as_it_stands_and_its_signature_is_kept_nowhere(site: Web, tmp_path: Path) -> None:
    site.signature = "X-Amz-Signature=s1gn%2Fature&X-Amz-Date=1"
    site.put("/a%20b//c(1).glb", glb())
    spec = spec_of(tmp_path, f"{site.origin}/a%20b//c(1).glb?{site.signature}")
    memory = Memory()
    first = memory.hash(spec)
    assert [(one.path, one.query) for one in site.asked] == [("/a%20b//c(1).glb", site.signature)]
    assert first.models["m0"].file == f"{site.origin}/a%20b//c(1).glb?…"
    assert "s1gn" not in str(first.models) + str(memory.remote)
    assert memory.hash(spec).models == first.models
    assert [one.status for one in site.asked] == [200, 304]
    site.signature = "another"
    said = f"{site.origin}/a%20b//c(1).glb?… may not be read; its signature may have expired (403)"
    assert told(lambda: hash_models(spec, {})) == [said]


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda site: site.files.clear(), "does not exist there (404)"),
        (lambda site: setattr(site, "signature", "x"), "may not be read (403)"),
        (lambda site: setattr(site, "cut", 700_000), "cannot be read: the connection broke off"),
    ],
)
def test_a_web_server_that_does_not_give_a_file_is_told_in_words(
    harm: Callable[[Web], None], said: str, site: Web, tmp_path: Path
) -> None:
    url = site.put("/lamp.glb", glb(size=1_000_000))
    harm(site)
    assert told(lambda: hash_models(spec_of(tmp_path, url), {})) == [f"{url} {said}"]


def test_progress_counts_the_bytes_that_are_read_after_those_on_disk(site: Web, tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_bytes(b"x" * 300_000)
    site.put("/b.obj", b"y" * 3_000_000)
    reports: list[tuple[int, int]] = []
    memory = Memory()
    spec = spec_of(tmp_path, f"{site.origin}/b.obj", "a.obj")
    memory.hash(spec, progress=lambda *at: reports.append(at))
    assert reports[-1] == (3_300_000, 3_300_000)
    assert reports == sorted(reports)
    memory.hash(spec, progress=lambda *at: reports.append(at))
    assert reports[-1] == (300_000, 300_000)


def test_what_was_read_is_remembered_even_where_hashing_ends_with_an_error(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_hashing, "AT_A_TIME", 1)
    spec = spec_of(tmp_path, bucket.put("a.glb", glb()), f"{bucket.url}/gone.glb")
    memory = Memory()
    with pytest.raises(SpecError):
        memory.hash(spec)
    assert list(memory.remote) == [f"{bucket.url}/a.glb"]


def test_who_interrupts_hashing_waits_for_no_server_and_what_was_read_is_remembered(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_hashing, "AT_A_TIME", 1)
    monkeypatch.setattr(remote_hashing, "_GRACE_SECONDS", 0.2)
    spec = spec_of(tmp_path, *[bucket.put(f"{key}.glb", glb(key)) for key in "abc"])
    quiet, over, answered = Event(), Event(), Event()

    def go_quiet(method: str, path: str) -> None:
        if path.endswith("/b.glb"):
            quiet.set()
            over.wait(20)
            answered.set()

    def interrupted(read: int, total: int) -> None:
        if quiet.is_set():
            raise KeyboardInterrupt

    bucket.refuse = go_quiet
    memory = Memory()
    with pytest.raises(KeyboardInterrupt):
        memory.hash(spec, progress=interrupted)
    assert list(memory.remote) == [f"{bucket.url}/a.glb"]
    assert not answered.is_set()
    left = [thread for thread in threading.enumerate() if thread.name == "remote"]
    assert left and all(thread.daemon for thread in left), "nor does the end of the process wait"
    over.set()
    for thread in left:
        thread.join(20)
    assert bucket.gets() == ["a.glb", "b.glb"], "what was given up is not gone on with"


def test_what_is_read_is_remembered_as_it_goes(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_hashing, "_REMEMBER_SECONDS", 0.0)
    monkeypatch.setattr(remote_hashing, "_REPORT_SECONDS", 0.0)
    monkeypatch.setattr(remote_hashing, "AT_A_TIME", 1)
    lots: list[list[str]] = []
    urls = [bucket.put(f"{number}.glb", glb(str(number))) for number in range(20)]
    hash_models(spec_of(tmp_path, *urls), {}, remember=lambda fresh: lots.append(list(fresh)))
    assert [name for lot in lots for name in lot] == urls
    assert len(lots) > 2


def test_a_failure_of_the_one_who_watches_is_not_hidden(site: Web, tmp_path: Path) -> None:
    def interrupted(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hash_models(spec_of(tmp_path, site.put("/b.obj", b"y")), {}, progress=interrupted)


def test_hashing_keeps_no_more_of_a_file_than_a_few_pieces(site: Web, tmp_path: Path) -> None:
    size = 100 * 1024 * 1024
    site.put("/huge.obj", bytes(size))
    spec = spec_of(tmp_path, f"{site.origin}/huge.obj")
    hash_models(spec_of(tmp_path, site.put("/small.obj", b"x")), {})
    tracemalloc.start()
    hashed = hash_models(spec, {})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert hashed.models["m0"].sha256 == sha256(bytes(size))
    assert peak < 16 * PIECE_BYTES < size / 10
