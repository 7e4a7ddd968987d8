"""The page without a browser: who may look, what is shown to whom, and that nothing in it can do anything."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_workshop import PictureWorkshop
from sqlalchemy import Connection
from studio_client import InProcess, inside_studio

from glossi_sync.service import wire
from glossi_sync.studio import records as rows
from glossi_sync.studio.page import PageAccess, queries, routes
from glossi_sync.studio.records import Records

NASTY = "<script>alert(1)</script>\"' onload=x {{ 7*7 }} ünï"


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    with inside_studio(tmp_path_factory.mktemp("page"), workshop=PictureWorkshop()) as studio:
        yield studio


def browser(inside: InProcess, key: str | None = "glsi_test") -> httpx.Client:
    """A browser that has opened the page with that key."""
    http = httpx.Client(base_url=inside.api.origin, trust_env=False, follow_redirects=True, timeout=30)
    if key is not None:
        assert http.post("/session", data={"key": key}).status_code == 200
    return http


@pytest.fixture(scope="module")
def made(inside: InProcess) -> dict[str, str]:
    """Something of everything, with names that mean harm."""
    api = inside.api
    hook = {"url": "http://127.0.0.1:9/<i>", "events": ["render.complete"]}
    assert api.http.put(api.url + "/webhooks", json=hook).status_code == 200
    model = api.ready(NASTY)
    failed = api.upload(NASTY + " too")
    project = api.project(model)
    job = api.start(project, renderShots=True)
    (picture, _, video) = api.finished(job)["renders"]
    inside.studio.records.now(
        lambda c: rows.finish_analysis(c, failed, 0.0, made=None, error="It <b>melted</b>.") and None
    )
    return {
        "model": model,
        "project": project,
        "job": job,
        "picture": picture["filePath"],
        "video": video["filePath"],
    }


def addresses(made: dict[str, str]) -> list[str]:
    """Every address of the page that shows something of a workspace."""
    named = {
        "/models/{model_id}": f"/models/{made['model']}",
        "/projects/{project_id}": f"/projects/{made['project']}",
        "/renders/{job_id}": f"/renders/{made['job']}",
        "/page/files/{file_path:path}": f"/page/files/{made['picture']}",
        "/page/preview/{file_path:path}": f"/page/preview/{made['picture']}",
    }
    paths = [route.path for route in routes.router.routes if "GET" in route.methods]  # type: ignore[attr-defined]
    return [named.get(path, path) for path in paths if path not in {"/static/{name}", "/docs"}]


class Tags(HTMLParser):
    """What a document is made of: every tag with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


# --- who may look ----------------------------------------------------------------------------------------------------


def test_nothing_is_shown_to_who_has_not_opened_the_page(inside: InProcess, made: dict[str, str]) -> None:
    stranger = browser(inside, None)
    assert len(addresses(made)) >= 11
    for address in addresses(made):
        answer = stranger.get(address, headers={wire.API_KEY_HEADER: "glsi_test"})
        assert answer.status_code == 401 and "Open a workspace" in answer.text, address
        part = stranger.get(address, headers={"HX-Request": "true"})
        assert (part.status_code == 401 and part.text == "") or "Open a workspace" in part.text


def test_a_ticket_opens_one_session(inside: InProcess) -> None:
    ticket = inside.app.state.page_access.ticket("glsi_test")
    first, second = browser(inside, None), browser(inside, None)
    answer = first.get(f"/?ticket={ticket}", follow_redirects=False)
    cookie = answer.headers["Set-Cookie"].lower()
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert "httponly" in cookie and "samesite=strict" in cookie and ticket not in cookie and "glsi" not in cookie
    assert first.get("/models").status_code == 200
    assert second.get(f"/?ticket={ticket}").status_code == 401
    # Whoever opens the link again in the same browser is simply there.
    assert first.get(f"/?ticket={ticket}").status_code == 200


def test_a_key_opens_its_own_workspace_until_one_leaves(inside: InProcess) -> None:
    for key, workspace in (("glsi_test", "workspace"), (" glsi_neighbour ", "neighbour")):
        visitor = browser(inside, key)
        assert f">{workspace}</span>" in visitor.get("/").text
        assert visitor.post("/session/end").status_code == 401
        assert visitor.get("/models").status_code == 401


@pytest.mark.parametrize("form", [{"key": "glsi_other"}, {"key": ""}, {}, {"key": "x" * 10_000}])
def test_what_is_no_key_opens_nothing(inside: InProcess, form: dict[str, str]) -> None:
    answer = browser(inside, None).post("/session", data=form)
    assert answer.status_code == 401 and "That is no key" in answer.text and "set-cookie" not in answer.headers


def test_another_site_cannot_open_a_session(inside: InProcess) -> None:
    answer = browser(inside, None).post("/session", data={"key": "glsi_test"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 401 and "set-cookie" not in answer.headers


def test_a_session_ends_with_its_key_and_after_thirty_days(tmp_path: Path) -> None:
    with inside_studio(tmp_path) as inside:
        visitor = browser(inside)
        inside.clock.now += 30 * 24 * 3600 - 1
        assert visitor.get("/").status_code == 200
        inside.clock.now += 1
        assert visitor.get("/").status_code == 401
        visitor = browser(inside)
        inside.studio.records.now(lambda c: rows.revoke_key(c, rows.hash_of_key("glsi_test")))
        assert visitor.get("/").status_code == 401


@given(cookie=st.text(alphabet="0123456789abcdef.", max_size=120) | st.text(max_size=20))
@settings(max_examples=100, deadline=None)
def test_no_cookie_can_be_made_up(inside: InProcess, cookie: str) -> None:
    access: PageAccess = inside.app.state.page_access
    assert asyncio.run(access.visitor(cookie)) is None


def test_a_cookie_of_another_studio_or_another_key_is_none(inside: InProcess, tmp_path: Path) -> None:
    visitor = browser(inside)
    (cookie,) = visitor.cookies.jar
    assert cookie.value is not None
    expires, mark, signature = cookie.value.split(".")
    for changed in (
        f"{int(expires) + 1}.{mark}.{signature}",
        f"{expires}.{mark[::-1]}.{signature}",
        f"{expires}.{mark}.{signature[::-1]}",
    ):
        stranger = browser(inside, None)
        stranger.cookies.set(cookie.name, changed)
        assert stranger.get("/models").status_code == 401
    with inside_studio(tmp_path, signing_secret=b"t" * 32) as other:
        assert other.app.state.page_access.cookie != cookie.name


# --- what is shown ---------------------------------------------------------------------------------------------------


def test_what_is_another_workspaces_is_not_there(inside: InProcess, made: dict[str, str]) -> None:
    neighbour = browser(inside, "glsi_neighbour")
    for address in addresses(made):
        answer = neighbour.get(address)
        assert not [one for one in made.values() if one in answer.text]
        assert "script>alert" not in unescape(answer.text)
        if any(one in address for one in made.values()):
            assert answer.status_code == 404, address


def test_names_are_text_wherever_they_stand(inside: InProcess, made: dict[str, str]) -> None:
    visitor = browser(inside)
    seen = 0
    for address in [*addresses(made), "/models?q=<script>alert(1)</script>", "/docs"]:
        answer = visitor.get(address)
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        seen += NASTY in unescape(answer.text)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        for tag, attributes in Tags(answer.text).found:
            assert not [name for name in attributes if name == "style" or name.startswith("on")], (address, tag)
            assert tag not in {"b", "i", "style"} or (tag == "b" and not attributes)
            assert tag != "script" or (attributes.get("src") or "").startswith("/static/")
        assert "<b>melted" not in answer.text and "49" not in re.findall(r"onload=x .{12}", answer.text)
    assert seen >= 6


def test_a_job_of_videos_alone_is_shown_by_its_video(inside: InProcess, made: dict[str, str]) -> None:
    job = inside.api.start(made["project"], renderBookmarks=False, renderShots=True)
    (video,) = inside.api.finished(job)["renders"]
    visitor = browser(inside)
    for address in ("/", "/renders", f"/renders/{job}", f"/projects/{made['project']}"):
        answer = visitor.get(address)
        assert answer.status_code == 200 and video["filePath"] in answer.text, address
    assert "1 video" in visitor.get("/renders").text


def test_all_that_the_page_loads_is_its_own_and_there(inside: InProcess, made: dict[str, str]) -> None:
    visitor = browser(inside)
    loaded: set[str] = set()
    for address in [*addresses(made), "/docs"]:
        answer = visitor.get(address)
        if answer.headers["content-type"].startswith("text/html"):
            for _, attributes in Tags(answer.text).found:
                loaded |= {value for name, value in attributes.items() if name in {"src", "href", "hx-get"} and value}
    loaded = {address for address in loaded if not address.startswith("#")}
    assert len(loaded) > 15
    for address in loaded:
        assert address.startswith("/"), address
        assert visitor.get(address).status_code == 200, address
    css = visitor.get(next(address for address in loaded if "page.css" in address)).text
    assert "http" not in css and "@import" not in css and "url(" not in css


def test_files_come_as_the_api_gives_them_and_previews_are_small(inside: InProcess, made: dict[str, str]) -> None:
    visitor = browser(inside)
    whole = visitor.get(f"/page/files/{made['picture']}")
    assert whole.content == inside.api.get(f"/files/{made['picture']}").content
    assert "sandbox" in whole.headers["Content-Security-Policy"]
    part = visitor.get(f"/page/files/{made['video']}", headers={"Range": "bytes=10-19"})
    assert part.status_code == 206 and len(part.content) == 10
    preview = visitor.get(f"/page/preview/{made['picture']}")
    assert preview.headers["Content-Type"] == "image/webp" and len(preview.content) < len(whole.content)
    etag = {"If-None-Match": preview.headers["ETag"]}
    assert visitor.get(f"/page/preview/{made['picture']}", headers=etag).status_code == 304
    for path in (made["video"], "workspaces/workspace/nothing.png", "../records.db"):
        assert visitor.get(f"/page/preview/{path}").status_code == 404


def followed(visitor: httpx.Client, address: str) -> Iterator[str]:
    """What htmx gets when somebody scrolls to the end."""
    answer = visitor.get(address)
    while True:
        yield answer.text
        following = [a["hx-get"] for _, a in Tags(answer.text).found if "before=" in (a.get("hx-get") or "")]
        if not following:
            return
        answer = visitor.get(str(following[0]), headers={"HX-Request": "true"})
        assert answer.status_code == 200 and "<html" not in answer.text


def test_ten_thousand_models_are_a_page_at_a_time_and_each_once(tmp_path: Path) -> None:
    with inside_studio(tmp_path) as inside:
        names = [f"Model {number:05}" for number in range(10_000)]
        models = [
            # Many at the same moment, as one call makes them.
            rows.Model(f"m{i}", "workspace", name, f"{name}.glb", "glb", f"k/{i}", "PENDING", created_at=i // 500)
            for i, name in enumerate(names)
        ]
        inside.studio.records.now(lambda c: rows.add_models(c, models))
        visitor = browser(inside)
        first = visitor.get("/models")
        assert len(first.content) < 60_000 and "Search 10,000 models" in first.text
        found = [name for part in followed(visitor, "/models?q=model 000") for name in re.findall(r"Model \d{5}", part)]
        assert sorted(found) == names[:100]
        assert "No model has" in visitor.get("/models?q=100%25").text
        deep = visitor.get("/models?before=m3000")
        assert re.findall(r"Model \d{5}", deep.text)[0] < "Model 03500" and deep.status_code == 200


def test_lists_go_on_with_what_came_before(inside: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "CARDS", 2)
    monkeypatch.setattr(routes, "RESULTS", 1)
    with inside.client("glsi_neighbour") as api:
        hook = {"url": "http://127.0.0.1:9/", "events": ["render.complete"]}
        assert api.http.put(api.url + "/webhooks", json=hook).status_code == 200
        model = api.ready("lamp")
        projects = [api.project(model) for _ in range(5)]
        jobs = [api.start(project) for project in projects] + [api.start(projects[0]) for _ in range(2)]
        for job in jobs:
            api.finished(job)
    visitor = browser(inside, "glsi_neighbour")
    for address, pattern, ids in (
        ("/projects", r'href="/projects/([^"]+)"', projects),
        ("/renders", r'href="/renders/([^"?]+)"', jobs),
        ("/", r'figcaption><a href="/renders/([^"]+)"', [job for job in jobs for _ in range(2)]),
        (f"/projects/{projects[0]}", r'<a href="/renders/([^"]+)"><code', [jobs[0], *jobs[5:]]),
        ("/deliveries", r"&#34;jobId&#34;: &#34;([^&]+)&#34;", jobs),
    ):
        shown = [one for part in followed(visitor, address) for one in re.findall(pattern, part)]
        assert sorted(shown) == sorted(ids), address


def test_a_job_that_is_made_is_told_to_the_gallery(inside: InProcess, made: dict[str, str]) -> None:
    visitor = browser(inside)
    assert visitor.get("/live?done=0").headers["HX-Trigger"] == "completed"
    (section,) = [a for _, a in Tags(visitor.get("/live").text).found if a.get("id") == "live"]
    assert "HX-Trigger" not in visitor.get(str(section["hx-get"])).headers


def test_how_long_a_job_takes_is_guessed_from_those_before_it(tmp_path: Path) -> None:
    workshop = PictureWorkshop()
    with inside_studio(tmp_path, workshop=workshop) as inside:
        api, visitor = inside.api, browser(inside)
        project = api.project(api.ready("lamp"))

        def job(seconds: float | None, **settings: object) -> str:
            workshop.open.clear()
            job_id = api.start(project, **settings)
            api.rendering(job_id)
            if seconds is not None:
                inside.clock.now += seconds
                workshop.open.set()
                api.finished(job_id)
            return job_id

        job(60, imageQuality=2)
        job(20)
        job(30)
        job(90)
        running = job(None)
        inside.clock.now += 12
        text = visitor.get(f"/renders/{running}").text
        assert "12 s, about 18 s to go" in text and 'value="40.0"' in text
        waiting = api.start(project)
        assert "next" in visitor.get(f"/renders/{waiting}").text
        inside.clock.now += 60
        assert "nearly there" in visitor.get("/live").text
        workshop.open.set()
        api.finished(waiting)


def test_the_reference_shows_every_call(inside: InProcess) -> None:
    text = unescape(browser(inside, None).get("/docs").text)
    for path, item in inside.app.openapi()["paths"].items():
        for method, operation in item.items():
            assert f"<code>{path}</code>" in text and method.upper() in text
            assert all(parameter["name"] in text for parameter in operation.get("parameters", ()))
    assert "models[].fileType" in text and "curl -X POST" in text and "``" not in text


def test_the_api_is_not_opened_by_a_cookie(inside: InProcess) -> None:
    assert browser(inside).get(f"{wire.API_PREFIX}/templates").status_code == 401


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def records(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Records]:
    url = f"sqlite:///{tmp_path / 'records.db'}"
    if request.param == "PostgreSQL":
        url = request.getfixturevalue("new_database")()
    records = Records(url)
    yield records
    records.close()


def test_both_databases_answer_what_the_page_asks(records: Records) -> None:
    def fill(c: Connection) -> None:
        rows.ensure_workspace(c, "shop", "w", 0.0)
        rows.set_key(c, "w", "folder", "glsi_shop", 0.0)
        rows.note_use(c, rows.hash_of_key("glsi_shop"), 5.0)
        models = [rows.Model(f"m{i}", "w", f"100%_{i}", "f.glb", "glb", "k", "READY", created_at=0.0) for i in range(5)]
        rows.add_models(c, models)
        rows.add_projects(c, [rows.Project(f"p{i}", "w", f"P{i}", "t", 0.0, ("m0", f"m{i}")) for i in (1, 2)])
        jobs = [
            rows.RenderJob(f"j{i}", "w", f"p{i % 2 + 1}", "b", {"imageQuality": 1}, "QUEUED", created_at=i, queued_at=i)
            for i in range(6)
        ]
        rows.add_render_jobs(c, jobs)
        for i in range(4):
            rows.begin_render(c, f"j{i}", 10.0)
        for i in range(3):
            rows.complete_render(c, f"j{i}", 20.0 + i, [rows.Render(f"r{i}", "Front", f"k{i}", "PNG", False)])

    records.now(fill)
    ask = records.now
    page = ask(lambda c: queries.models(c, "w", words="0%_", before="m3", limit=2))
    assert ([m.model_id for m in page.entries], page.following, page.total) == (["m2", "m1"], "m1", 5)
    assert ask(lambda c: queries.models(c, "w", words="0%%", before=None, limit=2)).total == 0
    projects = ask(lambda c: queries.projects(c, "w", words="p", before=None, limit=5)).entries
    assert [(one.project.name, one.job and one.job.job_id, one.cover and one.cover.file_path) for one in projects] == [
        ("P2", "j5", "k1"),
        ("P1", "j4", "k2"),
    ]
    assert [m.model_id for m in ask(lambda c: queries.all_models(c, "w", "p2"))] == ["m0", "m2"]
    active = ask(lambda c: queries.active_jobs(c, "w", limit=5))
    assert [(one.job.job_id, one.ahead, one.usual_seconds) for one in active] == [
        ("j3", 0, 11.0),
        ("j4", 0, None),
        ("j5", 1, None),
    ]
    pictures = ask(lambda c: queries.pictures(c, "w", before="j2", limit=5)).entries
    assert [(one.job_id, one.project) for one in pictures] == [("j1", "P2"), ("j0", "P1")]
    assert ask(lambda c: queries.counts(c, "w")) == queries.Counts(5, 2, 6, 3, 3)
    assert [(key.workspace, key.last_used_at) for key in ask(rows.api_keys)] == [("shop", 5.0)]
    ask(lambda c: (rows.lose_model(c, "m0", 1.0), rows.lose_render_job(c, "j0", 1.0)))
    assert ask(lambda c: queries.counts(c, "w")) == queries.Counts(4, 2, 5, 3, 2)
    assert [m.model_id for m in ask(lambda c: queries.all_models(c, "w", "p2"))] == ["m2"]
