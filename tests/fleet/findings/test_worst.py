"""Which fail is worse: told in the unit of the rule's limits, larger = worse."""

from dataclasses import dataclass

import pytest

from checks.catalog import BY_ID
from checks.rule import Limits, Severity, failed
from fleet.findings.worst import Scale, measure, scale


@dataclass(frozen=True)
class Left(Limits):
    warn_left_days_count: int = 30
    critical_left_days_count: int = 7


@dataclass(frozen=True)
class Answer(Limits):
    warn_response_s: float = 1.0
    critical_response_s: float = 3.0


@pytest.mark.parametrize(
    ("limits", "evidence", "expected"),
    [
        (Left(), {"left_days_count": 5}, -5.0),
        (Answer(), {"response_us": 2_500_000}, 2.5),
        (Answer(), {"response_ms": 2_500}, 2.5),
        (Answer(), {"response_s": 2.5}, 2.5),
        (Answer(), {"response_s": True}, None),
        (Answer(), {"other_s": 2.5}, None),
    ],
)
def test_a_measure_is_in_the_limits_unit_and_grows_as_things_get_worse(limits, evidence, expected):
    assert (
        measure(limits, failed("It fails", short="fails", severity=Severity.WARNING, **evidence))
        == expected
    )


def test_a_scale_leads_from_the_value_to_its_measure_and_back():
    assert scale(Left()) == Scale("left_days_count", falls=True)
    assert scale(Left()).measure(5) == -5
    assert scale(Answer()).measure(2.5) == 2.5
    assert scale(BY_ID["redis.eviction-policy"].limits) is None
