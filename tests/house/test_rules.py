"""Every rule keeps the house's laws; nobody has to tell this file of a new one."""

import json
import re
import string
from contextlib import suppress
from dataclasses import fields, replace
from functools import cache
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.catalog import BY_ID, RULES, SOURCES
from checks.facts import (
    NOT_READ,
    EmailEngineFacts,
    Engine,
    Missing,
    PairFacts,
    RedisFacts,
)
from checks.policy import MOST_NUMBER, PolicyError, lay, parse
from checks.remedy import Server, observed, render, required
from checks.render import fill
from checks.rule import Cadence, Code, Outcome, Remediation
from tests.checks.pairs import EMAILENGINE, HEALTHY, REDIS, facts_with, source_with
from tests.checks.situations import SITUATIONS

# Findings, waivers and policies are keyed by these: each stays known for ever.
SHIPPED = {
    "redis.reachable",
    "redis.accepts-writes",
    "redis.endpoint-role",
    "redis.standalone",
    "redis.version",
    "redis.engine-support",
    "redis.eviction-policy",
    "redis.memory-headroom",
    "redis.durability",
    "redis.rdb-schedule",
    "redis.rdb-fresh",
    "redis.rdb-last-status",
    "redis.tcp-keepalive",
    "pair.rtt",
    "redis.stall",
    "emailengine.reachable",
    "emailengine.api-response",
    "emailengine.queue-size",
    "emailengine.queue-workers",
    "redis.maxmemory-set",
    "redis.memory-provisioning",
    "redis.memory-forecast",
    "redis.snapshot-headroom",
    "redis.fragmentation",
    "redis.aof-disk",
    "redis.aof-last-status",
    "redis.storage-medium",
    "redis.dragonfly-lua-flags",
    "redis.command-size-limit",
    "redis.upstash-plan",
    "redis.evicted-keys",
    "redis.clients-headroom",
    "redis.pubsub-buffers",
    "redis.idle-timeout",
    "redis.private-endpoint",
    "redis.access-control",
    "redis.probe-privilege",
    "redis.same-zone",
    "redis.shared-instance",
    "redis.replication",
    "redis.credentials-drift",
    "pair.same-redis",
    "pair.single-instance",
    "pair.data-intact",
    "emailengine.version",
    "emailengine.license",
    "emailengine.workers",
    "emailengine.accounts",
    "emailengine.redis-warnings",
    "emailengine.queue-paused",
    "emailengine.processing-rate",
    "emailengine.delivery-time",
    "emailengine.bounce-rate",
    "emailengine.webhooks",
    "backup.configured",
    "backup.age",
    "backup.secret-kept",
    "backup.intact",
    "backup.size",
    "backup.restore-proven",
}
ID = re.compile(r"(redis|emailengine|backup|pair)(\.[a-z]+(-[a-z]+)*)")
SEVERITIES = ("info", "warning", "critical")
UNITS = ("ratio", "s", "ms", "us", "bytes", "count", "iops", "times", "version", "pairs")
IDENTIFIERS = {
    "port",
    "database",
    "health_status",
    "emailengine_health_status",
}  # numbers, not amounts
# Read of the connection itself: there whenever Redis answered.
CONNECTION = {"host", "port", "database", "is_tls", "path", "engine", "edition"}
CONFIG = {
    "save",
    "snapshot_cron",
    "appendfsync",
    "tcp_keepalive_s",
    "timeout_s",
    "proto_max_bulk_len_bytes",
    "client_output_buffer_limit",
    "replica_read_only",
    "account",
    "is_open",
    "allows_undeclared_keys",
    "sentinels",
}
# These judge what was registered or attested, or the connection itself.
WITHOUT_READING = {
    "redis.reachable",
    "redis.engine-support",
    "redis.private-endpoint",
    "redis.same-zone",
    "redis.storage-medium",
    "redis.upstash-plan",
    *(rule.id for rule in RULES if rule.cadence is Cadence.BACKUP),
}
HEALTH_OF_EMAILENGINE = {"url", "key_prefix", "health_status", "health_s", "network_us"}
FORBIDDEN = re.compile(
    r"FLUSH(DB|ALL)|stop-writes-on-bgsave-error no|^appendonly yes|DEBUG |^[$>#]", re.MULTILINE
)
HIDDEN = Missing("no_permission", "it is hidden")
# Where nothing happened yet: what is shared out is shared by none.
QUIET = facts_with(
    emailengine={"accounts": {}, "webhooks": {}, "webhooks_hour": {}, "events": {}},
    since={"events_day": {}, "webhooks_hour": {}, "has_seen_bounce": True, "processed_rise": {}},
    backup={"sources": (source_with(earlier_bytes=()),)},
)
RULE = pytest.mark.parametrize("judged", RULES, ids=lambda rule: rule.id)
OPTIONAL_REDIS = [field.name for field in fields(RedisFacts) if field.name not in CONNECTION]
OPTIONAL_EMAILENGINE = [
    field.name for field in fields(EmailEngineFacts) if field.name not in ("url", "key_prefix")
]


@cache
def verdicts_of(rule_id):
    """Judge one rule in every situation."""
    rule = BY_ID[rule_id]
    return {name: rule.judge(facts) for name, facts in (("healthy", HEALTHY), *SITUATIONS.items())}


def fails_of(rule_id):
    found = verdicts_of(rule_id).items()
    return {name: verdict for name, verdict in found if verdict.outcome is Outcome.FAIL}


def texts_of(remedy):
    """List every text of a remediation, with its field's name."""
    for field in fields(Remediation):
        value = getattr(remedy, field.name)
        if isinstance(value, tuple | str) and field.name not in {"when", "effect"}:
            yield from (
                (field.name, text) for text in (value if isinstance(value, tuple) else (value,))
            )


def every_text(rule):
    """List every template of a rule's remediations, on every make."""
    return {
        (name, text)
        for remedy in rule.remediation.values()
        for engine in Engine
        for name, text in texts_of(remedy.on(engine))
    }


# --- Names and sources


def test_every_id_ever_shipped_is_still_known():
    assert set(BY_ID) >= SHIPPED


def test_ids_are_unique():
    assert len(RULES) == len({rule.id for rule in RULES})


@RULE
def test_an_id_names_what_is_looked_at(judged):
    assert ID.fullmatch(judged.id)
    assert not any(word in judged.id.replace(".", "-").split("-") for word in SEVERITIES)


@RULE
def test_a_rule_cites_its_source(judged):
    assert "Source: " in (judged.function.__doc__ or "")
    assert set(judged.source.split(", ")) <= set(SOURCES)
    assert judged.reads


@RULE
def test_limits_carry_their_units(judged):
    for limit in fields(judged.limits):
        assert limit.name.rpartition("_")[2] in UNITS, limit.name


@RULE
def test_no_figure_of_a_limit_is_typed_into_a_text(judged):
    typed = {judged.title, judged.required, *(text for _, text in every_text(judged))}
    figures = set(
        chain.from_iterable(
            _figures(getattr(judged.limits, limit.name)) for limit in fields(judged.limits)
        )
    )
    for text in typed:
        prose = "".join(literal for literal, *_ in string.Formatter().parse(text))
        assert not figures & set(re.findall(r"\d[\d.,]*", prose)), text


def _figures(limit):
    """List how people would write a limit."""
    if isinstance(limit, tuple):
        return chain.from_iterable(_figures(one) for one in limit)
    if isinstance(limit, str):
        return [limit]
    written = [f"{limit:g}", f"{limit:,}"]
    return [*written, f"{limit * 100:g}"] if isinstance(limit, float) and limit < 1 else written


# --- Verdicts


@RULE
def test_a_healthy_pair_passes(judged):
    assert judged.judge(on_its_make(judged, HEALTHY)).outcome is Outcome.PASS


@RULE
def test_a_healthy_pair_passes_on_what_its_cadence_reads(judged):
    verdict = judged.judge(on_its_make(judged, as_read(judged.cadence)))

    assert verdict.outcome is Outcome.PASS, verdict.message


def on_its_make(judged, facts):
    """Put the pair on a make that the rule has a meaning on."""
    engine = min(judged.only_on, default=Engine.REDIS)
    return replace(facts, redis=replace(facts.redis, engine=engine))


def as_read(cadence):
    """Keep of the healthy pair what a visit for this cadence alone reads."""
    if cadence is Cadence.LATENCY:
        kept, of_emailengine = {"ping", "round_trips"}, set()
    elif cadence is Cadence.PERSISTENCE:
        kept, of_emailengine = set(OPTIONAL_REDIS), set(OPTIONAL_EMAILENGINE)
    else:
        kept = set(OPTIONAL_REDIS) - CONFIG - {"round_trips", "bull_clients"}
        of_emailengine = HEALTH_OF_EMAILENGINE
        if cadence is Cadence.STATS:
            of_emailengine = set(OPTIONAL_EMAILENGINE)
    return replace(
        HEALTHY,
        redis=replace(REDIS, **dict.fromkeys(set(OPTIONAL_REDIS) - kept, NOT_READ)),
        emailengine=replace(
            EMAILENGINE, **dict.fromkeys(set(OPTIONAL_EMAILENGINE) - of_emailengine, NOT_READ)
        ),
    )


@RULE
def test_a_rule_tells_fails_from_passes_in_every_cause(judged):
    causes = {verdict.cause for verdict in fails_of(judged.id).values()}

    assert causes == set(judged.remediation)


@RULE
def test_verdicts_are_fit_to_show(judged):
    for name, verdict in verdicts_of(judged.id).items():
        json.dumps(verdict.evidence)
        for key, value in verdict.evidence.items():
            is_amount = isinstance(value, int | float) and not isinstance(value, bool)
            assert not is_amount or key in IDENTIFIERS or key.rpartition("_")[2] in UNITS, key
        if verdict.outcome in (Outcome.PASS, Outcome.FAIL):
            values = {**verdict.evidence, "limits": judged.limits}
            assert fill(judged.observed, values), name
            assert fill(judged.required, values), name
        else:
            assert verdict.message, name
            assert verdict.reason, name


@RULE
def test_a_fail_says_what_was_found(judged):
    for name, verdict in fails_of(judged.id).items():
        assert verdict.severity.rank <= judged.severity.rank, name
        assert verdict.message, name
        assert not verdict.message.endswith("."), name
        assert 0 < len(verdict.short) <= 42, verdict.short
        assert "None" not in verdict.message + verdict.short, name


@RULE
def test_what_a_rule_calls_its_worst_occurs(judged):
    assert judged.severity in {verdict.severity for verdict in fails_of(judged.id).values()}


# --- Missing facts


@RULE
def test_without_any_fact_nothing_passes(judged):
    nothing = PairFacts(redis=HIDDEN, emailengine=HIDDEN, vantage=HIDDEN, backup=HIDDEN)
    bare = replace(REDIS, **dict.fromkeys(OPTIONAL_REDIS, HIDDEN))
    empty = replace(
        HEALTHY,
        redis=replace(bare, engine=min(judged.only_on, default=Engine.REDIS)),
        emailengine=replace(EMAILENGINE, **dict.fromkeys(OPTIONAL_EMAILENGINE, HIDDEN)),
    )

    assert judged.judge(nothing).outcome is Outcome.UNKNOWN
    # A connection and a refused PING are an answer, and its make and path are known with it.
    if judged.id not in WITHOUT_READING:
        assert judged.judge(empty).outcome is Outcome.UNKNOWN


# Without these there is nothing to judge by: RSS is a second view, and INFO names good replicas
# only where a least number is set.
OTHER_SIGNS = {
    ("redis.memory-headroom", "used_memory_rss_bytes"),
    ("redis.memory-headroom", "system_memory_bytes"),
    ("redis.accepts-writes", "min_replicas_good"),
    ("redis.durability", "keys_by_database"),  # speaks against what is attested
}


@RULE
def test_a_fail_does_not_become_a_pass_by_hiding_a_fact(judged):
    for name in fails_of(judged.id):
        facts = SITUATIONS[name]
        if isinstance(facts.redis, Missing):
            continue
        for field in OPTIONAL_REDIS:
            if (judged.id, field) in OTHER_SIGNS:
                continue
            hidden = replace(facts, redis=replace(facts.redis, **{field: HIDDEN}))
            assert judged.judge(hidden).outcome is not Outcome.PASS, (name, field)


@given(
    st.sampled_from(sorted(SITUATIONS)),
    st.sets(st.sampled_from(OPTIONAL_REDIS)),
    st.sets(st.sampled_from(OPTIONAL_EMAILENGINE)),
    st.sampled_from([HIDDEN, NOT_READ, Missing("not_configured", "not registered")]),
)
def test_no_mixture_of_missing_facts_breaks_a_rule(name, of_redis, of_emailengine, missing):
    facts = SITUATIONS[name]
    redis, emailengine = facts.redis, facts.emailengine
    if not isinstance(redis, Missing):
        redis = replace(redis, **dict.fromkeys(of_redis, missing))
    if not isinstance(emailengine, Missing):
        emailengine = replace(emailengine, **dict.fromkeys(of_emailengine, missing))
    mixed = replace(facts, redis=redis, emailengine=emailengine)
    for rule in RULES:
        verdict = rule.judge(mixed)
        if verdict.outcome in (Outcome.PASS, Outcome.FAIL):
            assert fill(rule.observed, {**verdict.evidence, "limits": rule.limits})
        if verdict.outcome is Outcome.FAIL:
            assert render(rule, verdict.cause, verdict.evidence, Server()).now


def extremes(judged):
    """Give the limits of a rule with one of them at the least or the most a policy may set."""
    for field in fields(judged.limits):
        default = getattr(judged.limits, field.name)
        if isinstance(default, bool) or not isinstance(default, int | float):
            continue
        for extreme in (0, 1 if field.name.endswith("_ratio") else MOST_NUMBER):
            with suppress(PolicyError):  # out of order with another
                wanted = type(default)(extreme)
                yield lay(parse({judged.id: {field.name: wanted}}))[judged.id].limits


@RULE
def test_no_limit_that_a_policy_may_set_breaks_a_rule(judged):
    for limits in extremes(judged):
        for facts in (HEALTHY, QUIET, *SITUATIONS.values()):
            verdict = judged.judge(facts, limits)

            assert observed(judged, verdict, limits)
            assert required(judged, verdict.evidence, limits)
            if verdict.outcome is Outcome.FAIL:
                assert render(judged, verdict.cause, verdict.evidence, Server(), limits).now


# --- Remediation


@RULE
def test_a_rules_remediations_are_told_apart_in_words(judged):
    told = [remedy.when for remedy in judged.remediation.values()]

    assert len(set(told)) == len(told)
    assert len(told) == 1 or all(told)


@RULE
@pytest.mark.parametrize("engine", Engine)
def test_remediation_renders_for_every_fail_on_every_make(judged, engine):
    server = Server(engine, "7.2.6", "redis-1.internal", "/etc/redis.conf")
    for name, verdict in fails_of(judged.id).items():
        remedy = judged.remediation[verdict.cause].on(engine)
        values = {**verdict.evidence, "limits": judged.limits, **CONTEXT}
        for field, text in texts_of(remedy):
            rendered = fill(text, values)
            assert rendered.strip(), (name, field)
            assert "None" not in rendered, (name, field)
        assert render(judged, verdict.cause, verdict.evidence, server).do, name


CONTEXT = {
    "engine": "Redis",
    "conf": "redis.conf",
    "cli": "redis-cli",
    "host": "redis-1.internal",
    "version": "7.2.6",
}


@RULE
def test_a_block_of_code_is_one_command_and_harmless(judged):
    for field, text in every_text(judged):
        assert not FORBIDDEN.search(text), text
        if isinstance(text, Code):
            assert field in ("now", "durable", "verify", "undo")
            assert text == text.strip()
            assert field == "durable" or "\n" not in text
        else:
            assert "\n" not in text
            assert "  " not in text


@RULE
def test_a_suggested_ceiling_never_lies_below_what_is_used(judged):
    for name, verdict in fails_of(judged.id).items():
        suggested = verdict.evidence.get("suggested_maxmemory_bytes")
        redis = SITUATIONS[name].redis
        used = redis if isinstance(redis, Missing) else redis.used_memory_bytes
        if suggested is not None and not isinstance(used, Missing):
            assert suggested > used, name
