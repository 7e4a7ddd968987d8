"""`doctor`: each thing that can be wrong with a setup is one finding that says so, and nothing of it tells a secret."""

from __future__ import annotations

import json
import os
import re
import socket
import sqlite3
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from counting_studio import Studio
from shop import ROOT, Shop

import glossi_sync
from glossi_sync.cli import main
from glossi_sync.cli.session import holder
from glossi_sync.diagnosing import Finding, Level, Setup, diagnose, installation
from glossi_sync.spec import read_spec
from glossi_sync.state import open_state


@pytest.fixture(autouse=True)
def no_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether this machine renders is asked by one test alone: it takes a second."""
    monkeypatch.setattr("glossi_sync.diagnosing.examining.engines", lambda **_: ())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


def found(shop: Shop, **other: Any) -> list[Finding]:
    """All findings about a shop; ``other`` are parts of the setup that differ."""
    spec = shop.folder / "glossi.yaml"
    key = other.pop("key", shop.studio.key)
    setup: dict[str, Any] = {
        "spec_path": spec,
        "load": lambda: read_spec(spec, env={"GLOSSI_API_KEY": key} if key else {}, files=True),
        "state_location": None,
        "variables": {"GLOSSI_API_KEY": key} if key else {},
        "known": {"GLOSSI_API_KEY", "GLOSSI_STATE"},
        "now": time.time,
    }
    findings = list(diagnose(Setup(**(setup | other))))
    text = str(findings)
    assert not any(secret in text for secret in {*shop.secrets, str(key)} if secret != "None"), text
    return findings


def problems(findings: list[Finding]) -> list[str]:
    return [f"{one.check}: {one.message}" for one in findings if one.level is Level.PROBLEM]


def said(findings: list[Finding], check: str) -> list[str]:
    return [one.message for one in findings if one.check == check]


def test_a_good_setup_has_no_problem_and_is_left_as_it_is(made: Shop, studio: Studio) -> None:
    before, arrived = made.state.read_bytes(), studio.arrived()
    findings = found(made)
    assert problems(findings) == []
    assert said(findings, "API key") == ["the service takes it"]
    assert said(findings, "clock") == ["agrees with the service's"]
    assert said(findings, "templates")[0].endswith("used: dark, light")
    assert f"{made.state} is sound: " in said(findings, "state")[0]
    assert (made.state.read_bytes(), studio.arrived()) == (before, arrived)


def test_no_spec_a_wrong_spec_and_nothing_else_is_asked(new_shop: Callable[..., Shop]) -> None:
    shop = new_shop("none")
    [problem] = problems(found(shop))
    assert problem.startswith("spec: there is no ")
    (shop.folder / "glossi.yaml").write_text("version: 1\nworkspace: x\nmodls: {}\n")
    findings = found(shop)
    assert problems(findings)[0].startswith("spec: ") and "did you mean 'models'?" in problems(findings)[0]
    assert said(findings, "endpoint") == []


@pytest.mark.parametrize("key", ["glsi_0123456789_wrong", None])
def test_a_key_that_is_wrong_or_missing(made: Shop, key: str | None) -> None:
    made.spec["service"].pop("apiKey") if key is None else None
    made.save()
    [problem] = problems(found(made, key=key))
    assert problem.startswith("API key: there is none" if key is None else "API key: the service does not take it: ")


def test_a_clock_that_is_wrong(made: Shop) -> None:
    assert problems(found(made, now=lambda: time.time() + 3600))[0].startswith("clock: this machine's clock is 36")
    behind = found(made, now=lambda: time.time() - 60)
    assert problems(behind) == [] and " behind the service's" in said(behind, "clock")[0]


@pytest.mark.parametrize(
    ("endpoint", "sentence"),
    [
        ("https://nowhere.invalid/api/v1", "the name nowhere.invalid cannot be resolved"),
        ("http://127.0.0.1:{free}/api/v1", "http://127.0.0.1:{free} cannot be reached"),
        ("https://127.0.0.1:{studio}/api/v1", "https://127.0.0.1:{studio}: TLS failed"),
    ],
)
def test_a_service_that_is_not_reached(new_shop: Callable[..., Shop], endpoint: str, sentence: str) -> None:
    shop = new_shop("elsewhere")
    ports = {"free": free_port(), "studio": shop.studio.url.split(":")[2].split("/")[0]}
    shop.spec["service"]["endpoint"] = endpoint.format(**ports)
    shop.save()
    [problem] = problems(found(shop))
    assert problem.startswith(f"endpoint: {sentence.format(**ports)}")


def test_a_template_that_the_service_does_not_have(made: Shop) -> None:
    made.spec["templates"]["dark"] = {"name": "Dark Lux"}
    made.save()
    [problem] = problems(found(made))
    assert problem.startswith("templates: templates.dark: ") and "did you mean 'Dark Luxe'?" in problem


def test_a_state_that_is_damaged_held_or_open_to_others(made: Shop) -> None:
    with (
        closing(open_state(made.state, service=made.studio.url.removesuffix("/api/v1"))) as state,
        state.lock(holder(1, "glossi-sync apply")),
    ):
        assert "it is held by `glossi-sync apply` of " in said(found(made), "state")[1]
    if os.name == "posix":
        key = made.state.with_suffix(".key")
        key.touch(0o644)
        assert problems(found(made)) == [f"permissions: {key} can be read by others (mode 644)"]
        key.chmod(0o600)
    with closing(sqlite3.connect(made.state)) as older, older:
        older.execute("UPDATE meta SET schema_version = 1")
    assert "has schema 1, of an older glossi-sync" in said(found(made), "state")[0]
    assert not list(made.state.parent.glob("*.backup"))
    made.state.write_bytes(b"nonsense" * 999)
    assert problems(found(made))[0].startswith("state: ")


def test_what_git_should_not_have(made: Shop) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(["git", "-C", made.folder, *arguments], check=True, capture_output=True)

    git("init")
    assert said(found(made), "git") == ["nothing keeps the folder state out of git"]
    (made.folder / ".gitignore").write_text("/state/\n")
    assert said(found(made), "git") == ["neither state nor keys are in it"]
    (made.folder / "deploy.sh").write_text(f"export GLOSSI_API_KEY={made.studio.key}\n")
    git("add", "-f", "deploy.sh", "state")
    messages = said(found(made), "git")
    assert f"state/{made.state.name}" in messages[0]
    assert messages[1] == "an API key stands in deploy.sh"


def test_a_webhook_that_nobody_hears(new_shop: Callable[..., Shop]) -> None:
    shop = new_shop("hooked", webhook={"url": f"http://127.0.0.1:{free_port()}/hook", "events": ["render.complete"]})
    shop.spec["webhook"]["url"] = shop.spec["webhook"]["url"].replace("http:", "https:")
    shop.save()
    findings = found(shop)
    assert problems(findings) == []
    assert said(findings, "webhook secret") == ["none is kept yet"]
    assert "does not take connections from here" in said(findings, "webhook")[-1]


def test_variables_that_mean_nothing(made: Shop) -> None:
    variables = {"GLOSSI_SATTE": "secret", "GLOSSI_STATE": "", "HTTPS_PROXY": "http://user:secret@proxy"}
    findings = [one for one in found(made, variables=variables) if one.check == "environment"]
    assert [(one.message, one.advice) for one in findings] == [
        ("no GLOSSI_ variable is set", None),
        ("GLOSSI_SATTE means nothing to glossi-sync", "Did you mean GLOSSI_STATE?"),
        ("GLOSSI_STATE is set, but empty", "Unset it, or give it a value."),
        ("the proxies of HTTPS_PROXY are between this machine and the service", None),
    ]


def test_every_variable_that_is_read_means_something_to_the_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    package = Path(glossi_sync.__file__).parent
    read = {
        name for path in package.rglob("*.py") for name in re.findall(r"\bGLOSSI_[A-Z_]+[A-Z]", path.read_text("utf-8"))
    }
    for name in read:
        monkeypatch.setenv(name, "")
    said = CliRunner().invoke(main, ["doctor", "-f", "none.yaml"]).output
    assert "GLOSSI_STATE is set, but empty" in said
    assert "means nothing to glossi-sync" not in said


def test_an_extra_that_is_missing_matters_where_it_is_needed(made: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "psycopg":
            raise PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(installation, "version", version)
    assert problems(found(made)) == []
    told = problems(found(made, state_location="postgresql://db.invalid/x?connect_timeout=1"))
    assert told[0] == "extra postgres: the state is in PostgreSQL, but psycopg cannot be found"


def test_the_extras_are_those_of_the_package() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = {
        extra: {re.split(r"[\[>=;!<~ ]", one)[0] for one in packages if ";" not in one}
        for extra, packages in declared.items()
        if extra not in ("dev", "formats", "cycles")
    }
    assert {extra: set(packages) for extra, (_, packages) in installation.EXTRAS.items()} == names


@pytest.fixture
def quick(made: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("GLOSSI_API_KEY", made.studio.key)
    yield made.folder / "glossi.yaml"


def test_the_command_tells_it_to_people_and_programs_and_its_code_says_whether_there_is_a_problem(quick: Path) -> None:
    ran = CliRunner().invoke(main, ["doctor", "-f", str(quick)])
    assert ran.exit_code == 0
    assert "✓ API key: the service takes it\n" in ran.output and "\n0 problems, " in ran.output
    document = json.loads(CliRunner().invoke(main, ["doctor", "-f", str(quick), "--format", "json"]).output)
    assert document["problems"] == 0 and document["findings"][0]["check"] == "Python"
    broken = CliRunner().invoke(main, ["doctor", "-f", str(quick.with_name("none.yaml"))])
    assert broken.exit_code == 1
    assert "✗ spec: there is no " in broken.output and "→ `glossi-sync init FOLDER`" in broken.output


@pytest.mark.renders
def test_the_engine_is_tried_by_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    from glossi_sync.diagnosing.engines import engines

    findings = {one.check: one for one in engines(needed=True, render=True)}
    assert findings["engine filament"].level is Level.OK
    assert re.fullmatch(r"a picture of [0-9,]+ bytes in [0-9.]+ s", findings["test render"].message)
