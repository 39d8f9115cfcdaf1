"""Who runs out first: thresholds, ranges, mailboxes, and what is not known said plainly."""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.core.cache import cache

from checks.growth import Growth, Mailboxes
from checks.policy import lay
from fleet.history.models import MailboxUse, MemoryGrowth
from fleet.inspections.terms import forget
from fleet.portal.forecast import FORECAST, Forecast, forecast
from fleet.portal.forecasts import fleet_forecast
from fleet.portal.scoped_admin import Rows
from fleet.registry.models import PolicyVersion
from fleet.registry.scoping import Scope
from tests.checks.pairs import facts_with
from tests.fleet.factories import make_pair, make_person, make_reading, make_state, make_tenant

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 14, 32, tzinfo=UTC)
MADE_OF = date(2026, 11, 20)
LAST_DAY = (MADE_OF - date(1970, 1, 1)).days
URL = "/admin/trends/forecasts/"
MIB = 1024**2


@pytest.fixture(autouse=True)
def _at_noon():
    cache.clear()
    forget()
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def operator(client):
    client.force_login(make_person())
    return client


def line(slope: float, low: float | None = None, high: float | None = None, level=500) -> Growth:
    return Growth(28, LAST_DAY, level, slope, slope if low is None else low, high or slope)


def grown(pair, slope: float, low: float, high: float, level: float = 500) -> None:
    MemoryGrowth.objects.create(
        target_id=pair.pk,
        made_of=MADE_OF,
        days_count=28,
        last_day=LAST_DAY,
        level_bytes=level * MIB,
        slope_bytes=slope * MIB,
        low_bytes=low * MIB,
        high_bytes=high * MIB,
    )


def used(pair, mailboxes: int, mib: int) -> None:
    MailboxUse.objects.create(
        target_id=pair.pk, made_of=MADE_OF, mailboxes_count=mailboxes, used_memory_bytes=mib * MIB
    )


def pair(name: str, ceiling_mib: int | None = 1000, tenant="Northwind Mail", **state):
    made = make_pair(tenant, name=name, emailengine_url="http://ee.example.com:3000")
    ceiling = None if ceiling_mib is None else ceiling_mib * MIB
    make_state(made, NOW, ceiling_bytes=ceiling, **state)
    return made


@pytest.mark.parametrize(
    ("growth", "ceiling", "growing", "over", "likely", "soonest", "latest"),
    [
        (line(10, 5, 20), 1000, True, False, 30, 15, 60),
        (line(10, 5, 20, level=800), 1000, True, True, 0, 0, 0),
        (line(10, 0, 20), 1000, False, False, None, None, None),
        (line(10, 5, 20), None, True, False, None, None, None),
        (line(0.08, 0.01, 1), 1000, True, False, None, 300, None),
        (None, 1000, False, False, None, None, None),
    ],
)
def test_when_the_threshold_is_reached(growth, ceiling, growing, over, likely, soonest, latest):
    found = Forecast(growth, ceiling, 0.8, 1, 2, None)
    first = datetime(2026, 11, 20, tzinfo=UTC)

    days = [at and (at - first).days for at in (found.likely_at, found.soonest_at, found.latest_at)]

    assert (found.is_growing, found.is_over, *days) == (growing, over, likely, soonest, latest)


@pytest.mark.parametrize(
    ("mailboxes", "planned", "left"),
    [
        (Mailboxes(100, 100 * MIB - 1), "below", 700),
        (Mailboxes(100, 100 * MIB), "within", 700),
        (Mailboxes(100, 200 * MIB), "within", 300),
        (Mailboxes(100, 200 * MIB + 100), "above", 299),
        (Mailboxes(19, 200 * MIB), "", None),
        (None, "", None),
    ],
)
def test_mailboxes_against_what_is_planned(mailboxes, planned, left):
    found = forecast(None, 1000 * MIB, lay(), mailboxes)

    assert (found.planned, found.left_count) == (planned, left)


def test_the_soonest_comes_first_and_the_rest_is_counted(operator, django_assert_max_num_queries):
    names = ["late", "soon", "now", "steady", "far", "young", "no-ceiling"]
    pairs = {name: pair(name, None if name == "no-ceiling" else 1000) for name in names}
    pair("paused").target.__class__.objects.filter(name="paused").update(state="paused")
    grown(pairs["late"], 1, 0.5, 2)
    grown(pairs["soon"], 10, 5, 20)
    grown(pairs["now"], 1, 0.5, 2, level=810)
    grown(pairs["steady"], 1, -1, 2)
    grown(pairs["far"], 0.01, 0.005, 0.02)
    grown(pairs["no-ceiling"], 1, 0.5, 2)
    used(pairs["soon"], 250, 500)

    with django_assert_max_num_queries(12):
        answer = operator.get(URL)

    found = answer.context["found"]
    assert [one.name for one in found.lines] == ["now", "soon", "late"]
    assert (found.steady_count, found.far_count, found.young_count, found.no_ceiling_count) == (
        1, 1, 1, 1,
    )  # fmt: skip
    assert found.active_count == 7
    text = " ".join(answer.content.decode().split())
    assert "<b>20 Dec 2026</b>" in text
    assert "5 Dec 2026 – 19 Jan 2027" in text
    assert (found.each_bytes, found.median_bytes, found.mailboxes_count) == (2 * MIB, 2 * MIB, 250)


def test_each_sees_their_own_pairs(client):
    for tenant in ("Northwind Mail", "Fabrikam"):
        grown(pair(f"of-{tenant[0]}", tenant=tenant), 10, 5, 20)
    client.force_login(make_person("lea", is_operator=False, roles=[("viewer", "Fabrikam")]))

    assert [one.name for one in client.get(URL).context["found"].lines] == ["of-F"]
    assert client.get(URL, {"tenant": make_tenant("Northwind Mail").pk}).status_code == 404


def test_a_pair_with_its_own_policy_is_reckoned_by_it(operator):
    pairs = [pair(name) for name in ("at-80", "at-60")]
    for one in pairs:
        grown(one, 10, 5, 20)
    PolicyVersion.objects.create(
        level="pair",
        tenant=pairs[1].target.tenant,
        target=pairs[1].target,
        number=1,
        made_at=NOW,
        overrides={FORECAST: {"warn_used_ratio": 0.6}},
    )
    forget()

    found = operator.get(URL).context["found"]

    assert [(one.name, one.forecast.likely_days) for one in found.lines] == [
        ("at-60", 10),
        ("at-80", 30),
    ]


def test_old_lines_and_old_counts_are_none(operator):
    grown(pair("of-old"), 10, 5, 20)
    used(pair("counted"), 250, 500)
    MemoryGrowth.objects.update(made_of=MADE_OF - timedelta(days=3))
    MailboxUse.objects.update(made_of=MADE_OF - timedelta(days=3))

    found = operator.get(URL).context["found"]

    assert (found.lines, found.young_count, found.measured_count) == ([], 2, 0)


def test_who_has_no_tenant_is_told_of_no_pair():
    grown(pair("of-another"), 10, 5, 20)
    nobody = Rows(Scope(frozenset()), Scope(frozenset()))

    found = fleet_forecast(nobody, None, NOW)

    assert (found.lines, found.active_count, found.heaviest) == ([], 0, [])


def told(client, one) -> str:
    answer = client.get(f"/admin/registry/pair/{one.pk}/forecast/")
    return " ".join(answer.content.decode().split()).replace("\u202f", " ")


def test_a_pair_says_when_with_its_range_and_its_mailboxes(operator):
    one = pair("soon")
    grown(one, 10, 5, 20)
    used(one, 400, 500)

    text = told(operator, one)

    assert "Reaches 80% of 1,000 MiB about <b>20 Dec 2026</b>" in text
    assert "likely between 5 Dec 2026 and 19 Jan 2027." in text
    assert '<dd>10 MiB a day <span class="pk-quiet">(5.0 MiB to 20 MiB)</span></dd>' in text
    assert "<b>1.2 MiB</b>" in text
    assert "within the 1.0 MiB to 2.0 MiB planned for each" in text
    assert "about <b>240</b> until 80% is used" in text


def test_a_pair_that_does_not_grow_says_so_plainly(operator):
    one = pair("steady")
    grown(one, 1, -1, 3)

    assert "<b>Memory is not growing</b>, as far as 28 days show." in told(operator, one)


def test_what_is_not_known_is_said(operator):
    young, closed = pair("young"), pair("closed")
    grown(closed, 10, 5, 20)
    make_reading(closed, facts_with(maxmemory_bytes=0), NOW)

    texts = [told(operator, one) for one in (young, closed)]

    assert "No forecast yet: 14 days of history show a trend." in texts[0]
    assert "not read: EmailEngine’s accounts were not counted yesterday" in texts[0]
    assert all("Not verified" in text for text in texts)
    assert "Reaches" not in texts[1]


def test_where_no_pair_has_history_enough_nothing_is_foretold(operator):
    pair("young")

    text = operator.get(URL).content.decode()

    assert "Not known yet: no pair has 14 days of history." in text
    assert "reach their threshold" not in text

    grown(pair("steady"), 1, -1, 2)
    cache.clear()
    assert "None, as far as history shows." in operator.get(URL).content.decode()
