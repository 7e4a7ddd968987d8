"""A command that is called wrongly: an error like any other, since 2 means that something has changed."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from glossi_sync.cli import exits
from glossi_sync.cli.main import main


@pytest.mark.parametrize(
    "words",
    [["--bogus"], ["bogus"], ["plan", "--bogus"], ["plan", "--refresh", "bogus"], ["state", "bogus"], ["resolve"]],
)
def test_a_wrong_word_ends_with_1_and_says_what_is_wrong(words: list[str]) -> None:
    ran = CliRunner().invoke(main, words)
    assert ran.exit_code == exits.ERROR
    assert "bogus" in ran.output or "Missing argument" in ran.output


def test_asked_for_help_it_is_no_error() -> None:
    assert CliRunner().invoke(main, ["plan", "--help"]).exit_code == exits.DONE
