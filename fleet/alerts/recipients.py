"""Which channels want to hear of a finding: by tenant, severity, environment and subject."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from fleet.alerts.decide import RANKS
from fleet.alerts.models import Channel


class About(NamedTuple):
    """What a channel chooses by."""

    tenant_id: int
    environment: str
    rule_id: str
    severity: str


@dataclass(frozen=True, slots=True)
class Ear:
    """A channel that may be told, and what it wants to hear. Empty sets: everything."""

    channel_id: int
    tenant_id: int | None
    least: str
    environments: frozenset[str]
    subjects: frozenset[str]

    def wants(self, about: About) -> bool:
        """Tell whether this is for the channel: its tenant, severity, environment and subject."""
        return (
            self.tenant_id in (None, about.tenant_id)
            and RANKS[about.severity] >= RANKS[self.least]
            and (not self.environments or about.environment in self.environments)
            and (not self.subjects or about.rule_id.partition(".")[0] in self.subjects)
        )


class Ears:
    """All channels that may be told, found by tenant."""

    def __init__(self, ears: Iterable[Ear]) -> None:
        self._of: defaultdict[int | None, list[Ear]] = defaultdict(list)
        for ear in ears:
            self._of[ear.tenant_id].append(ear)

    @property
    def operators(self) -> frozenset[int]:
        """The operators' channels."""
        return frozenset(ear.channel_id for ear in self._of.get(None, ()))

    def wanting(self, about: About) -> frozenset[int]:
        """Give the channels that want to hear of it."""
        ears = [*self._of.get(None, ()), *self._of.get(about.tenant_id, ())]
        return frozenset(ear.channel_id for ear in ears if ear.wants(about))

    def told(self, about: About) -> frozenset[int]:
        """Give the channels to tell: those that want to hear, or else, of a critical, all operators."""
        wanting = self.wanting(about)
        return wanting if wanting or about.severity != "critical" else self.operators


def ear_of(channel: Channel) -> Ear:
    """Say what a channel wants to hear."""
    return Ear(
        channel.pk,
        channel.tenant_id,
        channel.min_severity,
        frozenset(channel.environments),
        frozenset(channel.subjects),
    )


def read_ears() -> Ears:
    """Read the channels that are verified and not stopped. One query."""
    rows = Channel.objects.filter(verified_at__isnull=False, stopped_at=None)
    columns = ("pk", "tenant_id", "min_severity", "environments", "subjects")
    return Ears(ear_of(channel) for channel in rows.only(*columns))
