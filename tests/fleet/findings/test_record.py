"""Do verdicts move findings, write what is news, and leave a transition for each real move?"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from checks.policy import lay
from checks.rule import (
    Code,
    Confirm,
    Group,
    Kind,
    Limits,
    Outcome,
    Remediation,
    Rule,
    Severity,
    Verdict,
    failed,
    passed,
    rule,
    unknown,
)
from fleet.findings.models import Finding, Transition
from fleet.findings.record import Judged, Live, move_findings
from tests.fleet.factories import make_pair

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 14, 32, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NOTHING_TO_DO = Remediation(
    why="w", do="d", now=Code("n"), durable=Code("x"), verify=Code("v"), risk="r", undo=Code("u")
)


@dataclass(frozen=True)
class Full(Limits):
    warn_used_ratio: float = 0.8
    critical_used_ratio: float = 0.9


def declared(rule_id: str, **options) -> Rule:
    return rule(
        id=rule_id,
        kind=Kind.OPERATION,
        group=Group.HEALTH,
        title="It is so",
        severity=Severity.CRITICAL,
        source="S1",
        observed="{used_ratio:percent}",
        required="< {limits.warn_used_ratio:percent}",
        remediation=NOTHING_TO_DO,
        reads="INFO",
        limits=Full(),
        **options,
    )(lambda _facts, _limits: passed())


ONCE, THRICE = (
    declared("redis.once"),
    declared("redis.thrice", opens=Confirm(3, 3), resolves=Confirm(2, 2)),
)
POLICY = lay(rules=(ONCE, THRICE))


def full(used: float, severity: Severity = Severity.WARNING, **more) -> Verdict:
    return failed(
        f"It uses {used:.1%}",
        short=f"Memory at {used:.1%}",
        severity=severity,
        used_ratio=used,
        **more,
    )


def move(at: datetime, **verdicts: Verdict) -> Live:
    """Judge the one pair there is."""
    pair = make_pair(name="p") if not Finding.objects.exists() else None
    target_id = pair.pk if pair else Finding.objects.first().target_id
    by_id = {f"redis.{name}": verdict for name, verdict in verdicts.items()}
    return move_findings([Judged(target_id, at, "zone eu-1", by_id, POLICY)])[target_id]


def test_an_opened_finding_holds_all_that_a_page_shows():
    live = move(NOW, once=full(0.81))

    finding = Finding.objects.get()
    assert (finding.rule_id, finding.kind, finding.state) == ("redis.once", "operation", "open")
    assert (finding.severity, finding.message) == ("warning", "It uses 81.0%")
    assert (finding.observed, finding.required) == ("81%", "< 80%")
    assert (finding.evidence, finding.vantage) == ({"used_ratio": 0.81}, "zone eu-1")
    assert (finding.worst, finding.worst_measure) == ("81%", 0.81)
    assert (finding.first_seen_at, finding.opened_at, finding.episode) == (NOW, NOW, 1)
    assert live == Live(
        [(Kind.OPERATION, Severity.WARNING)], 0, 1, set(), "redis.once", "Memory at 81.0%", NOW
    )
    (transition,) = Transition.objects.values_list("cause", "from_state", "to_state", "at")
    assert transition == ("opened", "", "open", NOW)


def test_it_is_written_only_when_it_says_something_new():
    move(NOW, once=full(0.81))
    seen = []
    for n, used in enumerate((0.80, 0.812, 0.83, 0.82), start=1):
        move(NOW + n * MINUTE, once=full(used))
        seen.append(Finding.objects.get().observed)

    assert seen == ["81%", "81%", "83%", "83%"]
    assert Finding.objects.get().worst == "83%"
    assert Transition.objects.count() == 1


def test_a_change_of_severity_is_a_move_and_the_worst_is_kept():
    move(NOW, once=full(0.81))
    move(NOW + MINUTE, once=full(0.95, Severity.CRITICAL))
    live = move(NOW + 2 * MINUTE, once=full(0.85))

    finding = Finding.objects.get()
    assert (finding.severity, finding.observed, finding.worst) == ("warning", "85%", "95%")
    assert (live.critical_count, live.warning_count) == (0, 1)
    moves = Transition.objects.order_by("id").values_list("cause", "from_severity", "to_severity")
    assert list(moves) == [
        ("opened", "", "warning"),
        ("severity", "warning", "critical"),
        ("severity", "critical", "warning"),
    ]


def test_another_cause_changes_what_is_to_be_done():
    move(NOW, once=full(0.85, cause="oom"))
    move(NOW + MINUTE, once=full(0.84, cause="misconf"))

    assert Finding.objects.get().cause == "misconf"


def test_without_a_figure_other_words_are_news_and_other_numbers_are_not():
    for n, short in enumerate(("Late by 5 min", "Late by 6 min", "Never saved")):
        move(NOW + n * MINUTE, once=failed(short, short=short, severity=Severity.WARNING))

    finding = Finding.objects.get()
    assert (finding.short, finding.worst_measure) == ("Never saved", None)


def test_pending_opens_when_confirmed_and_lights_no_lamp_before():
    lives = [move(NOW + n * MINUTE, thrice=full(0.85)) for n in range(3)]

    assert [live.pending_rules for live in lives] == [{"redis.thrice"}, {"redis.thrice"}, set()]
    assert [len(live.fails) for live in lives] == [0, 0, 1]
    finding = Finding.objects.get()
    assert (finding.first_seen_at, finding.opened_at) == (NOW, NOW + 2 * MINUTE)
    assert Transition.objects.get().from_state == "pending"


def test_pending_that_passes_is_deleted_without_a_trace():
    move(NOW, thrice=full(0.85))
    target_id = Finding.objects.get().target_id
    passes = {"redis.thrice": passed()}
    live = move_findings([Judged(target_id, NOW, "zone eu-1", passes, POLICY)])

    assert live == {target_id: Live()}
    assert (Finding.objects.count(), Transition.objects.count()) == (0, 0)


DAY = timedelta(days=1)


def episodes():
    return list(Finding.objects.order_by("id").values_list("episode", "state", "openings_count"))


def test_what_fails_again_within_seven_days_continues_its_episode():
    move(NOW, once=full(0.95, Severity.CRITICAL, cause="oom"))
    move(NOW + MINUTE, once=passed(used_ratio=0.1))
    again = NOW + MINUTE + 7 * DAY
    live = move(again, once=full(0.85))

    finding = Finding.objects.get()
    assert episodes() == [(1, "open", 2)]
    assert (finding.first_seen_at, finding.opened_at, finding.resolved_at) == (NOW, again, None)
    assert (finding.severity, finding.observed, finding.cause) == ("warning", "85%", "")
    assert (finding.worst, finding.worst_measure) == ("95%", 0.95)
    assert live.oldest_opened_at == again
    assert list(Transition.objects.order_by("id").values_list("cause", "finding")) == [
        ("opened", finding.pk),
        ("resolved", finding.pk),
        ("opened", finding.pk),
    ]


def test_a_moment_later_it_is_another_episode():
    move(NOW, once=full(0.85))
    move(NOW + MINUTE, once=passed(used_ratio=0.1))
    move(NOW + MINUTE + 7 * DAY + timedelta(microseconds=1), once=full(0.85))

    assert episodes() == [(1, "resolved", 1), (2, "open", 1)]


def test_a_pending_fail_leaves_the_ended_episode_alone_until_it_is_confirmed():
    for n in range(3):
        move(NOW + n * MINUTE, thrice=full(0.85))
    for n in range(3, 5):
        move(NOW + n * MINUTE, thrice=passed(used_ratio=0.1))
    for n in range(5, 7):
        move(NOW + n * MINUTE, thrice=full(0.95))
        assert episodes() == [(1, "resolved", 1), (2, "pending", 0)]
    live = move(NOW + 7 * MINUTE, thrice=full(0.95))

    assert episodes() == [(1, "open", 2)]
    assert live.pending_rules == set()
    assert live.worst_rule_id == "redis.thrice"


def test_a_later_visit_of_the_same_shard_may_be_of_another_day():
    """The shard's first instant reads the rows; each visit judges by its own."""
    one, other = make_pair(), make_pair()
    for pair in (one, other):
        move_findings([Judged(pair.pk, NOW, "z", {"redis.once": full(0.85)}, POLICY)])
        move_findings([Judged(pair.pk, NOW, "z", {"redis.once": passed()}, POLICY)])
    soon, late = NOW + DAY, NOW + 8 * DAY
    fails = {"redis.once": full(0.85)}
    move_findings(
        [Judged(one.pk, soon, "z", fails, POLICY), Judged(other.pk, late, "z", fails, POLICY)]
    )

    assert episodes() == [(1, "open", 2), (1, "resolved", 1), (2, "open", 1)]


def test_what_a_person_accepted_is_over():
    accepted = declared("redis.lost", event=True, resolves_by_acknowledgement=True)
    policy = lay(rules=(accepted,))
    pair = make_pair()
    fails = {"redis.lost": full(0.85)}
    move_findings([Judged(pair.pk, NOW, "z", fails, policy)])
    Finding.objects.update(state="resolved", resolved_at=NOW + MINUTE)
    move_findings([Judged(pair.pk, NOW + DAY, "z", fails, policy)])

    assert episodes() == [(1, "resolved", 1), (2, "open", 1)]


def test_four_moves_in_an_hour_leave_one_notice_and_then_all_is_quiet():
    for n in range(6):
        move(NOW + n * MINUTE, once=passed() if n % 2 else full(0.85))

    finding = Finding.objects.get()
    assert (finding.state, finding.openings_count) == ("resolved", 3)
    assert finding.flapping_since == NOW + 3 * MINUTE
    assert finding.recent_moves == [NOW + n * MINUTE for n in (2, 3, 4, 5)]
    assert list(Transition.objects.order_by("id").values_list("cause", "is_quiet")) == [
        ("opened", False),
        ("resolved", False),
        ("opened", False),
        ("resolved", True),
        ("flapping", False),
        ("opened", True),
        ("resolved", True),
    ]


def test_it_resolves_by_passes_and_the_next_one_may_be_pending():
    for n in range(3):
        move(NOW + n * MINUTE, thrice=full(0.85))
    for n in range(3, 5):
        move(NOW + n * MINUTE, thrice=passed(used_ratio=0.1))
    finding = Finding.objects.get()
    assert (finding.state, finding.resolved_at) == ("resolved", NOW + 4 * MINUTE)
    assert finding.observed == "85%"

    move(NOW + 5 * MINUTE, thrice=full(0.85))

    assert episodes() == [(1, "resolved", 1), (2, "pending", 0)]


@pytest.mark.parametrize("outcome", [Outcome.NOT_APPLICABLE, Outcome.DISABLED])
def test_a_rule_that_no_longer_applies_withdraws_its_finding(outcome):
    move(NOW, once=full(0.85))
    live = move(NOW + MINUTE, once=Verdict(outcome))

    assert live == Live()
    assert Finding.objects.get().state == "resolved"
    assert Transition.objects.order_by("-id").first().cause == "withdrawn"


def test_unknown_and_rules_that_were_not_judged_move_nothing():
    move(NOW, once=full(0.85))
    before = Finding.objects.values().get()

    move(NOW + MINUTE, once=unknown("timeout", "no answer"))
    live = move(NOW + 2 * MINUTE)

    after = Finding.objects.values().get()
    assert after == {**before, "conclusive_at": after["conclusive_at"]}
    assert live.warning_count == 1


def test_the_time_of_the_last_conclusive_result_is_kept_while_results_are_unknown():
    move(NOW, once=full(0.85))
    target_id = Finding.objects.get().target_id
    dark = {"redis.once": unknown("timeout", "no answer")}
    for at in (NOW + 2 * MINUTE, NOW + 3 * MINUTE):
        judged = Judged(target_id, at, "zone eu-1", dark, POLICY, judged_at=lambda _one: NOW)
        move_findings([judged])

    assert Finding.objects.get().conclusive_at == NOW
    move(NOW + 4 * MINUTE, once=full(0.85))
    assert Finding.objects.get().conclusive_at is None
    assert Transition.objects.count() == 1


def test_the_make_and_version_are_told_with_the_fail():
    pair = make_pair()
    verdicts = {"redis.once": full(0.85)}
    move_findings([Judged(pair.pk, NOW, "zone eu-1", verdicts, POLICY, "valkey", "8.0.1")])

    finding = Finding.objects.get()
    assert (finding.engine, finding.engine_version) == ("valkey", "8.0.1")


def test_what_is_held_stays_pending_and_opens_at_the_next_fail_that_is_not():
    pair = make_pair()
    verdicts = {"redis.thrice": full(0.85)}
    for n in range(5):
        held = Judged(pair.pk, NOW + n * MINUTE, "z", verdicts, POLICY, held=("redis.thrice",))
        live = move_findings([held])[pair.pk]
        assert (live.pending_rules, live.fails) == ({"redis.thrice"}, [])

    move_findings([Judged(pair.pk, NOW + 5 * MINUTE, "z", verdicts, POLICY)])

    assert Finding.objects.get().opened_at == NOW + 5 * MINUTE


def test_the_worst_of_many_is_shown():
    live = move(NOW, once=full(0.95, Severity.CRITICAL), thrice=full(0.99, Severity.CRITICAL))

    assert (live.worst_rule_id, live.critical_count) == ("redis.once", 1)


def test_healthy_targets_cost_one_query(django_assert_num_queries):
    ids = [make_pair().pk for _ in range(50)]
    visits = [Judged(pk, NOW, "zone eu-1", {"redis.once": passed()}, POLICY) for pk in ids]

    with django_assert_num_queries(0):  # the one query goes by psycopg, which Django does not count
        assert move_findings(visits) == {pk: Live() for pk in ids}
