"""Why is somebody mailed about a finding, or not? In words, by the same table that decides it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fleet.alerts.decide import RANKS, Fate, LastTold, News, decide
from fleet.alerts.models import Channel, Delivery, Mail, Told
from fleet.alerts.recipients import About, Ears, ear_of
from fleet.findings.maintenance import silenced
from fleet.findings.models import Finding, Transition
from fleet.registry.models import Target

Instant = Callable[[datetime], str]
# Why news is not mailed, or not yet: what Delivery.reason says, in words.
REASONS: Final[Mapping[str, object]] = {
    "stopped": gettext_lazy("the channel is stopped, not verified, or not of the pair's tenant"),
    "archived": gettext_lazy("the pair is archived"),
    "maintenance": gettext_lazy("waits for the end of maintenance"),
    "paused": gettext_lazy("waits until the pair is checked again"),
    "often": gettext_lazy("waits: there were three mails about this pair lately"),
    "acknowledged": gettext_lazy("an acknowledgement is mailed to nobody"),
    "waived": gettext_lazy("a waiver covers it"),
    "below": gettext_lazy("less severe than the channel wants"),
    "told": gettext_lazy("told already"),
    "eased": gettext_lazy("less severe than told: stands in the digest"),
    "flapping": gettext_lazy("comes and goes: quiet until it is calm"),
    "over": gettext_lazy("over before it was mailed"),
    "withdrawn": gettext_lazy("no longer judged: no recovery is mailed"),
}


@dataclass(frozen=True)
class Explanation:
    """What one channel hears of one finding: `is_mailed` where it was, or would be now."""

    finding: Finding
    channel: Channel
    is_mailed: bool
    words: str


def explain(
    target: Target,
    findings: Collection[Finding],
    channels: Sequence[Channel],
    now: datetime,
    instant: Instant,
) -> list[Explanation]:
    """Explain every live finding of a target to every channel given. Five queries.

    `instant` writes a time as the reader wants it.
    """
    told, on_way = _told(target, channels), _on_way(target, channels)
    waits = _waiting(target, channels)
    is_silenced = bool(silenced([target.pk], now))
    ears = Ears(ear_of(one) for one in channels if one.is_told)
    return [
        Explanation(finding, channel, is_mailed=True, words=_("in a mail that is on its way"))
        if (channel.pk, finding.rule_id) in on_way
        else _explained(
            target, finding, channel, told, ears, waits, now, instant, is_silenced=is_silenced
        )
        for finding in findings
        for channel in channels
    ]


def _on_way(target: Target, channels: Sequence[Channel]) -> set[tuple[int, str]]:
    """Give what stands in a mail that is not sent yet, by channel and rule."""
    rows = Delivery.objects.filter(
        transition__finding__target=target,
        channel__in=channels,
        state=Delivery.State.MAILED,
        mail__state__in=[Mail.State.WAITING, Mail.State.LEASED],
    )
    return set(rows.values_list("channel_id", "transition__finding__rule_id"))


def _waiting(target: Target, channels: Sequence[Channel]) -> set[tuple[int, str]]:
    """Give what is still to be grouped, or even to be routed, by channel and rule."""
    rows = Delivery.objects.filter(
        transition__finding__target=target, channel__in=channels, state=Delivery.State.WAITING
    )
    unrouted = Transition.objects.filter(finding__target=target, routed_at=None)
    rules = set(unrouted.values_list("finding__rule_id", flat=True))
    return {
        *rows.values_list("channel_id", "transition__finding__rule_id"),
        *((channel.pk, rule_id) for channel in channels for rule_id in rules),
    }


def _told(target: Target, channels: Sequence[Channel]) -> dict[tuple[int, str], Told]:
    rows = Told.objects.filter(target=target, channel__in=channels)
    return {(row.channel_id, row.rule_id): row for row in rows}


def _explained(
    target: Target,
    finding: Finding,
    channel: Channel,
    told: Mapping[tuple[int, str], Told],
    ears: Ears,
    waits: Collection[tuple[int, str]],
    now: datetime,
    instant: Instant,
    *,
    is_silenced: bool,
) -> Explanation:
    row = told.get((channel.pk, finding.rule_id))
    about = About(target.tenant_id, target.environment, finding.rule_id, finding.severity)
    deaf = next(_deaf(channel, finding, about, ears), "")
    if deaf:
        return Explanation(finding, channel, is_mailed=False, words=deaf)
    of_channel = (one for (channel_id, _rule), one in told.items() if channel_id == channel.pk)
    times = frozenset(at for one in of_channel for at in one.told_at)
    news = replace(_news(target, finding, channel, row), target_told_at=times)
    fate = decide(news, now, is_silenced=is_silenced)
    if fate.reason == "told" and row:
        return Explanation(
            finding, channel, is_mailed=True, words=_was_told(finding, row, now, instant)
        )
    if fate.kind == "tell" and (channel.pk, finding.rule_id) not in waits:
        words = _("it opened before the channel wanted to hear of it: stands in the digest only")
        return Explanation(finding, channel, is_mailed=False, words=words)
    if fate.kind == "tell":
        words = _(
            "would be mailed now; the first of a tenant's mails waits half a minute for others"
        )
        return Explanation(finding, channel, is_mailed=True, words=words)
    return Explanation(finding, channel, is_mailed=False, words=_reason(fate))


def _deaf(channel: Channel, finding: Finding, about: About, ears: Ears) -> Iterator[str]:
    """Give the reasons for which it is not routed there at all, the plainest first."""
    if channel.verified_at is None:
        yield _("its address is not verified")
    if channel.stopped_at is not None:
        yield _("its owner stopped these mails")
    if finding.state == Finding.State.PENDING:
        yield _("not confirmed yet")
    if finding.severity == Finding.Severity.INFO:
        yield _("a note: stands in the digest only")
    if channel.pk in ears.told(about):
        return
    if RANKS[about.severity] < RANKS[channel.min_severity]:
        yield _("the channel wants criticals only")
    if channel.environments and about.environment not in channel.environments:
        yield _("the channel wants other environments: %s") % ", ".join(channel.environments)
    yield _("the channel wants other subjects: %s") % ", ".join(channel.subjects)


def _was_told(finding: Finding, row: Told, now: datetime, instant: Instant) -> str:
    words = _("told at %s") % instant(row.told_at[-1])
    until = finding.acknowledged_until
    if until is not None and until > now:
        return _("%(told)s; acknowledged, so no reminder until %(until)s") % {
            "told": words,
            "until": instant(until),
        }
    if row.next_reminder_at is None:
        return words
    return _("%(told)s; next reminder at %(at)s") % {
        "told": words,
        "at": instant(max(row.next_reminder_at, now)),
    }


def _reason(fate: Fate) -> str:
    return str(REASONS[fate.reason])


def reason_in_words(reason: str) -> str:
    """Say why a delivery was dropped or waits; an unknown reason stays as it is."""
    return str(REASONS.get(reason, reason))


def _news(target: Target, finding: Finding, channel: Channel, row: Told | None) -> News:
    """Put the finding as it stands as if it had just opened."""
    return News(
        channel_id=channel.pk,
        tenant_id=target.tenant_id,
        target_id=target.pk,
        zone_id=target.zone_id,
        rule_id=finding.rule_id,
        finding_id=finding.pk,
        state=finding.state,
        severity=finding.severity,
        opened_at=finding.opened_at,
        first_at=finding.opened_at or finding.first_seen_at,
        least=channel.min_severity,
        causes=frozenset({"opened"}),
        delivery_ids=(),
        target_state=target.state,
        is_waived=finding.waiver_id is not None,
        is_flapping=finding.flapping_since is not None,
        told=_last(row) if row else None,
    )


def _last(row: Told) -> LastTold:
    return LastTold(
        is_open=row.is_open,
        severity=row.severity,
        finding_id=row.finding_id,
        opened_at=row.opened_at,
        is_flapping=row.is_flapping,
        at=tuple(row.told_at),
        mail_id=row.mail_id,
    )


def by_finding(found: Iterable[Explanation]) -> list[tuple[Finding, list[Explanation]]]:
    """Put what was explained together by finding, in the order given."""
    groups: dict[int, tuple[Finding, list[Explanation]]] = {}
    for one in found:
        groups.setdefault(one.finding.pk, (one.finding, []))[1].append(one)
    return list(groups.values())
