"""What ACL GETUSER tells of our account, on every version, and safe with any bytes."""

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.facts import Account, Missing
from checks.probes.account import account_text, read_account, read_undeclared
from checks.probes.redis_commands import UNDECLARED_KEYS, get_user

US = get_user("pairkeeper")
SEVEN = [
    b"flags",
    [b"on"],
    b"passwords",
    [b"beef"],
    b"commands",
    b"-@all +PING",
    b"keys",
    b"~a %R~b",
]
SIX = [b"flags", [b"on"], b"passwords", [], b"commands", b"-@all +ping", b"keys", [b"a", b"b:*"]]
WORD = st.recursive(
    st.none() | st.integers() | st.binary(max_size=20), lambda inner: st.lists(inner, max_size=9)
)


@pytest.mark.parametrize(
    ("reply", "account"),
    [
        (SEVEN, Account("pairkeeper", ("+ping",), ("~a", "%R~b"))),
        (SIX, Account("pairkeeper", ("+ping",), ("~a", "~b:*"))),
    ],
)
def test_rights_and_keys(reply, account):
    assert read_account(US, reply) == {"account": account}


def test_no_name_is_the_default_account():
    assert get_user("").text == "ACL GETUSER default"


def test_a_refusal_names_the_right():
    said = read_account(US, hiredis.ReplyError("NOPERM this user has no permissions"))["account"]

    assert said.reason == "no_permission"
    assert said.text.endswith("; grant +acl|getuser")


def test_evidence_shows_the_rights_only():
    account = read_account(US, SEVEN)["account"]

    assert account_text(account) == "commands +ping\nkeys ~a %R~b"
    assert account_text(Missing("no_permission", "x")) == ""


@given(WORD)
def test_any_reply_is_an_account_or_missing(reply):
    assert isinstance(read_account(US, reply)["account"], Account | Missing)
    assert isinstance(
        read_undeclared(UNDECLARED_KEYS, reply)["allows_undeclared_keys"], bool | Missing
    )
