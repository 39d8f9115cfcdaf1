"""What to do about each thing that keeps Redis from taking writes."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from checks.rule import Code, Effect, Remediation, Steps
from checks.rules.memory import ADD_RAM, RAISE

_REFUSED = (
    "EmailEngine writes with every message, and even to check a token: while writes are refused "
    "it answers 401 and 500, and mail waits."
)
_WHERE = "In the provider's console or support: it runs the disk of this service."
MISCONF_RDB = Remediation(
    when="the last save failed",
    why=_REFUSED,
    do="Make Redis able to save, then save once",
    now=(
        (
            "Read the server's log for the reason: a full disk, a folder it may not write, or no "
            "memory to fork (then set vm.overcommit_memory on {host})."
        ),
        "Mend that, then save:",
        Code("BGSAVE"),
    ),
    durable="Watch the free space of the data folder: a snapshot needs as much as the dataset.",
    verify=(Code("INFO persistence"), "must answer rdb_last_bgsave_status:ok."),
    risk="Letting Redis write on in spite of failed saves only hides that nothing is kept.",
    undo="Nothing to undo: a snapshot was written.",
    upstash=Steps(now=_WHERE, effect=Effect.CONSOLE),
    elasticache=Steps(now=_WHERE, effect=Effect.CONSOLE),
    memorydb=Steps(now=_WHERE, effect=Effect.CONSOLE),
)
# Redis 6.2 throws its unwritten changes away when the rewrite has them, and looks at the disk again
# only with the next change, which it refuses. SCRIPT LOAD is written there, and refused nowhere.
# Source: aof.c of 6.2, and tests/live.
AFTER_REWRITE: Final = (
    (
        "Once it has ended, give Redis something harmless to write: before version 7 it may not notice "
        "otherwise that it can write again."
    ),
    Code('SCRIPT LOAD "return 1"'),
)
MISCONF_AOF = Remediation(
    when="the AOF cannot be written",
    why=_REFUSED,
    do="Make Redis able to write its AOF",
    now=(
        (
            "Read the server's log for the reason, mostly a full disk, and mend that: Redis tries "
            "again by itself. Where the file only grew too large, rewrite it:"
        ),
        Code("BGREWRITEAOF"),
        *AFTER_REWRITE,
    ),
    durable="Keep room for two AOFs in the data folder: a rewrite writes a second one.",
    verify=(Code("INFO persistence"), "must answer aof_last_write_status:ok."),
    risk="Never delete the AOF to make room: without a good RDB snapshot it is the only copy.",
    undo="Nothing to undo.",
    upstash=Steps(now=_WHERE, effect=Effect.CONSOLE),
    elasticache=Steps(now=_WHERE, effect=Effect.CONSOLE),
    memorydb=Steps(now=_WHERE, effect=Effect.CONSOLE),
)
_ROOM = (
    Code("INFO memory"),
    "must show used_memory well below maxmemory; then send a test message.",
)
OOM = replace(
    RAISE,
    when="out of memory, and the host has room",
    why=_REFUSED,
    do="Give Redis more memory: raise maxmemory",
    verify=_ROOM,
)
OOM_ADD_RAM = replace(
    ADD_RAM, when="out of memory, and the host has no room", why=_REFUSED, verify=_ROOM
)
NOREPLICAS = Remediation(
    when="too few good replicas",
    why=_REFUSED,
    do="Bring the missing replicas back",
    now=(
        "See which replicas are attached, and how far behind:",
        Code("INFO replication"),
        "Start the missing ones. If they are gone for good, ask for fewer:",
        Code("CONFIG SET min-replicas-to-write {min_replicas_good_count}"),
    ),
    durable=Code("min-replicas-to-write {min_replicas_good_count}"),
    verify=(
        Code("INFO replication"),
        "must show min_slaves_good_slaves at or above min-replicas-to-write, or no such line.",
    ),
    risk="With fewer replicas required, a failing primary may take its latest writes with it.",
    undo=Code("CONFIG SET min-replicas-to-write {min_replicas_to_write_count}"),
)
REPLICA = Remediation(
    when="the endpoint is a read-only replica",
    why=_REFUSED,
    do="Point EmailEngine and the pair at the primary",
    now=(
        "See which server is the primary:",
        Code("INFO replication"),
        "Set master_host and master_port from there in EmailEngine's Redis URL and in the pair.",
    ),
    durable="Put a stable address in front (DNS name, proxy, virtual IP) that follows the primary.",
    verify=(Code("INFO replication"), "must answer role:master at the registered address."),
    risk="REPLICAOF NO ONE here would make a second primary beside the first: their data part ways.",
    undo="Put the former address back in EmailEngine and in the pair.",
    effect=Effect.NONE,
)
CLUSTER_DOWN = Remediation(
    when="the cluster is down",
    why=_REFUSED,
    do="Let the cluster serve all its slots, then move to a standalone Redis",
    now=(
        "See which slots are not served:",
        Code("CLUSTER INFO"),
        "Start the nodes that are down.",
    ),
    durable="Move the data to a standalone Redis: EmailEngine supports no cluster.",
    verify=(Code("CLUSTER INFO"), "must answer cluster_state:ok."),
    risk="Giving away the slots of a node that is down gives up the keys it held.",
    undo="Nothing to undo.",
)
QUOTA = Remediation(
    when="the plan’s quota is used up",
    why=_REFUSED,
    do="Choose a plan without a quota of commands",
    now="In the provider's console, choose a fixed plan or pay as you go: the quota is used up.",
    durable="The plan stays until you change it.",
    verify=(Code("PING"), "must answer PONG."),
    risk="Pay as you go bills each command: EmailEngine sends about five a second while idle.",
    undo="Choose the former plan.",
    effect=Effect.CONSOLE,
)
