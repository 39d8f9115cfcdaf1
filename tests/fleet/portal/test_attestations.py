from datetime import timedelta

import pytest
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone

from fleet.inspections.models import LatestFacts
from fleet.registry.attestations import Claim, attest_tenant
from fleet.registry.models import Attestation
from tests.fleet.factories import NOW, make_pair, make_person, make_state, make_tenant

pytestmark = pytest.mark.django_db
LIST = "portal:attestations"


@pytest.fixture(autouse=True)
def _fresh():
    cache.clear()


def waiting(pair, *keys):
    make_state(pair)
    LatestFacts.objects.create(
        target=pair.target, cadence="persistence", facts={}, verdicts={}, digest=0,
        read_at=NOW, unattested=list(keys),
    )  # fmt: skip
    return pair


def sign_in(client, *roles):
    client.force_login(make_person("vera", is_operator=not roles, roles=roles))
    return client


def said(*pairs, **more):
    return {
        "key": "disk_iops",
        "value": "12000",
        "said_by": "Ida Holm",
        "evidence": "fio, 3 November",
        "expires_on": (timezone.localdate() + timedelta(days=90)).isoformat(),
        "of": "chosen",
        "pair": [pair.pk for pair in pairs],
        **more,
    }


def attest(client, *pairs, **more):
    return client.post(reverse("portal:attest"), said(*pairs, **more))


def rows():
    return list(Attestation.objects.order_by("target_id").values_list("target", "key", "value"))


def test_what_waits_is_counted_and_listed(client, django_assert_max_num_queries):
    waiting(make_pair(name="north-1"), "disk_iops", "storage_medium")
    waiting(make_pair("Halden Clinics", name="hald-1"), "disk_iops")
    waiting(make_pair(name="gone-1", state="archived"), "disk_iops")
    sign_in(client)
    with django_assert_max_num_queries(12):
        text = client.get(reverse(LIST), {"key": "disk_iops"}).content.decode()

    assert "2 pairs wait" in text
    assert ("north-1" in text, "hald-1" in text, "gone-1" in text) == (True, True, False)


def test_one_claim_is_attested_for_many_pairs(client):
    pairs = [waiting(make_pair(), "disk_iops") for _ in range(3)]
    attest(sign_in(client), *pairs[:2])

    assert rows() == [(pair.pk, "disk_iops", 12000) for pair in pairs[:2]]
    row = Attestation.objects.first()
    assert (row.said_by, row.evidence, str(row.made_by)) == ("Ida Holm", "fio, 3 November", "vera")


def test_all_that_wait_may_be_attested_of_one_tenant(client):
    ours = [waiting(make_pair(), "disk_iops") for _ in range(2)]
    waiting(make_pair("Halden Clinics"), "disk_iops")
    attest(sign_in(client), of="all", tenant=ours[0].target.tenant_id)

    assert rows() == [(pair.pk, "disk_iops", 12000) for pair in ours]


def test_a_tenant_may_be_attested_as_a_whole(client):
    tenant = make_tenant()
    attest(sign_in(client), of="tenant", tenant=tenant.pk)

    assert rows() == [(None, "disk_iops", 12000)]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"value": "fast"}, "disk_iops=fast: want a whole number"),
        ({"expires_on": "2020-01-01"}, "This day is over"),
        ({"evidence": ""}, "This field is required"),
        ({"said_by": ""}, "This field is required"),
        ({"expires_on": ""}, "This field is required"),
        ({"pair": []}, "Tick the pairs that it holds for."),
    ],
)
def test_a_claim_that_lacks_something_is_refused(client, more, why):
    pair = waiting(make_pair(), "disk_iops")
    answer = attest(sign_in(client), pair, **more)

    assert answer.status_code == 200
    assert why in answer.content.decode()
    assert rows() == []


def test_a_pair_that_is_not_on_the_page_stays_chosen_after_a_refusal(client):
    pair = make_pair()
    text = attest(sign_in(client), pair, value="fast").content.decode()

    assert f'<input type="hidden" name="pair" value="{pair.pk}">' in text


def test_a_key_that_is_not_there_is_not_found(client):
    assert attest(sign_in(client), make_pair(), key="moon").status_code == 404


def test_an_editor_attests_for_ones_own_pairs_only(client):
    own, other = make_pair(), make_pair("Halden Clinics")
    sign_in(client, ("editor", "Northwind Mail"))
    attest(client, own, other)
    answer = attest(client, of="tenant", tenant=other.target.tenant_id)

    assert rows() == [(own.pk, "disk_iops", 12000)]
    assert answer.status_code == 200


@pytest.mark.parametrize("role", [("viewer", "Northwind Mail"), ("auditor", None)])
def test_who_only_looks_attests_and_withdraws_nothing(client, role):
    pair = make_pair()
    claim = Claim("disk_iops", 11_000, "Ida", "fio", NOW + timedelta(days=900))
    attest_tenant(pair.target.tenant, claim, None, NOW)
    sign_in(client, role)
    row = Attestation.objects.get()

    assert attest(client, pair).status_code == 403
    assert client.post(reverse("portal:attestation_end", args=[row.pk])).status_code == 403
    assert client.get(reverse(LIST)).status_code == 200
    assert rows() == [(None, "disk_iops", 11_000)]


def test_nobody_sees_what_is_attested_of_other_tenants(client):
    claim = Claim("storage_medium", "NVMe of Halden", "Ida", "fio", NOW + timedelta(days=900))
    attest_tenant(make_tenant("Halden Clinics"), claim, None, NOW)
    sign_in(client, ("editor", "Northwind Mail"))
    row = Attestation.objects.get()

    assert "Halden" not in client.get(reverse(LIST)).content.decode()
    assert client.post(reverse("portal:attestation_end", args=[row.pk])).status_code == 404


def test_withdrawn_ends_and_stays_on_record(client):
    pair = make_pair()
    attest(sign_in(client), pair)
    row = Attestation.objects.get()
    client.post(reverse("portal:attestation_end", args=[row.pk]))
    row.refresh_from_db()

    assert row.ended_at is not None
    assert str(row.ended_by) == "vera"
    assert "Nothing is attested yet." in client.get(reverse(LIST)).content.decode()


def test_the_pairs_tab_shows_what_waits_and_what_is_said(client, django_assert_max_num_queries):
    pair = waiting(make_pair(), "storage_medium")
    claim = Claim("ram_bytes", 8 * 1024**3, "Ida Holm", "order 12", NOW + timedelta(days=900))
    attest_tenant(pair.target.tenant, claim, None, NOW)
    sign_in(client)
    url = reverse("admin:registry_pair_attestations", args=[pair.pk])
    with django_assert_max_num_queries(12):
        text = client.get(url).content.decode()

    assert "Attest: Storage medium" in text
    assert "8.0\u202fGiB" in text
    assert "of the tenant" in text


def test_the_form_goes_back_to_where_it_was(client):
    pair = make_pair()
    tab = reverse("admin:registry_pair_attestations", args=[pair.pk])
    sign_in(client)

    assert attest(client, pair, next=tab)["Location"] == tab
    away = attest(client, pair, next="https://evil.example.com/")["Location"]
    assert away == f"{reverse(LIST)}?key=disk_iops"
