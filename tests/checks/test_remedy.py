import json
import string

import pytest

from checks import remedy
from checks.facts import REASONS, Engine
from checks.remedy import Piece, RenderedRemediation, Server, observed, render, required, title
from checks.rule import Effect, Outcome, Severity, Verdict, failed, passed, unknown
from tests.checks.sample_rules import MemoryLimits, licence, memory

GIB = 1024**3
EVIDENCE = {"wanted_bytes": 4 * GIB, "used_ratio": 0.85}
VALKEY = Server(Engine.VALKEY, "8.0.1", "redis-0417.example", "/etc/valkey/valkey.conf")


def prose(text):
    return Piece(text, is_code=False)


def code(text):
    return Piece(text, is_code=True)


def test_everything_is_rendered_for_the_server():
    assert render(memory, "", EVIDENCE, VALKEY) == RenderedRemediation(
        do="Set maxmemory to 4.0\u202fGiB",
        why="Valkey 8.0.1 on redis-0417.example may use 80%.",
        now=(code(f"CONFIG SET maxmemory {4 * GIB}"),),
        durable=(
            code(f"maxmemory {4 * GIB}"),
            prose("In /etc/valkey/valkey.conf on redis-0417.example, or run CONFIG REWRITE."),
        ),
        verify=(
            code("valkey-cli CONFIG GET maxmemory"),
            prose(f"must answer {4 * GIB}, as in valkey.conf"),
        ),
        risk="None.",
        undo=(),
        effect=Effect.NO_RESTART,
        engine_label="Valkey 8.0.1",
        tested_versions=(),
        is_tested=False,
    )


def test_limits_of_a_policy_are_filled_in():
    rendered = render(memory, "", EVIDENCE, VALKEY, MemoryLimits(warn_used_ratio=0.7))

    assert rendered.why == "Valkey 8.0.1 on redis-0417.example may use 70%."


def test_a_providers_own_steps_get_no_configuration_file():
    rendered = render(memory, "", EVIDENCE, Server(Engine.ELASTICACHE, "7.1", "e1", ""))

    assert rendered.now == (prose("Choose a larger node type."),)
    assert rendered.durable == (code("aws elasticache modify-cache-cluster"),)
    assert rendered.effect is Effect.CONSOLE


def test_a_setting_that_a_provider_keeps_is_set_in_its_console():
    rendered = render(memory, "", EVIDENCE, Server(Engine.AZURE, "6.0", "a1"))

    assert rendered.effect is Effect.CONSOLE
    assert rendered.durable[1:] == (
        prose("Azure Cache for Redis is run by its provider: set it in the console there."),
    )


def test_a_cause_picks_its_remediation():
    assert render(licence, "unpaid", {}, VALKEY).why == (
        "Without a licence work stops after 7 days."
    )
    assert render(licence, "", {}, VALKEY).do == "Restart EmailEngine"
    assert render(licence, "a cause of long ago", {}, VALKEY).do == "Restart EmailEngine"


def test_figures_that_an_older_reading_lacks_are_not_made_up():
    rendered = render(memory, "", {}, VALKEY)

    absent = "The last reading did not give wanted_bytes: check now, and this is filled in."
    assert (rendered.do, rendered.now) == (absent, (prose(absent),))
    assert rendered.durable == (prose(absent),)


def test_a_servers_words_cannot_break_out_of_a_command():
    server = Server(Engine.VALKEY, "8\n", "a\r\nFLUSHALL", "/etc/x\nFLUSHALL")

    rendered = render(memory, "", EVIDENCE, server)

    assert rendered.why == "Valkey 8  on a  FLUSHALL may use 80%."
    assert rendered.durable[1] == prose("In /etc/x FLUSHALL on a  FLUSHALL, or run CONFIG REWRITE.")


def test_tested_versions_are_those_of_the_live_tests(tmp_path, monkeypatch):
    proof = tmp_path / "proof.json"
    proof.write_text(json.dumps({memory.id: {"": {"valkey": ["7.2.7", "8.0.1"]}}}))
    monkeypatch.setattr(remedy, "PROOF", proof)
    remedy.proof.cache_clear()
    try:
        rendered = render(memory, "", EVIDENCE, VALKEY)
        other = render(memory, "", EVIDENCE, Server(Engine.VALKEY, "9.1", "x"))
    finally:
        remedy.proof.cache_clear()

    assert (rendered.tested_versions, rendered.is_tested) == (("7.2.7", "8.0.1"), True)
    assert (other.tested_versions, other.is_tested) == (("7.2.7", "8.0.1"), False)


@pytest.mark.parametrize(
    ("verdict", "text"),
    [
        (passed(used_ratio=0.5), "50%"),
        (failed("m", short="s", severity=Severity.INFO, used_ratio=0.85), "85%"),
        (unknown("no_permission", "INFO is refused"), "INFO is refused"),
        (Verdict(Outcome.DISABLED, message="switched off by policy"), "switched off by policy"),
        (failed("an older message", short="s", severity=Severity.INFO), "an older message"),
        (passed(), "not read"),
    ],
)
def test_observed(verdict, text):
    assert observed(memory, verdict) == text


def test_required_and_title_carry_the_limits_in_force():
    limits = MemoryLimits(warn_used_ratio=0.7)

    assert (required(memory), required(memory, limits=limits)) == ("< 80%", "< 70%")
    assert title(memory, limits) == "Memory stays below 70%"


def test_required_that_hangs_on_evidence_is_the_title_without_it():
    assert required(licence, {"wanted": "the plan"}) == "as the plan wants"
    assert required(licence) == "The licence lasts"


def test_marks_are_names():
    assert remedy.marks("{a} {limits.b:percent} {{c}} {a:size}") == ("a", "limits")
    assert all(set(reason) <= {*string.ascii_lowercase, "_"} for reason in REASONS)


def test_an_outline_names_the_figures_that_a_reading_gives():
    found = remedy.outline(memory, engine=Engine.VALKEY)

    assert found == RenderedRemediation(
        do="Set maxmemory to <wanted bytes>",
        why="Valkey  on <host> may use 80%.",
        now=(code("CONFIG SET maxmemory <wanted bytes>"),),
        durable=(code("maxmemory <wanted bytes>"),),
        verify=(
            code("valkey-cli CONFIG GET maxmemory"),
            prose("must answer <wanted bytes>, as in valkey.conf"),
        ),
        risk="None.",
        undo=(),
        effect=Effect.NO_RESTART,
        engine_label="Valkey",
        tested_versions=(),
        is_tested=False,
    )
