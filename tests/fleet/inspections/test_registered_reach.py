"""What is registered beside the URL reaches the probe."""

from dataclasses import replace
from ipaddress import ip_network

import pytest

from checks.probes.wire import Endpoint
from fleet.inspections.targets import Columns, own_networks, redis_target

COLUMNS = Columns(
    redis_url="redis://redis-1.internal/8",
    redis_password="",
    redis_ca="",
    redis_tls_verify=True,
    redis_tls_name="",
    sentinel_addresses=(),
    sentinel_master="mail",
    emailengine_url="",
    emailengine_prefix="",
    metrics_token="",
    api_token="",
)


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [
        ("sentinel-1.internal", Endpoint("sentinel-1.internal", 26_379)),
        ("10.0.0.5:5000", Endpoint("10.0.0.5", 5000)),
        (" [fd00::5]:5000 ", Endpoint("fd00::5", 5000)),
        ("no:such:address", Endpoint("no:such:address", 26_379)),
    ],
)
def test_sentinels(address, endpoint):
    target = redis_target(replace(COLUMNS, sentinel_addresses=(address,)))

    assert (target.sentinels, target.sentinel_master) == ((endpoint,), "mail")


def test_an_operators_own_networks(settings):
    settings.PRIVATE_NETWORKS = ["203.0.114.0/24", "2001:db8::/32"]
    own_networks.cache_clear()
    try:
        found = redis_target(COLUMNS).own_networks
    finally:
        own_networks.cache_clear()

    assert found == (ip_network("203.0.114.0/24"), ip_network("2001:db8::/32"))
