"""Hosts that are too small, as far as a portal can tell: RAM is what a person attests.

Adding RAM to a container means raising its limit: here the attestation rises with it.
"""

import re

from checks.facts import Attested, FleetFacts, Neighbour
from tests.live.patients import Patient, until
from tests.live.spoiling import fill, half_fill

SET = re.compile(r"set maxmemory to ([\d.,]+)\s(MiB|GiB)")


def have_ram(patient: Patient, rss_ratio: float) -> None:
    """Attest so little RAM that what Redis holds of it is this share."""
    rss_bytes = until(lambda: held_bytes(patient))
    patient.known["attested"] = Attested(ram_bytes=int(rss_bytes / rss_ratio))


def held_bytes(patient: Patient) -> int:
    """Give RSS, which INFO tells as of some moments ago; 0 while it is behind what is used."""
    redis = patient.read().redis
    held: int = redis.used_memory_rss_bytes
    return held if held > redis.used_memory_bytes else 0


def half_fill_small_host(patient: Patient) -> None:
    half_fill(patient)
    have_ram(patient, 0.7)


def fill_small_host(patient: Patient) -> None:
    fill(patient)
    have_ram(patient, 0.7)


def leave_no_ram(patient: Patient) -> None:
    """Save once, so that it is known what saving copies, then let RAM be nearly full."""
    admin = patient.admin()
    admin.set("a", "1")
    admin.bgsave()
    assert until(lambda: patient.read().redis.rdb_last_cow_bytes)
    have_ram(patient, 0.95)


def add_ram(patient: Patient) -> None:
    """Give it what the machine has."""
    ram_bytes = patient.read().redis.system_memory_bytes
    patient.known["attested"] = Attested(ram_bytes=ram_bytes)


def set_maxmemory(patient: Patient) -> None:
    """Type the figure that the remediation names."""
    found = SET.search(patient.told)
    assert found is not None
    number, unit = found.groups()
    patient.paste(f"CONFIG SET maxmemory {number}{unit[0].lower()}b")


def register_twin(patient: Patient) -> None:
    """Register another pair with the same server, database and prefix."""
    twin = Neighbour("Northwind / twin", 0, "")
    patient.known["fleet"] = FleetFacts(neighbours=(twin,), database=0, key_prefix="")


def archive_twin(patient: Patient) -> None:
    patient.known["fleet"] = FleetFacts(database=0, key_prefix="")
