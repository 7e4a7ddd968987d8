"""Known errors become a sentence on stderr and an exit code; only a defect of the program shows a traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

from glossi_sync.cli import exits
from glossi_sync.cli.diagnostics import logs_json, say
from glossi_sync.errors import UserError


@contextmanager
def sentences() -> Iterator[None]:
    """Turn every known error that leaves the block into its sentence and its exit code."""
    try:
        yield
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`): nothing is wrong, and nobody is left to tell.
        sys.stdout = None
        sys.exit(exits.ERROR)
    except (Exception, KeyboardInterrupt) as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        *others, last = _separately(error, sentence)
        for one in others:
            say(one, "error")
        fail(last, _code(error))


def sentence_of(error: BaseException) -> str | None:
    """What is said of a known error; None for a defect of the program."""
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return "Interrupted."
    first = _first(error)
    return str(first) if isinstance(first, UserError | OSError) else None


def fail(sentence: str, code: int = exits.ERROR) -> NoReturn:
    """Say a sentence on stderr and end with a code."""
    say(sentence, "error")
    sys.exit(code)


def _code(error: BaseException) -> int:
    from glossi_sync.state import StateLocked  # noqa: PLC0415 (a command that meets no error pays nothing for it)

    if isinstance(error, KeyboardInterrupt | click.Abort):
        return exits.INTERRUPTED
    return exits.LOCKED if isinstance(_first(error), StateLocked) else exits.ERROR


def _separately(error: BaseException, sentence: str) -> list[str]:
    """A spec's mistakes are one text for a person, and several diagnostics for a program."""
    from glossi_sync.spec import SpecError  # noqa: PLC0415 (as above)

    return sentence.splitlines() if logs_json() and isinstance(_first(error), SpecError) else [sentence]


def _first(error: BaseException) -> BaseException:
    """Tasks that run together fail together; the first failure tells what there is to tell."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
