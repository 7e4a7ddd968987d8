"""Completion in a real shell: commands, options, and the addresses that the state beside the spec binds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from glossi_sync.cli import main
from glossi_sync.resources import Kind, Phase
from glossi_sync.state import Bind, Object, PutObject, open_state
from glossi_sync.state.peek import addresses_like

BASH = shutil.which("bash")
ADDRESSES = ("model.ash", "model.lamp", "project.lamp", "render.lamp/web")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with a state, and no spec at all: completing reads none."""
    with closing(open_state(tmp_path / "state" / "shop@local.db", service="local")) as state:
        for oid, address in enumerate(ADDRESSES):
            made = Object(oid, Kind(address.split(".")[0]), "0" * 64, Phase.READY, remote_id=f"r{oid}")
            state.write([PutObject(made, inputs={}), Bind(address, oid)])
    return tmp_path


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "script.bash"
    path.write_text(CliRunner().invoke(main, ["completion", "bash"]).output)
    return path


def completed(folder: Path, script: Path, *words: str) -> list[str]:
    """What bash offers for the last of the words, through the function that the script defines."""
    tell = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
    tell += '_glossi_sync_completion glossi-sync; printf "%s\\n" "${COMPREPLY[@]}"'
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GLOSSI_")}
    ran = subprocess.run(
        [str(BASH), "-c", tell, "bash", str(script), "glossi-sync", *words],
        cwd=folder,
        env=environment | {"PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stderr == ""
    return ran.stdout.split()


@pytest.mark.skipif(BASH is None or os.name == "nt", reason="there is no bash here")
def test_bash_completes_commands_options_and_addresses(shop: Path, script: Path) -> None:
    assert completed(shop, script, "va") == ["validate"]
    assert completed(shop, script, "resolve", "--ad") == ["--adopt"]
    assert completed(shop, script, "state", "show", "model.") == ["model.ash", "model.lamp"]
    assert completed(shop, script, "plan", "--target", "render.") == ["render.lamp/web"]
    (shop / "state" / "shop@local.db").write_bytes(b"nonsense")
    assert completed(shop, script, "resolve", "r") == []


def test_of_states_that_cannot_be_read_there_are_no_addresses(shop: Path) -> None:
    good = shop / "state" / "shop@local.db"
    (shop / "text.db").write_text("text")
    assert addresses_like([shop / "none.db", shop / "text.db", shop, good], "") == list(ADDRESSES)
    assert addresses_like([good], "model.", limit=1) == ["model.ash"]
    assert addresses_like([good], "%") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script_that_it_understands(shell: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["completion", shell])
    assert result.exit_code == 0
    assert "_GLOSSI_SYNC_COMPLETE" in result.output
    (tmp_path / "script").write_text(result.output)
    if (found := shutil.which(shell)) is not None:
        subprocess.run([found, "-n", str(tmp_path / "script")], check=True)
