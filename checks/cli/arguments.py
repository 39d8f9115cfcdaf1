"""What was typed: the command line read into what the commands need, errors without secrets."""

from __future__ import annotations

import argparse
import os
import ssl
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

from checks import attest
from checks.address import (
    AddressError,
    EmailEngineAddress,
    RedisAddress,
    parse_emailengine_url,
    parse_redis_url,
)
from checks.facts import Attested
from checks.policy import DEFAULT, Policy, PolicyError, lay, parse
from checks.policy_file import read_policy
from checks.probes.tls import Tls

T = TypeVar("T")
USAGE: Final = 64  # sysexits.h: the command was used wrongly
EPILOG: Final = """\
exit status: 0 compliant and healthy, 1 at risk or degraded, 2 non-compliant or failing,
3 unverified or unknown, 64 wrong usage. The worst wins: 2, 1, 3, 0.

The connection is read-only, and latency is judged from where this runs. A URL with a password
shows in the list of processes: name an environment variable with --redis-env instead."""


class UsageError(Exception):
    """What was typed cannot be meant; one sentence, without secrets."""


@dataclass(frozen=True, slots=True)
class Request:
    """One inspection, as typed."""

    redis: RedisAddress
    tls: Tls
    emailengine: EmailEngineAddress | None = None
    key_prefix: str = ""
    metrics_token: str = field(default="", repr=False)
    api_token: str = field(default="", repr=False)
    policy: Policy = DEFAULT
    attested: Attested = field(default_factory=Attested)


class _Parser(argparse.ArgumentParser):
    """argparse, with the exit status of wrong usage that design and sysexits.h agree on."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def parser() -> argparse.ArgumentParser:
    """Build the parser of `python -m checks`."""
    made = _Parser(
        prog="python -m checks",
        description="Is this Redis fit for its EmailEngine? Read-only, without a database.",
        allow_abbrev=False,
    )
    commands = made.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_inspect(commands)
    rules = commands.add_parser("rules", help="list what is checked", allow_abbrev=False)
    rules_form = rules.add_mutually_exclusive_group()
    for name, what in (("json", "for programs"), ("markdown", "the page docs/rules.md")):
        rules_form.add_argument(
            f"--{name}", dest="form", action="store_const", const=name, default="table", help=what
        )
    return made


def _add_inspect(commands: Any) -> None:
    inspect = commands.add_parser(
        "inspect",
        help="inspect one pair now",
        description="Inspect one pair now: read it once, judge it by every rule, say what to do.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    where = inspect.add_mutually_exclusive_group(required=True)
    where.add_argument("--redis", metavar="URL", help="redis://, rediss:// or unix://")
    where.add_argument("--redis-env", metavar="NAME", help="the environment variable with the URL")
    _add_emailengine(inspect)
    _add_judgement(inspect)
    _add_tls(inspect)
    form = inspect.add_mutually_exclusive_group()
    for name, what in (("json", "one JSON object"), ("nagios", "Nagios plugin output")):
        form.add_argument(
            f"--{name}", dest="form", action="store_const", const=name, default="table", help=what
        )


def _add_emailengine(inspect: argparse.ArgumentParser) -> None:
    group = inspect.add_argument_group("EmailEngine")
    group.add_argument("--emailengine", metavar="URL", help="http:// or https://")
    group.add_argument("--emailengine-prefix", metavar="PREFIX", help="its EENGINE_REDIS_PREFIX")
    group.add_argument("--metrics-token-env", metavar="NAME", help="variable with a metrics token")
    group.add_argument("--api-token-env", metavar="NAME", help="variable with an API token")


def _add_judgement(inspect: argparse.ArgumentParser) -> None:
    group = inspect.add_argument_group("judgement")
    group.add_argument("--policy", metavar="FILE", help="limits to judge by, YAML or JSON")
    group.add_argument(
        "--attest",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="what no protocol tells, such as ram_bytes=8GiB; may be repeated",
    )


def _add_tls(inspect: argparse.ArgumentParser) -> None:
    group = inspect.add_argument_group("TLS, for rediss://")
    group.add_argument("--ca", metavar="FILE", help="certificates to trust instead of the system's")
    group.add_argument("--tls-name", metavar="NAME", help="the name wanted in the certificate")
    group.add_argument("--no-verify", action="store_true", help="take any certificate")


def request(typed: argparse.Namespace) -> Request:
    """Read the arguments of `inspect`; raises UsageError."""
    redis = _redis(typed)
    return Request(
        redis=redis,
        tls=_tls(typed, redis),
        emailengine=_emailengine(typed),
        key_prefix=typed.emailengine_prefix or "",
        metrics_token=_from_env(typed.metrics_token_env, "--metrics-token-env"),
        api_token=_from_env(typed.api_token_env, "--api-token-env"),
        policy=_policy(typed.policy),
        attested=_attested(typed.attest),
    )


def shows_password(typed: argparse.Namespace) -> bool:
    """Tell whether a password stands on the command line, where the list of processes shows it."""
    return bool(typed.redis and parse_redis_url(typed.redis).password)


def has_colour() -> bool:
    """Tell whether the output is a terminal that wants colour. Source: no-color.org."""
    is_plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not is_plain


def _redis(typed: argparse.Namespace) -> RedisAddress:
    url = typed.redis if typed.redis is not None else _from_env(typed.redis_env, "--redis-env")
    return _address(parse_redis_url, url)


def _emailengine(typed: argparse.Namespace) -> EmailEngineAddress | None:
    if typed.emailengine is not None:
        return _address(parse_emailengine_url, typed.emailengine)
    for name in ("emailengine_prefix", "metrics_token_env", "api_token_env"):
        if getattr(typed, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')} is of no use without --emailengine")
    return None


def _address(read: Callable[[str], T], url: str) -> T:
    try:
        return read(url)
    except AddressError as error:
        raise UsageError(str(error)) from None


def _from_env(name: str | None, option: str) -> str:
    """Return the variable's value; "" where the option was not given."""
    if name is None:
        return ""
    value = os.environ.get(name, "")
    if not value:
        raise UsageError(f"{option} names {name}, which the environment does not hold")
    return value


def _tls(typed: argparse.Namespace, redis: RedisAddress) -> Tls:
    for name in ("ca", "tls_name", "no_verify"):
        if getattr(typed, name) and not redis.is_tls:
            raise UsageError(f"--{name.replace('_', '-')} is of no use without a rediss:// URL")
    if typed.ca and typed.no_verify:
        raise UsageError("--ca and --no-verify exclude each other")
    ca_pem = _text(typed.ca, "--ca") if typed.ca else ""
    if ca_pem:
        _check_bundle(typed.ca, ca_pem)
    return Tls(ca_pem, typed.tls_name or "", verify=not typed.no_verify)


def _check_bundle(name: str, ca_pem: str) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=ca_pem)
    except (ssl.SSLError, ValueError):
        raise UsageError(f"--ca: {name} holds no certificate in PEM form") from None


def _policy(name: str | None) -> Policy:
    if name is None:
        return DEFAULT
    try:
        return lay(parse(read_policy(_text(name, "--policy"))))
    except PolicyError as error:
        raise UsageError(f"--policy: {error}") from None


def _text(name: str, option: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{option}: {name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{option}: {name} is not UTF-8 text") from None


def _attested(pairs: Sequence[str]) -> Attested:
    """Read KEY=VALUE words; the last one of a key wins."""
    found: dict[str, attest.Value] = {}
    for pair in pairs:
        key, mark, value = pair.partition("=")
        if not mark or key not in attest.BY_KEY:
            known = ", ".join(attest.BY_KEY)
            raise UsageError(f"--attest {key}: want KEY=VALUE, with KEY one of {known}")
        try:
            found[key] = attest.parse(key, value)
        except attest.AttestError as error:
            raise UsageError(f"--attest {error}") from None
    return attest.facts(found)
