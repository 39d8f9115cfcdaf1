from datetime import timedelta

import pytest

from checks.facts import Attested, Missing
from fleet.registry.attestations import Claim, attest_targets, attest_tenant, withdraw
from fleet.registry.attested import attested
from fleet.registry.models import Attestation
from tests.fleet.factories import NOW, make_pair, make_tenant

pytestmark = pytest.mark.django_db


def claim(value=12000, key="disk_iops", lasts=timedelta(days=90)):
    return Claim(key, value, "Ida Holm, storage", "fio run of 3 November", NOW + lasts)


def test_a_pairs_own_word_beats_its_tenants():
    own, other = make_pair(), make_pair()
    attest_tenant(own.target.tenant, claim(11000), None, NOW)
    attest_targets([own.target], claim(12000), None, NOW)

    assert attested([own.pk, other.pk], NOW) == {
        own.pk: Attested(disk_iops=12000),
        other.pk: Attested(disk_iops=11000),
    }


def test_nothing_is_known_of_other_tenants():
    attest_tenant(make_tenant("Halden Clinics"), claim(), None, NOW)

    assert attested([make_pair().pk], NOW) == {}


@pytest.mark.parametrize(
    ("later", "iops"),
    [
        (timedelta(days=90, seconds=-1), 12000),
        (
            timedelta(days=90),
            Missing("unattested", "disk_iops was attested until 2027-02-19: it has expired"),
        ),
    ],
)
def test_expired_is_not_attested_and_says_so(later, iops):
    pair = make_pair()
    attest_targets([pair.target], claim(), None, NOW)

    assert attested([pair.pk], NOW + later)[pair.pk].disk_iops == iops


def test_a_pairs_expired_word_leaves_its_tenants():
    pair = make_pair()
    attest_tenant(pair.target.tenant, claim(11000), None, NOW)
    attest_targets([pair.target], claim(12000, lasts=timedelta(days=1)), None, NOW)

    assert attested([pair.pk], NOW + timedelta(days=2))[pair.pk].disk_iops == 11000


@pytest.mark.parametrize("value", [False, "NVMe", 1, 8 * 1024**3])
def test_values_keep_their_kind(value):
    keys = {bool: "private_link", str: "storage_medium", int: "ram_bytes"}
    key = keys[type(value)]
    pair = make_pair()
    attest_targets([pair.target], claim(value, key), None, NOW)

    assert getattr(attested([pair.pk], NOW)[pair.pk], key) == value


def test_attesting_again_ends_what_was_said_before():
    pair = make_pair()
    attest_targets([pair.target], claim(11000), None, NOW)
    attest_targets([pair.target], claim(12000), None, NOW + timedelta(hours=1))

    assert list(Attestation.objects.order_by("pk").values_list("value", "ended_at")) == [
        (11000, NOW + timedelta(hours=1)),
        (12000, None),
    ]


def test_withdrawn_is_not_attested():
    pair = make_pair()
    attest_targets([pair.target], claim(), None, NOW)

    assert withdraw(Attestation.objects.all(), None, NOW) == 1
    assert withdraw(Attestation.objects.all(), None, NOW) == 0
    assert attested([pair.pk], NOW) == {}


def test_a_value_of_another_kind_is_passed_over():
    pair = make_pair()
    attest_targets([pair.target], claim("many"), None, NOW)

    assert attested([pair.pk], NOW) == {pair.pk: Attested()}
