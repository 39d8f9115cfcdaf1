"""Attest, and end what was attested: rows are only ever added and ended, never edited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from checks.attest import Value
from fleet.registry.models import Attestation, Target, Tenant


@dataclass(frozen=True)
class Claim:
    """What is said: a sound value of one key, by whom, on what evidence, and until when."""

    key: str
    value: Value
    said_by: str
    evidence: str
    expires_at: datetime


def attest_targets(targets: Sequence[Target], claim: Claim, by_id: int | None, at: datetime) -> int:
    """Attest one fact of each of these pairs; what was said of them before ends. Returns how many."""
    with transaction.atomic():
        before = Attestation.objects.filter(target__in=targets, key=claim.key, ended_at=None)
        _end(before, by_id, at)
        made = Attestation.objects.bulk_create(
            [
                _row(claim, by_id, at, tenant_id=target.tenant_id, target_id=target.pk)
                for target in targets
            ]
        )
    return len(made)


def attest_tenant(tenant: Tenant, claim: Claim, by_id: int | None, at: datetime) -> None:
    """Attest one fact of all of a tenant's pairs; a pair's own attestation beats it."""
    with transaction.atomic():
        before = Attestation.objects.filter(
            tenant=tenant, target=None, key=claim.key, ended_at=None
        )
        _end(before, by_id, at)
        _row(claim, by_id, at, tenant_id=tenant.pk).save()


def withdraw(rows: QuerySet[Attestation], by_id: int | None, at: datetime) -> int:
    """End these attestations; returns how many were still live."""
    with transaction.atomic():
        return _end(rows.filter(ended_at=None), by_id, at)


def _end(rows: QuerySet[Attestation], by_id: int | None, at: datetime) -> int:
    return rows.update(ended_at=at, ended_by_id=by_id)


def _row(
    claim: Claim, by_id: int | None, at: datetime, *, tenant_id: int, target_id: int | None = None
) -> Attestation:
    return Attestation(
        key=claim.key,
        tenant_id=tenant_id,
        target_id=target_id,
        value=claim.value,
        said_by=claim.said_by,
        evidence=claim.evidence,
        expires_at=claim.expires_at,
        made_at=at,
        made_by_id=by_id,
    )
