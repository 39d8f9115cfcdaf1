import json
import re

import pytest

from checks.cli.arguments import USAGE, UsageError, parser, request, shows_password
from checks.facts import Attested
from checks.policy import DEFAULT
from checks.probes.tls import Tls
from tests.certificates import Certificates

REDIS = ("inspect", "--redis", "redis://10.0.0.7/8")
TLS = ("inspect", "--redis", "rediss://redis.example:6380")


def typed(*words):
    return parser().parse_args(words)


def refusal(*words):
    with pytest.raises(UsageError) as error:
        request(typed(*words))
    return str(error.value)


def test_the_least_is_a_redis():
    found = request(typed(*REDIS))

    assert (found.redis.host, found.redis.database, found.emailengine) == ("10.0.0.7", 8, None)
    assert (found.policy, found.attested, found.tls) == (DEFAULT, Attested(), Tls())


def test_all_that_can_be_said(monkeypatch, tmp_path):
    monkeypatch.setenv("MY_REDIS", "rediss://watch:geheim@redis.example:6380/8")
    monkeypatch.setenv("METRICS", "metrics-token")
    monkeypatch.setenv("API", "api-token")
    policy = tmp_path / "policy.yaml"
    policy.write_text("redis.memory-headroom:\n  warn_used_ratio: 0.7\n")
    ca = Certificates.make(tmp_path).ca

    found = request(
        typed(
            *("inspect", "--redis-env", "MY_REDIS", "--policy", str(policy), "--json"),
            *("--emailengine", "https://ee.example", "--emailengine-prefix", "ee"),
            *("--metrics-token-env", "METRICS", "--api-token-env", "API"),
            *("--ca", str(ca), "--tls-name", "redis.internal"),
            *("--attest", "ram_bytes=8GiB", "--attest", "private_link=yes"),
            *("--attest", "storage_medium=nvme", "--attest", "disk_iops=12000"),
        )
    )

    assert (found.redis.user, found.redis.password) == ("watch", "geheim")
    assert found.emailengine is not None
    assert (found.emailengine.url, found.key_prefix) == ("https://ee.example", "ee")
    assert (found.metrics_token, found.api_token) == ("metrics-token", "api-token")
    assert found.policy["redis.memory-headroom"].limits.warn_used_ratio == 0.7
    assert found.tls == Tls(ca.read_text(), "redis.internal")
    assert found.attested == Attested(
        ram_bytes=8 * 1024**3, private_link=True, storage_medium="nvme", disk_iops=12000
    )
    shown = repr(found)
    assert not [one for one in ("geheim", "metrics-token", "api-token") if one in shown]


def test_any_certificate_is_taken_only_when_asked():
    assert request(typed(*TLS, "--no-verify")).tls == Tls(verify=False)


def test_a_policy_may_be_json(tmp_path):
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({"redis.version": {"enabled": False}}))

    assert not request(typed(*REDIS, "--policy", str(path))).policy["redis.version"].is_enabled


def test_an_empty_policy_changes_nothing(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text("# nothing yet\n")

    assert request(typed(*REDIS, "--policy", str(path))).policy == DEFAULT


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("inspect", "--redis", "10.0.0.7"), "The Redis URL has no scheme"),
        (("inspect", "--redis-env", "NO_SUCH"), "--redis-env names NO_SUCH, which the environ"),
        ((*REDIS, "--emailengine", "ee.example"), "The EmailEngine URL has no scheme"),
        ((*REDIS, "--api-token-env", "X"), "--api-token-env is of no use without --emailengine"),
        ((*REDIS, "--emailengine-prefix", "x"), "--emailengine-prefix is of no use without"),
        (
            (*REDIS, "--emailengine", "http://ee", "--metrics-token-env", "NO_SUCH"),
            "--metrics-token-env names NO_SUCH",
        ),
        ((*REDIS, "--ca", "x.pem"), "--ca is of no use without a rediss:// URL"),
        ((*REDIS, "--no-verify"), "--no-verify is of no use without a rediss:// URL"),
        ((*TLS, "--ca", "x.pem", "--no-verify"), "--ca and --no-verify exclude each other"),
        ((*TLS, "--ca", "/no/such"), "--ca: /no/such cannot be read: No such file or directory"),
        ((*REDIS, "--policy", "/no/such"), "--policy: /no/such cannot be read: No such file"),
        ((*REDIS, "--attest", "ram_bytes"), "--attest ram_bytes: want KEY=VALUE, with KEY one of"),
        ((*REDIS, "--attest", "ram=8"), "--attest ram: want KEY=VALUE, with KEY one of disk_iops"),
        (
            (*REDIS, "--attest", "ram_bytes=much"),
            "--attest ram_bytes=much: want a whole number over 0, or with KiB, MiB, GiB",
        ),
        ((*REDIS, "--attest", "disk_iops=8GiB"), "--attest disk_iops=8GiB: want a whole number"),
        ((*REDIS, "--attest", "secret_kept=1"), "--attest secret_kept=1: want yes or no"),
        ((*REDIS, "--attest", "plan="), "--attest plan=: want a text"),
    ],
)
def test_what_cannot_be_meant_is_named(words, text, monkeypatch):
    monkeypatch.delenv("NO_SUCH", raising=False)

    assert refusal(*words).startswith(text)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("a: [", "--policy: the text is no YAML at line 1"),
        ("- redis.version", "a policy: want names with their values, not ['redis.version']"),
        ("redis.version: {least: 7}", "redis.version has no limit named least; it has"),
        ("redis.nothing: {}", "there is no rule named redis.nothing"),
        ("redis.memory-headroom: {warn_used_ratio: 80}", "warn_used_ratio is 80; allowed is"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
    ],
)
def test_a_policy_file_that_is_none_is_refused(tmp_path, written, text):
    path = tmp_path / "policy.yaml"
    path.write_bytes(written if isinstance(written, bytes) else written.encode())

    found = refusal(*REDIS, "--policy", str(path))

    assert found.startswith("--policy: ")
    assert text in found


def test_a_bundle_without_a_certificate_is_refused(tmp_path):
    path = tmp_path / "ca.pem"
    path.write_text("no certificate")

    assert refusal(*TLS, "--ca", str(path)) == f"--ca: {path} holds no certificate in PEM form"


def test_no_error_repeats_a_password():
    found = refusal("inspect", "--redis", "redis://:ge#heim@10.0.0.7:99999")

    assert not re.search("ge|heim", found.replace("password", ""))


@pytest.mark.parametrize(
    ("url", "shows"), [("redis://:geheim@10.0.0.7", True), ("redis://watch@10.0.0.7", False)]
)
def test_a_password_on_the_command_line_is_noticed(url, shows):
    assert shows_password(typed("inspect", "--redis", url)) is shows


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("check",),
        ("inspect",),
        ("inspect", "--redis"),
        (*REDIS, "--redis-env", "X"),
        (*REDIS, "--json", "--nagios"),
        (*REDIS, "--colour"),
        (*REDIS, "--emailengine-pre", "x"),
        ("rules", "--nagios"),
        ("rules", "--json", "--markdown"),
    ],
)
def test_wrong_usage_ends_with_64(words, capsys):
    with pytest.raises(SystemExit) as end:
        typed(*words)

    assert end.value.code == USAGE == 64
    assert "usage: python -m checks" in capsys.readouterr().err
