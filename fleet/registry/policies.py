"""Layers of the policy, as they are stored: who set what on which layer, and what it adds up to."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from django.db import connection, transaction
from django.db.models import Max, QuerySet

from checks.catalog import RULES
from checks.policy import Layer, Policy, PolicyError, Settings, lay, parse
from checks.rule import Rule
from fleet.registry.models import PolicyVersion

logger = logging.getLogger(__name__)

Level = PolicyVersion.Level
Overrides = Mapping[str, Any]  # {rule id: {limit or reserved word: value}}
# One writer at a time, so that ids rise in the order of commits: a reader that saw the highest id
# has seen everything below it.
WRITER_LOCK: Final = 7_214_001


class Outdated(Exception):
    """Somebody else saved this layer since it was read."""


class PairPolicyError(PolicyError):
    """A layer that crosses the others of one pair."""

    def __init__(self, text: str, target_id: int) -> None:
        super().__init__(text)
        self.target_id = target_id


class Subject(NamedTuple):
    """What one layer is laid on: the fleet, an environment, a tenant, or one pair.

    A tuple, which is made and looked up fast: lists of the fleet ask for four of each pair.
    """

    level: str
    environment: str = ""
    tenant_id: int | None = None
    target_id: int | None = None

    def can_meet(self, other: Subject) -> bool:
        """Tell whether some pair may have both layers."""
        both = (self.tenant_id, other.tenant_id)
        return self.level != other.level and (None in both or both[0] == both[1])


Home = tuple[str, int, int]  # of a pair: environment, tenant id, target id
ORDER: Final = tuple(Level.values)  # lowest first
FLEET: Final = Subject(Level.FLEET.value)
ENVIRONMENT, TENANT, PAIR = Level.ENVIRONMENT.value, Level.TENANT.value, Level.PAIR.value


def chain(environment: str, tenant_id: int, target_id: int) -> tuple[Subject, ...]:
    """Give the layers of one pair, the first one lowest."""
    return (
        FLEET,
        Subject(ENVIRONMENT, environment),
        Subject(TENANT, "", tenant_id),
        Subject(PAIR, "", tenant_id, target_id),
    )


def subject_of(version: PolicyVersion) -> Subject:
    """Give what a stored version is laid on."""
    return Subject(version.level, version.environment, version.tenant_id, version.target_id)


class Policies:
    """All layers in force, and the policies they add up to: each combination worked out once."""

    def __init__(
        self, overrides: Mapping[Subject, Overrides], core_rules: tuple[str, ...] | None = None
    ) -> None:
        first: dict[str, Subject] = {}  # layers that say the same are read and laid once
        self._like = {one: first.setdefault(_frozen(said), one) for one, said in overrides.items()}
        read = {one: _readable(one, overrides[one]) for one in first.values()}
        self._layers = {one: read[like] for one, like in self._like.items()}
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

    @property
    def own(self) -> frozenset[int]:
        """The pairs with a layer of their own; all others of a tenant's environment are judged alike."""
        return frozenset(one.target_id for one in self._layers if one.target_id is not None)

    def key_of(self, environment: str, tenant_id: int, target_id: int) -> tuple[Subject, ...]:
        """Give the layers that say something about this pair: pairs of one key share one policy.

        Of layers that say the same one stands for all.
        """
        if not self._layers:
            return ()
        found = map(self._like.get, chain(environment, tenant_id, target_id))
        return tuple(filter(None, found))

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

    def with_pairs(self, own: Mapping[Home, Overrides]) -> Policies:
        """Give the policies as they would be with these pairs' own layers; raises PairPolicyError.

        Each is laid together with the layers that its pair has now.
        """
        together = {chain(*home)[-1]: overrides for home, overrides in own.items()}
        after = Policies({**self._overrides, **together}, self._core_rules)
        seen = set()
        for home, overrides in own.items():
            key = after.key_of(*home)
            if key not in seen:
                seen.add(key)
                after._check_pair(key, overrides, home[2])
        return after

    def _check_pair(self, key: tuple[Subject, ...], own: Overrides, target_id: int) -> None:
        below = (self._layers[one] for one in key[:-1])
        try:
            lay(*below, parse(own), rules=self._rules)
        except PolicyError as error:
            raise PairPolicyError(str(error), target_id) from error

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
        _wait_for_other_writers()
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


def combined(before: Overrides, change: Overrides, *, replaces: bool) -> dict[str, Any]:
    """Give a pair's own layer after a change: the change alone, or what it says laid over it."""
    if replaces:
        return dict(change)
    return {
        **before,
        **{rule_id: {**before.get(rule_id, {}), **wanted} for rule_id, wanted in change.items()},
    }


def changed_pairs(
    policies: Policies, homes: Iterable[Home], change: Overrides, *, replaces: bool
) -> dict[Home, Overrides]:
    """Give the own layers that a change of many pairs would make; pairs it leaves alone are not in it."""
    found: dict[Home, Overrides] = {}
    for home in homes:
        before = policies.overrides_of(chain(*home)[-1])
        after = combined(before, change, replaces=replaces)
        if after != before:
            found[home] = after
    return found


def save_pairs(
    homes: Sequence[Home],
    change: Overrides,
    *,
    replaces: bool,
    note: str,
    base: int,
    by_id: int | None,
    at: datetime,
) -> list[PolicyVersion]:
    """Put a change of many pairs' own layers in force, each as its next version. Six queries.

    Raises PolicyError, and Outdated where one of these layers has a version newer than `base`,
    the newest id of all when the change was made.
    """
    with transaction.atomic():
        _wait_for_other_writers()
        policies = read_policies()
        wanted = changed_pairs(policies, homes, change, replaces=replaces)
        policies.with_pairs(wanted)
        ids = [target_id for *_whose, target_id in homes]
        rows = PolicyVersion.objects.filter(level=Level.PAIR, target__in=ids)
        if rows.filter(pk__gt=base).exists():
            raise Outdated("the policy of one of these pairs was changed meanwhile")
        numbers = dict(rows.values_list("target").annotate(Max("number")))
        touched = rows.filter(target__in=[home[2] for home in wanted])
        touched.filter(is_current=True).update(is_current=False)
        versions = [
            PolicyVersion(
                level=Level.PAIR,
                tenant_id=home[1],
                target_id=home[2],
                number=numbers.get(home[2], 0) + 1,
                overrides=dict(overrides),
                note=note,
                made_at=at,
                made_by_id=by_id,
            )
            for home, overrides in wanted.items()
        ]
        return PolicyVersion.objects.bulk_create(versions, batch_size=2_000)


def _wait_for_other_writers() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [WRITER_LOCK])


def _frozen(overrides: Overrides) -> str:
    return json.dumps(overrides, sort_keys=True)


def _rows(subject: Subject) -> QuerySet[PolicyVersion]:
    return PolicyVersion.objects.filter(
        level=subject.level,
        environment=subject.environment,
        **_exactly("tenant", subject.tenant_id),
        **_exactly("target", subject.target_id),
    )


def _exactly(name: str, pk: int | None) -> dict[str, Any]:
    return {f"{name}__isnull": True} if pk is None else {name: pk}
