"""GitHub's and GitLab's side of the pipelines' tests: as much of their comments and issues as the pipelines ask for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

TOKEN = "ghs_a_token_that_nobody_may_see"
BOT = "github-actions[bot]"
BOT_ID = 41
LONGEST = {"github": 65_536, "gitlab": 1_000_000}

Answer = tuple[int, Any]


@dataclass
class Forge:
    """Comments by issue, issues by number, notes by merge request; and what was asked, as ``POST /path``."""

    url: str
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    issues: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def written(self) -> list[str]:
        """What was asked that writes."""
        return [one for one in self.asked if not one.startswith("GET ")]

    def comment(self, number: int, body: str, login: str = BOT) -> dict[str, Any]:
        made = {"id": 1000 + sum(map(len, self.comments.values())), "user": {"login": login}, "body": body}
        self.comments.setdefault(number, []).append(made)
        return made

    def note(self, number: int, body: str, author: int = BOT_ID) -> dict[str, Any]:
        made = {"id": 5000 + sum(map(len, self.notes.values())), "author": {"id": author}, "body": body}
        self.notes.setdefault(number, []).append(made)
        return made

    def answer(self, method: str, path: str, query: Mapping[str, str], body: dict[str, Any]) -> Answer:
        """What the service answers."""
        match method, path.strip("/").split("/"):
            case "GET", ["repos", _, _, "issues", number, "comments"]:
                return 200, _page(self.comments.get(int(number), []), query)
            case "POST", ["repos", _, _, "issues", number, "comments"]:
                return 201, self.comment(int(number), body["body"])
            case "PATCH", ["repos", _, _, "issues", "comments", wanted]:
                [one] = [one for all_ in self.comments.values() for one in all_ if one["id"] == int(wanted)]
                one |= body
                return 200, one
            case "GET", ["repos", _, _, "issues"]:
                labelled = [one for one in self.issues if query["labels"] in one["labels"]]
                return 200, _page([one for one in labelled if one["state"] == query["state"]], query)
            case "POST", ["repos", _, _, "issues"]:
                number = len(self.issues) + 1
                self.issues.append(
                    {"id": 900 + number, "number": number, "state": "open", "user": {"login": BOT}} | body
                )
                return 201, self.issues[-1]
            case "PATCH", ["repos", _, _, "issues", number]:
                self.issues[int(number) - 1] |= body
                return 200, self.issues[int(number) - 1]
            case "GET", ["user"]:
                return 200, {"id": BOT_ID}
            case "GET", ["projects", "7", "merge_requests", number, "notes"]:
                return 200, _page(self.notes.get(int(number), []), query)
            case "POST", ["projects", "7", "merge_requests", number, "notes"]:
                return 201, self.note(int(number), body["body"])
            case "PUT", ["projects", "7", "merge_requests", number, "notes", wanted]:
                [one] = [one for one in self.notes[int(number)] if one["id"] == int(wanted)]
                one |= body
                return 200, one
        return 404, {"message": "Not Found"}


@contextmanager
def running_forge() -> Iterator[Forge]:
    """A forge until the block is left."""

    class Door(BaseHTTPRequestHandler):
        forge: ClassVar[Forge]

        def _take(self) -> None:
            text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            self.forge.asked.append(f"{self.command} {url.path}")
            body = json.loads(text) if text else {}
            kind = "gitlab" if re.match(r"/(user|projects)", url.path) else "github"
            if self.headers.get("Private-Token" if kind == "gitlab" else "Authorization") not in (
                TOKEN,
                f"Bearer {TOKEN}",
            ):
                status, answer = 401, {"message": "Bad credentials"}
            elif len(body.get("body", "")) > LONGEST[kind]:
                status, answer = 422, {"message": "body is too long"}
            else:
                status, answer = self.forge.answer(self.command, url.path, query, body)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = _take

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        Door.forge = Forge(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield Door.forge
        finally:
            server.shutdown()
            thread.join()


def _page(rows: list[Any], query: Mapping[str, str]) -> list[Any]:
    size, page = int(query["per_page"]), int(query["page"])
    return rows[(page - 1) * size : page * size]
