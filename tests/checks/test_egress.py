"""Which addresses may be dialled."""

import pytest

from checks.egress import EgressRules, networks, refusal, unix_refusal

STRICT = EgressRules()
METADATA = "a cloud metadata service"


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.9.9",
        "192.168.1.1",
        "100.64.0.1",
        "8.8.8.8",
        "fd12::1",
        "2a00:1450::1",
        "::ffff:10.0.0.1",
        "64:ff9b::8.8.8.8",
        "169.253.255.255",
        "169.255.0.0",
        "1.0.0.0",
        "223.255.255.255",
    ],
)
def test_public_and_private_addresses_are_allowed(address):
    assert refusal(STRICT, address) is None


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1", "127.0.0.1 is loopback (switched off here)"),
        ("127.255.255.255", "127.255.255.255 is loopback (switched off here)"),
        ("::1", "::1 is loopback (switched off here)"),
        ("169.254.169.254", f"169.254.169.254 is {METADATA}"),
        ("100.100.100.200", f"100.100.100.200 is {METADATA}"),
        ("168.63.129.16", f"168.63.129.16 is {METADATA}"),
        ("fd00:ec2::254", f"fd00:ec2::254 is {METADATA}"),
        ("169.254.0.0", "169.254.0.0 is link-local"),
        ("169.254.255.255", "169.254.255.255 is link-local"),
        ("fe80::1", "fe80::1 is link-local"),
        ("febf::1", "febf::1 is link-local"),
        ("fe80::1%eth0", "fe80::1%eth0 is link-local"),
        ("0.0.0.0", "0.0.0.0 is this network (unspecified)"),
        ("0.255.255.255", "0.255.255.255 is this network (unspecified)"),
        ("::", ":: is unspecified"),
        ("224.0.0.1", "224.0.0.1 is multicast"),
        ("239.255.255.255", "239.255.255.255 is multicast"),
        ("ff02::1", "ff02::1 is multicast"),
        ("255.255.255.255", "255.255.255.255 is broadcast"),
        ("240.0.0.1", "240.0.0.1 is reserved"),
        ("4000::1", "4000::1 is reserved"),
    ],
)
def test_the_deny_list(address, why):
    assert refusal(STRICT, address) == why


@pytest.mark.parametrize(
    "address",
    [
        "::ffff:169.254.169.254",  # mapped
        "::ffff:0:169.254.169.254",  # translated
        "::169.254.169.254",  # compatible
        "64:ff9b::169.254.169.254",  # NAT64
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a9fe:a9fe",
        "2002:a9fe:a9fe::1",  # 6to4
        "2001:0:1:2:3:4:5601:5601",  # Teredo: the client's address, turned
        "fd12::5efe:a9fe:a9fe",  # ISATAP
        "fd12::200:5efe:a9fe:a9fe",
    ],
)
def test_an_address_inside_an_address_is_judged(address):
    assert METADATA in refusal(STRICT, address)


def test_loopback_by_flag_in_every_spelling():
    rules = EgressRules(allow_loopback=True)

    assert [refusal(rules, each) for each in ("127.0.0.1", "::1", "::ffff:127.0.0.1")] == [None] * 3
    assert refusal(rules, "169.254.169.254") is not None


def test_allowed_networks_override_the_deny_list_and_nothing_more():
    rules = EgressRules(allowed_networks=networks("169.254.7.0/24, 127.0.0.9/32 fe80::/64"))

    assert refusal(rules, "169.254.7.7") is None
    assert refusal(rules, "::ffff:169.254.7.7") is None
    assert refusal(rules, "127.0.0.9") is None
    assert refusal(rules, "fe80::1") is None
    assert refusal(rules, "169.254.8.7") == "169.254.8.7 is link-local"
    assert refusal(rules, "127.0.0.1") == "127.0.0.1 is loopback (switched off here)"


def test_networks_names_what_is_no_network():
    with pytest.raises(ValueError, match="10\\.0\\.0\\.0/33"):
        networks("10.0.0.0/33")


def test_unix_sockets_need_the_flag_and_a_root(tmp_path):
    inside, outside = tmp_path / "in" / "redis.sock", tmp_path / "redis.sock"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(outside)
    rules = EgressRules(allow_unix=True, unix_roots=(str(tmp_path / "in"),))

    assert unix_refusal(STRICT, str(inside)) == "unix sockets are switched off here"
    assert unix_refusal(EgressRules(allow_unix=True), str(outside)) is None
    assert unix_refusal(rules, str(inside)) is None
    for escape in (outside, tmp_path / "in" / ".." / "redis.sock", tmp_path / "in" / "link"):
        assert unix_refusal(rules, str(escape)) == f"{escape} is not below {tmp_path / 'in'}"
