import pytest

from checks.facts import NOT_CONFIGURED, NOT_READ, Missing
from checks.rule import Outcome, passed
from checks.rules.latency import Sample, rtt, rtt_sample, stall, stall_sample
from tests.checks.pairs import facts_with

NO_TOKEN = {"redis_ping_us": Missing("not_configured", "no token is registered")}
NOT_ASKED = {"redis_ping_us": NOT_READ}


@pytest.mark.parametrize(
    ("rtt_us", "outcome", "severity", "keeps"),
    [
        (899, "pass", None, None),
        (900, "pass", None, "warning"),
        (999, "pass", None, "warning"),
        (1000, "fail", "warning", None),
        (4499, "fail", "warning", None),
        (4500, "fail", "warning", "critical"),
        (4999, "fail", "warning", "critical"),
        (5000, "fail", "critical", None),
    ],
)
def test_rtt_steps(rtt_us, outcome, severity, keeps):
    verdict = rtt.judge(facts_with(emailengine={"redis_ping_us": float(rtt_us)}))

    assert (verdict.outcome, verdict.severity, verdict.keeps) == (outcome, severity, keeps)


def test_rtt_is_emailengines_own_figure():
    assert rtt.judge(facts_with()) == passed(
        rtt_us=400.0, vantage="EmailEngine", clock="EmailEngine", visits_count=1
    )


def test_without_it_ours_counts_where_the_probe_stands_beside_emailengine():
    verdict = rtt.judge(facts_with(emailengine=NO_TOKEN, round_trips={"median_us": 1200.0}))

    assert verdict.message == (
        "Redis is 1.20\u202fms away, measured from probe eu-1; it must be below 1.00\u202fms"
    )
    assert verdict.evidence == {
        "rtt_us": 1200.0,
        "vantage": "probe eu-1",
        "clock": "kernel",
        "visits_count": 1,
    }


@pytest.mark.parametrize(
    ("vantage", "attested", "outcome"),
    [
        ({"zone_location": "eu/eu-a", "emailengine_location": "eu/eu-a"}, {}, "pass"),
        ({"zone_location": "eu", "emailengine_location": "eu"}, {}, "pass"),
        ({"zone_location": "eu", "emailengine_location": "eu/eu-a"}, {}, "unknown"),
        ({"zone_location": "eu/eu-b", "emailengine_location": "eu/eu-a"}, {}, "unknown"),
        ({"zone_location": NOT_CONFIGURED}, {}, "unknown"),
        ({"emailengine_location": NOT_CONFIGURED}, {}, "unknown"),
        (
            {"emailengine_location": NOT_CONFIGURED},
            {"emailengine_location": "eu/eu-a"},
            "pass",
        ),
    ],
)
@pytest.mark.parametrize("emailengine", [NO_TOKEN, NOT_CONFIGURED])
def test_ours_counts_only_from_the_same_place(vantage, attested, outcome, emailengine):
    verdict = rtt.judge(facts_with(emailengine=emailengine, vantage=vantage, attested=attested))

    assert verdict.outcome == outcome
    if outcome == "unknown":
        assert verdict.reason == "unattested"
        assert "metrics token" in verdict.message


def test_a_reading_from_a_shell_judges_from_where_it_runs():
    here = {"zone": "here", "zone_location": "here", "emailengine_location": "here"}

    verdict = rtt.judge(facts_with(emailengine=NOT_CONFIGURED, vantage=here))

    assert (verdict.outcome, verdict.evidence["vantage"]) == (Outcome.PASS, "here")


def test_rtt_is_the_median_of_the_last_five_visits():
    since = {
        "recent_rtt_us": (9000.0, 500.0, 600.0, 7000.0, 800.0),
        "rtt_vantage": "EmailEngine",
    }
    verdict = rtt.judge(facts_with(since=since, emailengine={"redis_ping_us": 700.0}))

    assert (verdict.evidence["rtt_us"], verdict.evidence["visits_count"]) == (700.0, 5)


def test_figures_of_another_vantage_are_left_behind():
    since = {"recent_rtt_us": (9000.0, 9000.0), "rtt_vantage": "probe eu-1"}
    verdict = rtt.judge(facts_with(since=since, emailengine={"redis_ping_us": 700.0}))

    assert (verdict.evidence["rtt_us"], verdict.evidence["visits_count"]) == (700.0, 1)


def test_between_emailengines_readings_its_last_figures_stand():
    since = {"recent_rtt_us": (600.0, 700.0), "rtt_vantage": "EmailEngine"}
    facts = facts_with(since=since, emailengine=NOT_ASKED, round_trips={"median_us": 9000.0})

    assert rtt_sample(facts) == NOT_READ
    assert rtt.judge(facts).evidence == {
        "rtt_us": 650.0,
        "vantage": "EmailEngine",
        "clock": "EmailEngine",
        "visits_count": 2,
    }


def test_a_figure_that_emailengine_no_longer_gives_is_forgotten():
    since = {"recent_rtt_us": (600.0, 700.0), "rtt_vantage": "EmailEngine"}
    revoked = {"redis_ping_us": Missing("auth", "token revoked or expired")}
    facts = facts_with(since=since, emailengine=revoked, vantage={"zone_location": "us"})

    assert rtt_sample(facts) != NOT_READ
    assert rtt.judge(facts).outcome is Outcome.UNKNOWN


def test_samples_say_who_measured():
    assert rtt_sample(facts_with()) == Sample(400.0, "EmailEngine", "EmailEngine")
    assert rtt_sample(facts_with(emailengine=NO_TOKEN)) == Sample(220.0, "probe eu-1", "kernel")


@pytest.mark.parametrize(
    "changed",
    [
        {"round_trips": Missing("timeout", "no answer"), "emailengine": NO_TOKEN},
        {"vantage": Missing("no_worker", "none"), "emailengine": NO_TOKEN},
        {"redis": Missing("refused", "no")},
    ],
)
def test_rtt_is_unknown_without_a_reading(changed):
    assert rtt.judge(facts_with(**changed)).outcome is Outcome.UNKNOWN


# --- redis.stall


@pytest.mark.parametrize(
    ("stall_us", "outcome", "severity", "keeps"),
    [
        (14_999, "pass", None, None),
        (15_000, "pass", None, "warning"),
        (19_999, "pass", None, "warning"),
        (20_000, "fail", "warning", None),
        (149_999, "fail", "warning", None),
        (150_000, "fail", "warning", "critical"),
        (199_999, "fail", "warning", "critical"),
        (200_000, "fail", "critical", None),
    ],
)
def test_stall_steps(stall_us, outcome, severity, keeps):
    trips = {"p95_us": stall_us + 150.0, "network_us": 150.0}
    verdict = stall.judge(facts_with(round_trips=trips))

    assert (verdict.outcome, verdict.severity, verdict.keeps) == (outcome, severity, keeps)


@pytest.mark.parametrize(("network_us", "outcome"), [(10_000.0, "pass"), (10_001.0, "unknown")])
def test_over_a_long_path_the_server_is_not_seen(network_us, outcome):
    trips = {"network_us": network_us, "p95_us": network_us + 500}

    assert stall.judge(facts_with(round_trips=trips)).outcome == outcome


def test_stall_is_the_median_of_the_last_five_visits():
    since = {"recent_stall_us": (90_000.0, 100.0, 200.0, 300.0, 400.0, 90_000.0)}
    verdict = stall.judge(
        facts_with(since=since, round_trips={"p95_us": 650.0, "network_us": 150.0})
    )

    assert (verdict.evidence["stall_us"], verdict.evidence["visits_count"]) == (400.0, 5)


def test_a_visit_with_lost_packets_is_dropped():
    slow = {"p95_us": 900_000.0, "retransmits": 1}
    facts = facts_with(since={"recent_stall_us": (100.0,)}, round_trips=slow)

    assert isinstance(stall_sample(facts), Missing)
    assert stall.judge(facts).evidence["stall_us"] == 100.0
    assert stall.judge(facts_with(round_trips=slow)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "changed",
    [
        {"round_trips": Missing("timeout", "no answer")},
        {"round_trips": {"network_us": Missing("undetermined", "no TCP_INFO")}},
        {"redis": Missing("refused", "no")},
    ],
)
def test_stall_is_unknown_without_a_reading(changed):
    assert stall.judge(facts_with(**changed)).outcome is Outcome.UNKNOWN


def test_a_first_visit_is_judged_alone():
    facts = facts_with(since=Missing("first_visit", "this is the first visit"))

    assert (rtt.judge(facts).outcome, stall.judge(facts).outcome) == ("pass", "pass")
