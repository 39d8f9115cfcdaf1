"""What is wrong with telling people: mail that is not set up, refused or given up, nobody to tell."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db.models import Count, Min, Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fleet.alerts.alarms import clear_alarm, raise_alarm
from fleet.alerts.items import COUNTED, CRITICAL
from fleet.alerts.models import Channel, Mail
from fleet.alerts.recipients import About, read_ears
from fleet.findings.models import Finding
from fleet.registry.models import Target, Tenant

# Ours. A server that is back within this was restarted; nobody needs to know.
REFUSED_FOR: Final = timedelta(minutes=5)
NAMED: Final = 3

NOT_SET_UP: Final = "mail.not-set-up"
REFUSING: Final = "mail.refusing"
DEAD: Final = "mail.dead"
NOBODY: Final = "alerts.nobody"


def watch(now: datetime) -> None:
    """Raise and clear our alarms as of now. Safe to run twice."""
    for key, found in (
        (NOT_SET_UP, _not_set_up()),
        (REFUSING, _refusing(now)),
        (DEAD, _dead()),
        (NOBODY, _nobody()),
    ):
        if found:
            raise_alarm(key, *found, now)
        else:
            clear_alarm(key, now)


def _not_set_up() -> tuple[str, str] | None:
    """Say nothing of a new installation, which has no pair, nor of one that only uses webhooks."""
    if settings.HAS_MAIL or not Target.objects.filter(state=Target.State.ACTIVE).exists():
        return None
    emails = Channel.objects.filter(kind=Channel.Kind.EMAIL).exists()
    if not emails and Channel.objects.filter(kind=Channel.Kind.WEBHOOK).exists():
        return None
    waiting = Mail.objects.filter(state=Mail.State.WAITING, channel__kind=Channel.Kind.EMAIL)
    count = waiting.count()
    told = ngettext("%(n)s mail waits.", "%(n)s mails wait.", count) % {"n": f"{count:,}"}
    text = _("Mail is not set up: nobody is told when a pair fails.")
    return f"{text} {told}" if count else text, _(
        "Set EMAIL_URL, DEFAULT_FROM and BASE_URL and restart web and workers; what waits is then sent."
    )


def _refusing(now: datetime) -> tuple[str, str] | None:
    rows = Mail.objects.filter(state__in=[Mail.State.WAITING, Mail.State.LEASED]).exclude(error="")
    late = rows.filter(Q(first_tried_at__lte=now - REFUSED_FOR) | Q(awaits_server=True))
    found = late.aggregate(count=Count("pk"), since=Min("first_tried_at"))
    if not found["since"] or now - found["since"] < REFUSED_FOR:
        return None
    error = late.order_by("-first_tried_at").values_list("error", flat=True)[0]
    text = ngettext(
        "%(n)s mail could not be handed over: %(error)s",
        "%(n)s mails could not be handed over: %(error)s",
        found["count"],
    )
    return text % {"n": f"{found['count']:,}", "error": _sentence(error)}, _(
        "Look at the mail server and at EMAIL_URL. Mails are tried again for 24 hours, at least hourly."
    )


def _dead() -> tuple[str, str] | None:
    dead = Mail.objects.filter(state=Mail.State.DEAD)
    count = dead.count()
    if not count:
        return None
    last = dead.select_related("channel").order_by("-made_at")[0]
    text = ngettext(
        "%(n)s mail was given up; the last to %(name)s: %(error)s",
        "%(n)s mails were given up; the last to %(name)s: %(error)s",
        count,
    )
    return text % {"n": f"{count:,}", "name": last.channel.name, "error": _sentence(last.error)}, _(
        "Mend the address or the mail server, then retry them in the deliveries log, or dismiss them."
    )


def _sentence(answer: str) -> str:
    """End a server's words with a full stop: what to do follows them."""
    return f"{answer.rstrip('. ')}."


def _nobody() -> tuple[str, str] | None:
    """Name the tenants with an open critical that no channel wants to hear of."""
    if not settings.HAS_MAIL and not Channel.objects.exists():
        return None  # mail.not-set-up says it already
    ears = read_ears()
    rows = Finding.objects.filter(COUNTED, CRITICAL).order_by()
    kinds = rows.values_list("target__tenant_id", "target__environment", "rule_id").distinct()
    deaf = {one[0] for one in kinds if not ears.wanting(About(*one, "critical"))}
    if not deaf:
        return None
    names = list(Tenant.objects.filter(pk__in=deaf).order_by("name").values_list("name", flat=True))
    shown = ", ".join(names[:NAMED])
    if len(names) > NAMED:
        shown = _("%(names)s and %(n)s more") % {"names": shown, "n": f"{len(names) - NAMED:,}"}
    text = _("Critical findings have no recipient: %(names)s.") % {"names": shown}
    if ears.operators:
        text = f"{text} {_('The operators were told instead.')}"
    return text, _("Give these tenants a verified channel that takes criticals.")
