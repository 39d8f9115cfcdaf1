"""Do the overview, the trends and the past tell the same share of the same instant?"""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from fleet.inspections.standing import keep_standing
from fleet.inspections.terms import forget
from fleet.inspections.unverified import mark_unverified
from fleet.registry.models import Target
from tests.fleet.factories import make_finding, make_pair, make_person, make_state, make_worker

pytestmark = pytest.mark.django_db
SHARE = "45.4%"  # 5 of 11, cut; without the paused 62.5% of 8


def test_every_page_tells_the_same_share_with_paused_pairs_in_it(client):
    cache.clear()
    forget()
    now = timezone.now()
    make_worker(now=now)
    begun = now - timedelta(days=20)
    for number, state in enumerate(["active"] * 8 + ["paused"] * 3 + ["archived"] * 2):
        pair = make_pair(name=f"pair-{number}", state=state)
        seen = now if state == "active" else now - timedelta(hours=1)
        bad = state == "active" and number < 3
        make_state(
            pair,
            now=seen,
            compliance="non_compliant" if bad else "compliant",
            compliance_since=begun,
        )
        if bad:
            make_finding(pair, "pair.rtt", opened_at=begun)
    Target.history.update(history_date=begun)

    mark_unverified(now - timedelta(minutes=2))
    keep_standing(now)

    client.force_login(make_person())
    answer = client.get("/admin/overview/")
    panel = answer.context["overview"]
    chart = client.get("/admin/trends/data/", {"only": "compliance"}).json()["charts"][0]
    tenant = Target.objects.values_list("tenant_id", flat=True).first()
    at = {"at": f"{timezone.now():%Y-%m-%dT%H:%M}", "tenant": tenant}
    told = client.get("/admin/trends/instant/", at).context["told"]
    assert (panel.raw_count, panel.compliance.best.count, panel.compliance.total) == (5, 5, 11)
    assert SHARE in answer.content.decode()
    assert [one["now"] for one in chart["series"]] == [SHARE, SHARE]
    assert (told.compliant_count, told.pairs_count) == (5, 11)
