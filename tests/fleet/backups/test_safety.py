"""What speaks against a pull, each with its numbers, at the boundaries."""

from dataclasses import replace

import pytest

from checks.facts import Engine, Missing, Replica
from fleet.backups.safety import PULLABLE, Others, Refusal, Room, SafetyLimits, refusals
from tests.checks.pairs import GIB, MIB, REDIS

LIMITS = SafetyLimits()
UNREAD = Missing("no_permission", "INFO is closed")
SERVER = replace(
    REDIS,
    used_memory_bytes=1000 * MIB,
    used_memory_rss_bytes=1100 * MIB,
    rdb_last_cow_bytes=0,
    aof_last_cow_bytes=0,
    current_cow_peak_bytes=0,
)
ROOMY = Room(ram_bytes=8 * GIB, disk_free_bytes=100 * GIB)


def against(room: Room = ROOMY, **fields) -> list[Refusal]:
    return list(refusals(replace(SERVER, **fields), room, LIMITS))


def test_nothing_speaks_against_a_healthy_server():
    assert against() == []


@pytest.mark.parametrize("engine", sorted(set(Engine) - PULLABLE))
def test_what_no_replica_may_read_is_refused(engine):
    (refusal,) = against(engine=engine)

    assert refusal.reason == "command_unavailable"
    assert refusal.text.startswith(engine.label)


@pytest.mark.parametrize(
    ("fields", "reason", "text"),
    [
        ({"cluster_enabled": True}, "cluster", "this is one node of a cluster"),
        ({"is_loading": True}, "loading", "the server is loading its dataset"),
        ({"rdb_bgsave_in_progress": True}, "busy", "a background save is running"),
        ({"aof_rewrite_in_progress": True}, "busy", "an append-only rewrite is running"),
        (
            {"rdb_bgsave_in_progress": UNREAD},
            "no_permission",
            "whether a save is running is not known: INFO is closed",
        ),
        (
            {"role": "slave", "master_link_status": "down"},
            "misconf",
            "this replica has lost its primary",
        ),
        (
            {"replicas": (Replica("10.0.0.9", 6379, "wait_bgsave", 0),)},
            "busy",
            "a replica is being synchronised: 10.0.0.9:6379 (wait_bgsave)",
        ),
        (
            {"used_memory_bytes": UNREAD},
            "no_permission",
            "free RAM is not known (INFO is closed): attest ram_bytes",
        ),
    ],
)
def test_each_state_that_forbids_it(fields, reason, text):
    (refusal,) = against(**fields)

    assert refusal.reason == reason
    assert refusal.text.startswith(text)


def test_a_replica_that_has_its_primary_may_be_asked():
    online = (Replica("10.0.0.9", 6379, "online", 0),)

    assert against(role="slave", master_link_status="up", replicas=online) == []


@pytest.mark.parametrize(
    ("copied", "free_mib", "is_refused"),
    [
        (0, 1000, False),  # never saved: all of its memory
        (0, 999, True),
        (200, 400, False),  # twice what the last save copied
        (200, 399, True),
        (1, 100, False),  # never less than a tenth
        (1, 99, True),
    ],
)
def test_a_fork_needs_room_for_its_copies(copied, free_mib, is_refused):
    room = ROOMY._replace(ram_bytes=(1100 + free_mib) * MIB)

    assert bool(against(room, rdb_last_cow_bytes=copied * MIB)) is is_refused


def test_the_refusal_shows_its_numbers():
    room = Room(ram_bytes=4 * GIB, others=Others(2900 * MIB, 3), is_ram_attested=True)
    (refusal,) = against(room, rdb_last_cow_bytes=200 * MIB)

    assert refusal.reason == "busy"
    assert refusal.text.replace("\N{NARROW NO-BREAK SPACE}", " ") == (
        "96 MiB of 4.0 GiB RAM (attested) are left, and a fork may copy 400 MiB "
        "(2 times what its last save copied); other registered servers there: 3 hold 2.8 GiB of it"
    )


@pytest.mark.parametrize(
    ("others", "told"),
    [
        (Others(), ""),
        (Others(0, 0, 2), "; other registered servers there: 2 did not answer, not counted"),
        (
            Others(MIB, 1, 1),
            "; other registered servers there: 1 hold 1.0 MiB of it, 1 did not answer, not counted",
        ),
    ],
)
def test_what_stands_beside_it_is_told(others, told):
    (refusal,) = against(Room(ram_bytes=1, others=others))

    assert (
        refusal.text.replace("\N{NARROW NO-BREAK SPACE}", " ")
        .partition(")")[2]
        .partition("all of its memory: no save of it has been seen yet)")[2]
        == told
    )


def test_ram_that_nobody_knows_speaks_against_it():
    (refusal,) = against(Room(Missing("undetermined", "INFO tells no total_system_memory")))

    assert refusal.text == (
        "free RAM is not known (INFO tells no total_system_memory): attest ram_bytes"
    )


@pytest.mark.parametrize(("free_mib", "is_refused"), [(2024, False), (2023, True)])
def test_the_portals_disk_keeps_some_room(free_mib, is_refused):
    assert bool(against(ROOMY._replace(disk_free_bytes=free_mib * MIB))) is is_refused
