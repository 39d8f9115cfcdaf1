"""Which addresses may we connect to? A pure answer, for a target is hostile input."""

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from pathlib import Path

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LOOPBACK = "loopback (switched off here)"

# The first match names the address, so the metadata services stand before
# the ranges around them. Sources: the cloud makers' pages on instance
# metadata, and IANA's special-purpose address registries.
DENIED: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), name)
    for network, name in (
        ("169.254.169.254/32", "a cloud metadata service"),
        ("169.254.170.2/32", "a cloud metadata service"),  # AWS ECS
        ("100.100.100.200/32", "a cloud metadata service"),  # Alibaba
        ("168.63.129.16/32", "a cloud metadata service"),  # Azure
        ("192.0.0.192/32", "a cloud metadata service"),  # Oracle
        ("fd00:ec2::/32", "a cloud metadata service"),  # AWS
        ("fd20:ce::254/128", "a cloud metadata service"),  # Google
        ("fd00:c1::a9fe:a9fe/128", "a cloud metadata service"),  # Oracle
        ("fd00:42::42/128", "a cloud metadata service"),  # Scaleway
        ("0.0.0.0/8", "this network (unspecified)"),
        ("127.0.0.0/8", LOOPBACK),
        ("169.254.0.0/16", "link-local"),
        ("192.0.0.0/24", "reserved"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", LOOPBACK),
        ("fe80::/10", "link-local"),
        ("ff00::/8", "multicast"),
    )
)
# Where an IPv6 address carries an IPv4 one, and how far right it stands (bits).
EMBEDDED: tuple[tuple[IPv6Network, int], ...] = tuple(
    (IPv6Network(network), shift)
    for network, shift in (
        ("::ffff:0:0/96", 0),  # IPv4-mapped
        ("::ffff:0:0:0/96", 0),  # IPv4-translated
        ("::/96", 0),  # IPv4-compatible
        ("64:ff9b::/96", 0),  # NAT64
        ("64:ff9b:1::/48", 0),  # NAT64, local prefix
        ("2002::/16", 80),  # 6to4
    )
)
TEREDO = IPv6Network("2001::/32")  # the client's IPv4, every bit turned
ISATAP = 0x5EFE  # interface id 0000:5efe:a.b.c.d, or 0200:5efe


@dataclass(frozen=True)
class EgressRules:
    """What may be dialled: the deny list, but for what these fields open.

    Private networks are allowed, for pairs live there. allowed_networks overrides
    the deny list, loopback included. Unix sockets need allow_unix and, where
    unix_roots are given, must lie below one of them.
    """

    allow_loopback: bool = False
    allow_unix: bool = False
    unix_roots: tuple[str, ...] = ()
    allowed_networks: tuple[Network, ...] = ()


def networks(text: str) -> tuple[Network, ...]:
    """Read "10.0.0.0/8, fd00::/8"; raise ValueError naming the part that is no network."""
    return tuple(ip_network(part) for part in text.replace(",", " ").split())


@lru_cache(maxsize=65_536)
def refusal(rules: EgressRules, address: str) -> str | None:
    """Say why this numeric address may not be connected to, or None where it may."""
    parsed = ip_address(address)
    if _listed(rules, parsed):
        return None
    for view in _views(parsed):
        why = None if _listed(rules, view) else _denied(rules, view)
        if why and view == parsed:
            return f"{address} is {why}"
        if why:
            return f"{address} stands for {view}, {why}"
    return None


def unix_refusal(rules: EgressRules, path: str) -> str | None:
    """Say why this unix socket may not be used, or None; symbolic links are followed first."""
    if not rules.allow_unix:
        return "unix sockets are switched off here"
    real = Path(real_path(path))
    roots = [Path(root).resolve() for root in rules.unix_roots]
    if roots and not any(real.is_relative_to(root) for root in roots):
        return f"{path} is not below {' or '.join(rules.unix_roots)}"
    return None


def real_path(path: str) -> str:
    """Follow symbolic links, so that the socket opened is the one that was checked."""
    return str(Path(path).resolve())


def _listed(rules: EgressRules, address: Address) -> bool:
    return any(address in network for network in rules.allowed_networks)


def _denied(rules: EgressRules, address: Address) -> str | None:
    for network, name in DENIED:
        if address in network:
            return None if name is LOOPBACK and rules.allow_loopback else name
    return "reserved" if address.version == 6 and address.is_reserved else None


def _views(address: Address) -> list[Address]:
    """List what the address may reach: the IPv4 inside it where there is one, else itself.

    ISATAP and Teredo addresses are also ordinary ones, so both views are given.
    """
    if isinstance(address, IPv4Address) or int(address) <= 1:
        return [address]
    for network, shift in EMBEDDED:
        if address in network:
            return [IPv4Address(int(address) >> shift & 0xFFFF_FFFF)]
    if address in TEREDO:
        return [address, IPv4Address(~int(address) & 0xFFFF_FFFF)]
    if int(address) >> 32 & 0xFDFF_FFFF == ISATAP:
        return [address, IPv4Address(int(address) & 0xFFFF_FFFF)]
    return [address]
