import pytest

from checks.facts import Account, Engine
from checks.rule import Outcome
from checks.rules.exposure import access_control, private_endpoint, probe_privilege
from tests.checks.pairs import HIDDEN, facts_with

LINKED = {"private_link": True}


@pytest.mark.parametrize(
    ("path", "tls", "is_open", "attested", "outcome", "severity"),
    [
        ("unix", False, True, {}, "pass", None),
        ("loopback", False, True, {}, "pass", None),
        ("private", False, True, {}, "pass", None),
        ("public", False, True, LINKED, "pass", None),
        ("public", True, False, {"private_link": False}, "fail", "warning"),
        ("public", True, False, {}, "fail", "warning"),
        ("public", True, True, {}, "fail", "critical"),
        ("public", False, False, {}, "fail", "critical"),
        ("public", False, HIDDEN, {}, "fail", "critical"),
        ("public", True, HIDDEN, {}, "unknown", None),
    ],
)
def test_endpoints(path, tls, is_open, attested, outcome, severity):
    facts = facts_with(path=path, is_tls=tls, is_open=is_open, attested=attested)
    verdict = private_endpoint.judge(facts)

    assert (verdict.outcome, verdict.severity) == (outcome, severity)


def test_a_public_endpoint_says_what_it_lacks():
    verdict = private_endpoint.judge(facts_with(path="public", is_tls=False, is_open=True))

    assert verdict.message == (
        "Redis is reached at a public address, without TLS and a password; "
        "it should have a private one"
    )


@pytest.mark.parametrize(
    ("path", "tls", "is_open", "outcome", "severity"),
    [
        ("private", True, False, "pass", None),
        ("public", True, False, "pass", None),
        ("loopback", False, False, "pass", None),
        ("unix", False, False, "pass", None),
        ("private", False, False, "fail", "info"),
        ("public", False, False, "fail", "warning"),
        ("loopback", False, True, "fail", "warning"),
        ("private", True, True, "fail", "warning"),
        ("public", True, True, "fail", "critical"),
        ("private", True, HIDDEN, "unknown", None),
    ],
)
def test_access(path, tls, is_open, outcome, severity):
    verdict = access_control.judge(facts_with(path=path, is_tls=tls, is_open=is_open))

    assert (verdict.outcome, verdict.severity) == (outcome, severity)


def test_a_private_link_is_a_private_path():
    facts = facts_with(path="public", is_open=True, attested=LINKED)

    assert access_control.judge(facts).severity == "warning"


@pytest.mark.parametrize(
    ("rights", "keys", "excess"),
    [
        (("+ping", "+info", "+acl|getuser"), (), None),
        (("+ping", "+llen"), ("~bull:*", "%R~p:bull:*", "%R~stats:*"), None),
        (("+ping",), ("~*",), "~*"),
        (("+@all",), (), "+@all"),
        (("+ping", "+config"), (), "+config"),
        (("+ping", "+set"), ("~bull:*",), "+set"),
    ],
)
def test_our_account(rights, keys, excess):
    verdict = probe_privilege.judge(facts_with(account=Account("us", rights, keys)))

    assert verdict.outcome == ("fail" if excess else "pass")
    assert verdict.evidence == {"account": "us", "excess": excess or "nothing more"}


def test_dragonfly_grants_whole_commands_only():
    account = Account("us", ("+config", "+eval", "+exists"), ("~pairkeeper:probe:*",))
    facts = facts_with(engine=Engine.DRAGONFLY, account=account)

    assert probe_privilege.judge(facts).outcome is Outcome.PASS


def test_an_account_that_may_not_be_read_is_unknown():
    assert probe_privilege.judge(facts_with(account=HIDDEN)).reason == "no_permission"
