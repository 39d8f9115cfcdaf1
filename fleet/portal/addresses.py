"""Where each page of pairs and findings is, with the filters its list understands."""

from __future__ import annotations

from urllib.parse import urlencode

from django.urls import reverse

# What ?name=value narrows; a list refuses any other name.
PAIR_FILTERS = (
    "compliance",
    "health",
    "tenant",
    "environment",
    "zone",
    "engine",
    "version",
    "redis_only",
    "state",
    "reason",  # a reason code: pairs of which a core rule is unknown for it
    "rtt",  # "1-2": from 1 ms to below 2
    "memory",  # "80-90": percent of the ceiling
    "snapshot",  # "300-900": seconds since the last one
    "q",
)
FINDING_FILTERS = (
    "state",
    "severity",
    "rule",
    "kind",
    "tenant",
    "environment",
    "zone",
    "since",  # "24h": scored, and in its state for less than a day
    "waiver",  # its id
    "mail",  # its id: what that mail told of, in whatever state it is now
    "q",
)

MAIL_FILTERS = ("state", "kind", "channel", "tenant", "q")


def pairs(**filters: object) -> str:
    """Give the pair list, narrowed: `pairs(compliance="non_compliant", tenant=7)`."""
    return _list("admin:registry_pair_changelist", PAIR_FILTERS, filters)


def findings(**filters: object) -> str:
    """Give the finding list, narrowed: `findings(rule="pair.rtt")`; open ones unless said."""
    return _list("admin:findings_finding_changelist", FINDING_FILTERS, filters)


def mails(**filters: object) -> str:
    """Give the deliveries log, narrowed: `mails(state="dead")`."""
    return _list("admin:alerts_mail_changelist", MAIL_FILTERS, filters)


def mail(mail_id: int) -> str:
    """Give the page of one mail of the log."""
    return reverse("admin:alerts_mail_change", args=[mail_id])


def pair(target_id: int) -> str:
    """Give the page of one pair."""
    return reverse("admin:registry_pair_change", args=[target_id])


def backups(target_id: int) -> str:
    """Where a pair's backups are told."""
    return reverse("admin:registry_pair_backups", args=[target_id])


def finding(finding_id: int) -> str:
    """Give the page of one finding."""
    return reverse("admin:findings_finding_change", args=[finding_id])


def waiver(waiver_id: int) -> str:
    """Give the page of one waiver."""
    return reverse("admin:findings_waiver_change", args=[waiver_id])


def waivers(view: str = "") -> str:
    """Give the list of waivers: those in force unless another view is named."""
    url = reverse("admin:findings_waiver_changelist")
    return f"{url}?{urlencode({'view': view})}" if view else url


def maintenance(window_id: int) -> str:
    """Give the page of one maintenance window."""
    return reverse("admin:findings_maintenancewindow_change", args=[window_id])


def maintenances(view: str = "") -> str:
    """Give the list of maintenance windows: those under way unless another view is named."""
    url = reverse("admin:findings_maintenancewindow_changelist")
    return f"{url}?{urlencode({'view': view})}" if view else url


def attest(target_id: int, key: str) -> str:
    """Give the form that attests one key of one pair."""
    url = reverse("admin:registry_pair_attestations", args=[target_id])
    return f"{url}?{urlencode({'key': key})}#pk-attest"


def _list(name: str, known: tuple[str, ...], filters: dict[str, object]) -> str:
    strange = sorted(set(filters) - set(known))
    if strange:
        raise ValueError(f"{name} has no filter {strange[0]}; it has {', '.join(known)}")
    query = urlencode({key: value for key, value in filters.items() if value not in (None, "")})
    return reverse(name) + (f"?{query}" if query else "")
