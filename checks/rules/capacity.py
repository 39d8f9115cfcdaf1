"""Has Redis a ceiling, and one that holds the mailboxes? Sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from checks.facts import (
    NO_FLEET,
    NO_TREND,
    EmailEngineFacts,
    Engine,
    Missing,
    PairFacts,
    known,
    or_else,
)
from checks.render import MIB, size
from checks.rule import (
    Code,
    Effect,
    Group,
    Kind,
    Limits,
    Remediation,
    Severity,
    Steps,
    Verdict,
    failed,
    passed,
    rule,
    unknown,
)
from checks.rules.memory import Ceiling, Ram, ceiling_for, ram_of, told_of

# What an EmailEngine with some mailboxes soon needs: a ceiling made for less would be reached.
LEAST_USED_BYTES: Final = 128 * MIB

# --- A ceiling at all

_ENDLESS = (
    "Without a ceiling Redis grows until the system ends it: all that was not yet saved is lost, "
    "where a ceiling would only have refused writes."
)
_SHOWS_CEILING = (Code("INFO memory"), "must answer maxmemory:{suggested_maxmemory_bytes}.")
_PROVIDED = Steps(
    do="Ask the provider why no ceiling is shown",
    now="The node type sets maxmemory here: ask the provider why INFO shows none.",
    durable="The node type stays until you change it.",
    undo="Nothing to undo.",
    effect=Effect.CONSOLE,
)
SET = Remediation(
    when="no maxmemory is set, and the host has room",
    why=_ENDLESS,
    do="Set maxmemory to {suggested_maxmemory_bytes:size}",
    now=(
        "First see that {host} holds it, with room for the copies that saving makes.",
        Code("CONFIG SET maxmemory {suggested_maxmemory_bytes}"),
    ),
    durable=Code("maxmemory {suggested_maxmemory_bytes}"),
    verify=_SHOWS_CEILING,
    risk="A ceiling below used_memory is taken without a word, and every write is refused at once: "
    "never set less than {used_memory_bytes:size}.",
    undo=Code("CONFIG SET maxmemory 0"),
    elasticache=_PROVIDED,
    memorydb=_PROVIDED,
)
SET_AFTER_RAM = Remediation(
    when="no maxmemory is set, and the host has no room",
    why=_ENDLESS,
    do="Add RAM, then set maxmemory",
    now=(
        "Add RAM first: give {host} {needed_ram_bytes:size} or more.",
        "Only then set maxmemory to {suggested_maxmemory_bytes:size}.",
    ),
    durable="Once the RAM is there, maxmemory {suggested_maxmemory_bytes} in {conf}.",
    verify=_SHOWS_CEILING,
    risk="A ceiling that RAM cannot hold lets the system end Redis while it saves.",
    undo=Code("CONFIG SET maxmemory 0"),
    effect=Effect.RESTART,
    elasticache=_PROVIDED,
    memorydb=_PROVIDED,
)


@rule(
    id="redis.maxmemory-set",
    kind=Kind.REQUIREMENT,
    group=Group.PERSISTENCE,
    title="Redis has a memory ceiling",
    severity=Severity.INFO,
    source="ours",
    observed="{maxmemory_bytes:size}",
    required="a maxmemory",
    reads="INFO memory: one round trip, part of the visit's INFO",
    not_on=(Engine.DRAGONFLY, Engine.UPSTASH),
    remediation={"unset": SET, "unset-add-ram": SET_AFTER_RAM},
)
def maxmemory_set(facts: PairFacts, _: Limits) -> Verdict:
    """Judge whether maxmemory is set at all (bytes; 0 is none).

    On Dragonfly 0 means a ceiling of its own choice, and Upstash's is the plan's.

    Source: ours. The vendor asks for room, not for a ceiling.
    """
    redis = known(facts.redis)
    maxmemory = known(redis.maxmemory_bytes)
    if maxmemory:
        return passed(maxmemory_bytes=maxmemory)
    used = known(redis.used_memory_bytes)
    room = _first_ceiling(used, ram_of(facts))
    return failed(
        f"Redis has no maxmemory and uses {size(used)}: it grows until the system ends it; "
        "it should have a ceiling",
        short="No maxmemory is set",
        severity=Severity.INFO,
        cause="unset" if room.fits else "unset-add-ram",
        maxmemory_bytes=0,
        used_memory_bytes=used,
        suggested_maxmemory_bytes=room.size_bytes,
        needed_ram_bytes=room.needed_ram_bytes,
    )


def _first_ceiling(used_bytes: int, ram: Ram | None) -> Ceiling:
    """Work out a ceiling that a new server does not reach with its first mailboxes."""
    roomy = ceiling_for(max(used_bytes, LEAST_USED_BYTES), ram)
    return roomy if roomy.fits else ceiling_for(used_bytes, ram)


# --- A ceiling for the mailboxes

PROVISIONING = Remediation(
    why="Every mailbox keeps an index in Redis; a ceiling too low for them all is reached as the "
    "mailboxes fill, and Redis then refuses EmailEngine's writes.",
    do="Give Redis room for {mailboxes_count:count} mailboxes",
    now=(
        (
            "Give {host} {needed_ram_bytes:size} of RAM or more, which also holds the copies that saving "
            "makes."
        ),
        "Only then raise the ceiling:",
        Code("CONFIG SET maxmemory {suggested_maxmemory_bytes}"),
    ),
    durable=Code("maxmemory {suggested_maxmemory_bytes}"),
    verify=(Code("INFO memory"), "must show maxmemory at or above {wanted_bytes:size}."),
    risk="Add RAM first where a container or virtual machine allows less than its host has: a "
    "ceiling that RAM cannot hold only moves the crash.",
    undo=Code("CONFIG SET maxmemory {maxmemory_bytes}"),
    dragonfly=Steps(
        now="Give the container {needed_ram_bytes:size} of RAM or more, and restart Dragonfly with "
        "the argument below.",
        durable="--maxmemory={suggested_maxmemory_bytes} as an argument, or in the manifest.",
        undo="Restart it with the former value.",
        effect=Effect.RESTART,
    ),
    upstash=Steps(
        now="In the Upstash console, choose a plan with a data size of {wanted_bytes:size} or more.",
        durable="The plan stays until you change it.",
        undo="Choose the former plan.",
        effect=Effect.CONSOLE,
    ),
    elasticache=Steps(
        now="Move to a node type with {wanted_bytes:size} of memory or more: maxmemory follows it.",
        durable="Keep the node type in the place that your infrastructure is built from.",
        undo="Move back to the former node type.",
        effect=Effect.CONSOLE,
    ),
    memorydb=Steps(
        now="Move to a node type with {wanted_bytes:size} of memory or more: maxmemory follows it.",
        durable="Keep the node type in the place that your infrastructure is built from.",
        undo="Move back to the former node type.",
        effect=Effect.CONSOLE,
    ),
)


@dataclass(frozen=True)
class ProvisioningLimits(Limits):
    """Bytes of index per mailbox, typical and lean, and how many times the sum is wanted."""

    typical_mailbox_bytes: int = 2 * MIB
    lean_mailbox_bytes: int = 1 * MIB
    headroom_times: float = 2.0


class Room(NamedTuple):
    """What Redis may grow to; an estimate may prove too little, never enough.

    contrary says what was attested against what INFO shows, "" where nothing was.
    """

    size_bytes: int
    is_estimate: bool
    contrary: str = ""


@rule(
    id="redis.memory-provisioning",
    kind=Kind.REQUIREMENT,
    group=Group.PERSISTENCE,
    title="Redis is sized for its mailboxes",
    severity=Severity.CRITICAL,
    source="S0, S1",
    observed="{limit_bytes:size} for {mailboxes_count:count} mailboxes",
    required="≥ {wanted_bytes:size}",
    reads="INFO memory, part of the visit's INFO; EmailEngine's count of accounts, or the number "
    "registered",
    limits=ProvisioningLimits(),
    remediation=PROVISIONING,
)
def memory_provisioning(facts: PairFacts, limits: ProvisioningLimits) -> Verdict:
    """Judge maxmemory, or RAM where none is set, by the number of mailboxes (bytes).

    The larger number counts, of mailboxes expected and of accounts seen. Below the lean size a
    server still is only warned of that holds twice what it used at most in 28 days.

    Source: S0 and S1, 1 to 2 MiB of index per mailbox and twice the sum as memory.
    """
    room = _room(facts)
    mailboxes = _mailboxes(facts)
    wanted = int(limits.headroom_times * limits.typical_mailbox_bytes * mailboxes)
    lean = int(limits.headroom_times * limits.lean_mailbox_bytes * mailboxes)
    if room.size_bytes >= wanted and room.is_estimate:
        return unknown(
            "undetermined" if room.contrary else "unattested",
            room.contrary
            or "Redis has no maxmemory, and INFO tells at most the host's RAM: set maxmemory, or "
            "attest ram_bytes",
            limit_bytes=room.size_bytes,
            wanted_bytes=wanted,
            mailboxes_count=mailboxes,
        )
    if room.size_bytes >= wanted:
        return passed(limit_bytes=room.size_bytes, wanted_bytes=wanted, mailboxes_count=mailboxes)
    is_enough = room.size_bytes >= lean or _holds_the_past(facts, room, limits)
    return _small(facts, room, mailboxes, wanted, is_critical=not is_enough)


def _room(facts: PairFacts) -> Room:
    maxmemory = known(known(facts.redis).maxmemory_bytes)
    if maxmemory:
        return Room(maxmemory, is_estimate=False)
    ram = ram_of(facts)
    if ram is None:
        return Room(known(known(facts.redis).system_memory_bytes), is_estimate=True)
    return Room(ram.size_bytes, not ram.is_attested, told_of(ram))


def _mailboxes(facts: PairFacts) -> int:
    """Return the larger of the mailboxes expected and the accounts counted."""
    emailengine = facts.emailengine
    accounts = emailengine.accounts if isinstance(emailengine, EmailEngineFacts) else emailengine
    fleet = or_else(facts.fleet, NO_FLEET)
    if isinstance(accounts, Missing):
        if isinstance(fleet.expected_mailboxes_count, Missing):
            known(accounts)
        return known(fleet.expected_mailboxes_count)
    return max(sum(accounts.values()), or_else(fleet.expected_mailboxes_count, 0))


def _holds_the_past(facts: PairFacts, room: Room, limits: ProvisioningLimits) -> bool:
    """Tell whether there is room for the wanted multiple of the most that was ever used."""
    used = known(known(facts.redis).used_memory_bytes)
    if room.size_bytes < limits.headroom_times * used:
        return False
    highest = known(or_else(facts.trend, NO_TREND).highest_used_bytes)
    return room.size_bytes >= limits.headroom_times * max(highest, used)


def _small(
    facts: PairFacts, room: Room, mailboxes: int, wanted: int, *, is_critical: bool
) -> Verdict:
    used = known(known(facts.redis).used_memory_bytes)
    # The data may have outgrown the mailboxes' share: the ceiling asked for holds both.
    ceiling = ceiling_for(max(used, wanted // 2), None)
    return failed(
        f"Redis may grow to {size(room.size_bytes)}; {mailboxes:,} mailboxes want {size(wanted)}",
        short=f"{size(room.size_bytes)} for {mailboxes:,} mailboxes",
        severity=Severity.CRITICAL if is_critical else Severity.WARNING,
        limit_bytes=room.size_bytes,
        wanted_bytes=wanted,
        mailboxes_count=mailboxes,
        maxmemory_bytes=known(known(facts.redis).maxmemory_bytes),
        suggested_maxmemory_bytes=ceiling.size_bytes,
        needed_ram_bytes=ceiling.needed_ram_bytes,
    )
