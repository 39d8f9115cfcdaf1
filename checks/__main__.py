"""python -m checks: inspect one pair from a shell, or list the rules. No Django, no database."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence

from checks.catalog import RULES
from checks.cli.arguments import USAGE, UsageError, has_colour, parser, request, shows_password
from checks.cli.as_json import catalogue_json, inspection_json
from checks.cli.as_markdown import catalogue_markdown
from checks.cli.inspection import Inspection, inspect
from checks.cli.nagios import nagios
from checks.cli.table import Ink, catalogue_table, inspection_table, width

UNKNOWN, INTERRUPTED = 3, 130  # the latter: 128 + SIGINT
WARNING = (
    "warning: this password shows in the list of processes; give the URL by --redis-env instead"
)


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    typed = parser().parse_args(words)
    try:
        return _rules(typed) if typed.command == "rules" else _inspect(typed)
    except UsageError as error:
        sys.stderr.write(f"python -m checks {typed.command}: {error}\n")
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception:  # noqa: BLE001  the outermost door: our own fault must not read as "at risk"
        traceback.print_exc()
        return UNKNOWN


def _rules(typed: argparse.Namespace) -> int:
    if typed.form == "json":
        _say(catalogue_json(RULES))
    elif typed.form == "markdown":
        _say(catalogue_markdown(RULES))
    else:
        _say(catalogue_table(RULES, Ink(is_on=has_colour()), width()))
    return 0


def _inspect(typed: argparse.Namespace) -> int:
    wanted = request(typed)
    if shows_password(typed):
        sys.stderr.write(f"{WARNING}\n")
    done = inspect(wanted)
    _say(_written(done, typed.form))
    return done.status


def _written(done: Inspection, form: str) -> str:
    if form == "json":
        return inspection_json(done)
    if form == "nagios":
        return nagios(done)
    return inspection_table(done, Ink(is_on=has_colour()), width())


def _say(text: str) -> None:
    """Print what a terminal without Unicode can show of it; a reader that left is no error."""
    encoding = sys.stdout.encoding or "utf-8"
    try:
        print(text.encode(encoding, "replace").decode(encoding), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
