"""Layers of the policy, as they are stored: who set what on which layer, and what it adds up to."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Max, QuerySet

from checks.catalog import RULES
from checks.policy import Layer, Policy, PolicyError, Settings, lay, parse
from checks.rule import Rule
from fleet.registry.models import PolicyVersion, Target

logger = logging.getLogger(__name__)

Level = PolicyVersion.Level
Overrides = Mapping[str, Any]  # {rule id: {limit or reserved word: value}}
# One writer at a time, so that ids rise in the order of commits: a reader that saw the highest id
# has seen everything below it.
WRITER_LOCK: Final = 7_214_001


class Outdated(Exception):
    """Somebody else saved this layer since it was read."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What one layer is laid on: the fleet, an environment, a tenant, or one pair."""

    level: str
    environment: str = ""
    tenant_id: int | None = None
    target_id: int | None = None

    def can_meet(self, other: Subject) -> bool:
        """Tell whether some pair may have both layers."""
        both = (self.tenant_id, other.tenant_id)
        return self.level != other.level and (None in both or both[0] == both[1])


ORDER: Final = tuple(Level.values)  # lowest first
FLEET: Final = Subject(Level.FLEET.value)


def chain(environment: str, tenant_id: int, target_id: int) -> tuple[Subject, ...]:
    """Give the layers of one pair, the first one lowest."""
    return (
        FLEET,
        Subject(Level.ENVIRONMENT.value, environment=environment),
        Subject(Level.TENANT.value, tenant_id=tenant_id),
        Subject(Level.PAIR.value, tenant_id=tenant_id, target_id=target_id),
    )


def subject_of(version: PolicyVersion) -> Subject:
    """Give what a stored version is laid on."""
    return Subject(version.level, version.environment, version.tenant_id, version.target_id)


class Policies:
    """All layers in force, and the policies they add up to: each combination worked out once."""

    def __init__(
        self, overrides: Mapping[Subject, Overrides], core_rules: tuple[str, ...] | None = None
    ) -> None:
        self._layers = {subject: _readable(subject, one) for subject, one in overrides.items()}
        self._rules = _with_core(core_rules)
        self._laid: dict[tuple[Subject, ...], Policy] = {}
        self._overrides = dict(overrides)
        self._core_rules = core_rules

    def of(self, environment: str, tenant_id: int, target_id: int) -> Policy:
        """Give the policy in force for one pair."""
        key = self.key_of(environment, tenant_id, target_id)
        found = self._laid.get(key)
        if found is None:
            found = self._laid[key] = self.laid(key)
        return found

    def key_of(self, environment: str, tenant_id: int, target_id: int) -> tuple[Subject, ...]:
        """Give the layers that say something about this pair: pairs of one key share one policy."""
        if not self._layers:
            return ()
        return tuple(one for one in chain(environment, tenant_id, target_id) if one in self._layers)

    def laid(self, subjects: Iterable[Subject]) -> Policy:
        """Lay these layers over the defaults.

        Thresholds that cross once laid together (one layer was checked before the other changed)
        lose the rule's innermost override, which is logged.
        """
        return lay_all([self._layers[one] for one in subjects if one in self._layers], self._rules)

    def with_layer(self, subject: Subject, overrides: Overrides) -> Policies:
        """Give the policies as they would be with this layer; raises PolicyError.

        It is laid together with the fleet's and with each other layer that it can meet, so that no
        thresholds cross.
        """
        layer = parse(overrides)
        after = Policies({**self._overrides, subject: overrides}, self._core_rules)
        for subjects in after._meetings(subject):
            together = [after._layers[one] for one in subjects]
            lay(*together, rules=[rule for rule in self._rules if rule.id in layer])
        return after

    def _meetings(self, subject: Subject) -> Iterator[tuple[Subject, ...]]:
        """List this layer with the fleet's, and with each other one that speaks of a rule of its own."""
        own = self._layers[subject]
        yield self._ordered({subject, FLEET})
        for other, layer in self._layers.items():
            if subject.can_meet(other) and not own.keys().isdisjoint(layer):
                yield self._ordered({subject, other, FLEET})

    def _ordered(self, subjects: Iterable[Subject]) -> tuple[Subject, ...]:
        held = [one for one in subjects if one in self._layers]
        return tuple(sorted(held, key=lambda one: ORDER.index(one.level)))

    def overrides_of(self, subject: Subject) -> Overrides:
        """Give what one layer says, as it is stored."""
        return self._overrides.get(subject, {})

    def layer_of(self, subject: Subject) -> Layer:
        """Give what one layer says, read; what a later version dropped is left out."""
        return self._layers.get(subject, {})


def lay_all(layers: Sequence[Layer], rules: Sequence[Rule] = RULES) -> Policy:
    """Lay layers, whatever they say together: a rule whose limits cross loses its innermost override."""
    try:
        return lay(*layers, rules=rules)
    except PolicyError:
        return Policy(MappingProxyType({rule.id: _settled(rule, layers) for rule in rules}))


def _settled(rule: Rule, layers: Sequence[Layer]) -> Settings:
    own = [layer for layer in layers if rule.id in layer]
    while True:
        try:
            return lay(*own, rules=[rule])[rule.id]
        except PolicyError as error:
            logger.warning("policy layers disagree, the innermost is left out: %s", error)
            own.pop()


def _readable(subject: Subject, overrides: Overrides) -> Layer:
    """Read a stored layer; what this version of ours no longer takes is left out and logged."""
    layer: dict[str, Any] = {}
    for rule_id, wanted in overrides.items():
        try:
            layer.update(parse({rule_id: wanted}))
        except PolicyError as error:
            logger.warning("policy of %s: %s", subject.level, error)
    return layer


@lru_cache(maxsize=8)
def _with_core(core_rules: tuple[str, ...] | None) -> tuple[Rule, ...]:
    if core_rules is None:
        return RULES
    return tuple(replace(rule, is_core=rule.id in core_rules) for rule in RULES)


def read_policies(core_rules: tuple[str, ...] | None = None) -> Policies:
    """Read every layer in force. One query."""
    rows = PolicyVersion.objects.filter(is_current=True).exclude(overrides={})
    return Policies({subject_of(row): row.overrides for row in rows}, core_rules)


def newest_id() -> int:
    """Give the id of the newest version of any layer: it rises with every change. One query."""
    return PolicyVersion.objects.aggregate(newest=Max("pk"))["newest"] or 0


def current_number(subject: Subject) -> int:
    """Give the number of the version in force; 0 where there never was one. One query."""
    return _rows(subject).aggregate(last=Max("number"))["last"] or 0


def save_layer(
    subject: Subject,
    overrides: Overrides,
    *,
    note: str,
    base: int,
    by_id: int | None,
    at: datetime,
) -> PolicyVersion:
    """Put a layer in force as its next version.

    Raises PolicyError with rule, limit and allowed range, and Outdated where the layer is no
    longer at version `base`.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [WRITER_LOCK])
        read_policies().with_layer(subject, overrides)
        number = current_number(subject)
        if number != base:
            raise Outdated(f"version {number} was saved meanwhile")
        _rows(subject).filter(is_current=True).update(is_current=False)
        return PolicyVersion.objects.create(
            level=subject.level,
            environment=subject.environment,
            tenant_id=subject.tenant_id,
            target_id=subject.target_id,
            number=number + 1,
            overrides=dict(overrides),
            note=note,
            made_at=at,
            made_by_id=by_id,
        )


def _rows(subject: Subject) -> QuerySet[PolicyVersion]:
    return PolicyVersion.objects.filter(
        level=subject.level,
        environment=subject.environment,
        **_exactly("tenant", subject.tenant_id),
        **_exactly("target", subject.target_id),
    )


def _exactly(name: str, pk: int | None) -> dict[str, Any]:
    return {f"{name}__isnull": True} if pk is None else {name: pk}


def move_to_tenant(target: Target) -> None:
    """Let a pair's own layer and attestations follow it to another tenant."""
    target.policy_versions.exclude(tenant_id=target.tenant_id).update(tenant_id=target.tenant_id)
    target.attestations.exclude(tenant_id=target.tenant_id).update(tenant_id=target.tenant_id)
