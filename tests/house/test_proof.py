"""The proof beside each remediation claims no more than the live tests carry out."""

from checks.catalog import BY_ID
from checks.facts import Engine
from checks.remedy import proof
from tests.live.faults import FAULTS
from tests.proof import read

REPORT = """<testsuites><testsuite>
  <testcase name="a"><properties>
    <property name="proof" value="redis.tcp-keepalive - redis 6.2.14"/>
  </properties></testcase>
  <testcase name="b"><properties>
    <property name="proof" value="redis.tcp-keepalive - redis 7.0.15"/>
    <property name="other" value="x"/>
  </properties></testcase>
  <testcase name="c"><properties>
    <property name="proof" value="redis.durability off valkey 9.0.1"/>
  </properties><error message="its teardown failed"/></testcase>
</testsuite></testsuites>"""
# What can be started here: our wheels, and what a machine may have on its PATH.
STARTED = {Engine.REDIS, Engine.VALKEY, Engine.KEYDB}


def test_the_proof_claims_only_what_a_live_test_carries_out():
    claimed = {(rule_id, cause) for rule_id, causes in proof().items() for cause in causes}

    assert claimed <= {(fault.rule, fault.cause) for fault in FAULTS}


def test_the_proof_names_what_there_is():
    for rule_id, causes in proof().items():
        assert BY_ID[rule_id].id == rule_id
        assert set(causes) <= set(BY_ID[rule_id].remediation)
        for makes in causes.values():
            assert {Engine(name) for name in makes} <= STARTED
            assert all(versions == tuple(dict.fromkeys(versions)) for versions in makes.values())


def test_every_fault_is_one_of_a_rule():
    assert all(fault.cause in BY_ID[fault.rule].remediation for fault in FAULTS)


def test_the_proof_is_what_passed():
    assert read(REPORT) == {"redis.tcp-keepalive": {"": {"redis": ["6.2.14", "7.0.15"]}}}
