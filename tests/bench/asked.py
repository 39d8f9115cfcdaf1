"""Which pages the bench asks for, as one person who sees the whole fleet, and how many queries each takes."""

from __future__ import annotations

from datetime import timedelta

from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from checks.facts import REASONS
from fleet.findings.models import Finding
from fleet.inspections.dryrun import run_dry
from fleet.inspections.models import DryRun
from fleet.people.models import User
from fleet.portal import addresses
from fleet.portal.ranges import RANGES
from fleet.registry.models import PolicyVersion, Target, Tenant, Worker

PAIRS, FINDINGS = "/admin/registry/pair/", "/admin/findings/finding/"
TENANTS, POLICIES = "/admin/registry/tenant/", "/admin/policies/"
SAID, TRENDS = "/admin/attestations/", "/admin/trends/"
WEEK = timedelta(days=7)
PAIR_COLUMNS = ("", "state", "pair", "", "engine", "rtt", "memory", "snapshot", "backup", "checked")
FINDING_COLUMNS = ("", "severity", "finding", "pair", "", "age")


def pages(person: str) -> dict[str, str]:
    """Name every page and give its address."""
    return {
        "overview": "/admin/",
        "overview_poll": "/admin/overview/",
        **_pair_list(),
        **_finding_list(),
        **_one_pair(),
        **_trends(),
        **_one_finding(),
        **_rules_and_policies(person),
        **_attestations(),
        "tenants": TENANTS,
        "tenants_searched": f"{TENANTS}?q=Tenant+07",
        "backups": "/admin/backups/",
        "backups_oldest": "/admin/backups/?view=oldest",
        "zones": "/admin/zones/",
        "people": "/admin/people/user/",
        "settings": "/admin/registry/fleetsettings/1/change/",
        "add_pair": f"{PAIRS}add/",
        "tenant_names": "/admin/autocomplete/?app_label=registry&model_name=target&field_name=tenant&term=Te",
    }


def _pair_list() -> dict[str, str]:
    narrowed = {
        "compliance": "non_compliant",
        "health": "failing",
        "tenant": _largest_tenant().pk,
        "environment": "staging",
        "zone": "eu-2",
        "engine": "valkey",
        "version": "6.2.14",
        "redis_only": 1,
        "state": Target.State.PAUSED,
        "reason": min(REASONS),
    }
    found = {"pairs": PAIRS, "pairs_last_page": f"{PAIRS}?p=200"}
    found |= {f"pairs_by_{name}": addresses.pairs(**{name: to}) for name, to in narrowed.items()}
    found |= {f"pairs_searched_{word}": f"{PAIRS}?q={word}" for word in ("evicts", "nothing")}
    return found | _sorted("pairs", PAIRS, PAIR_COLUMNS)


def _finding_list() -> dict[str, str]:
    narrowed = {
        "severity": "critical",
        "rule": "redis.durability",
        "kind": "requirement",
        "tenant": _largest_tenant().pk,
        "environment": "staging",
        "zone": "eu-2",
        "since": "24h",
    }
    found = {
        "findings": FINDINGS,
        "findings_last_page": f"{FINDINGS}?p=60",
        "findings_pending": addresses.findings(state="pending"),
        "findings_resolved": addresses.findings(state="resolved"),
        "findings_resolved_far": f"{addresses.findings(state='resolved')}&p=200",
        "findings_resolved_lately": addresses.findings(state="resolved", since="24h"),
        "findings_resolved_searched": f"{addresses.findings(state='resolved')}&q=memory",
        "findings_searched": f"{FINDINGS}?q=forgets",
    }
    found |= {
        f"findings_by_{name}": addresses.findings(**{name: to}) for name, to in narrowed.items()
    }
    return found | _sorted("findings", FINDINGS, FINDING_COLUMNS)


def _sorted(name: str, url: str, columns: tuple[str, ...]) -> dict[str, str]:
    return {
        f"{name}_sorted_{way}{column}": f"{url}?o={way}{place}"
        for place, column in enumerate(columns)
        for way in ("", "-")
        if column
    }


def _one_pair() -> dict[str, str]:
    """Choose one whose visits are kept at the full rate, with EmailEngine and something wrong."""
    wrong = Finding.objects.filter(state="open", target__labels__face="with-emailengine-3")
    pair = wrong.exclude(severity="info").latest("pk").target_id
    url = f"{PAIRS}{pair}"
    return {
        "pair": f"{url}/change/",
        "pair_body": f"{url}/body/",
        **{f"pair_trend_{one.name}": f"{url}/trend/?range={one.name}" for one in RANGES},
        "pair_trend_table": f"{url}/trend/rtt/?range=7d",
        "pair_forecast": f"{url}/forecast/",
        "pair_evidence": f"{url}/evidence/",
        "pair_past_findings": f"{url}/findings/",
        "pair_attestations": f"{url}/attestations/",
        "pair_backups": f"{url}/backups/",
        "pair_changes": f"{url}/changes/",
        "pair_edit": f"{url}/edit/",
    }


def _trends() -> dict[str, str]:
    tenant = _largest_tenant().pk
    then = f"at={(timezone.now() - WEEK):%Y-%m-%dT%H:%M}"
    return {
        "trends": TRENDS,
        "trends_since_24h": f"{TRENDS}?since=24h",
        "trends_since_30d": f"{TRENDS}?since=30d",
        "trends_of_tenant": f"{TRENDS}?tenant={tenant}",
        "trends_data_30d": f"{TRENDS}data/?range=30d",
        "trends_data_90d": f"{TRENDS}data/?range=90d",
        "trends_data_2y": f"{TRENDS}data/?range=2y",
        "trends_data_of_tenant": f"{TRENDS}data/?range=2y&tenant={tenant}",
        "trends_of_overview": f"{TRENDS}data/?range=90d&only=compliance",
        "spread": f"{TRENDS}spread/",
        "spread_of_tenant": f"{TRENDS}spread/?tenant={tenant}",
        "pairs_of_a_bar": f"{PAIRS}?memory=40-60&state=active",
        "forecasts": f"{TRENDS}forecasts/",
        "past_instant": f"{TRENDS}instant/?tenant={tenant}&{then}",
        "past_instant_of_pair": f"{TRENDS}instant/?pair={Target.objects.latest('pk').pk}&{then}",
        "forecasts_of_tenant": f"{TRENDS}forecasts/?tenant={tenant}",
        "trends_table": f"{TRENDS}severities/table/?range=2y",
    }


def _one_finding() -> dict[str, str]:
    open_one = Finding.objects.filter(state="open", severity="critical").latest("pk").pk
    past = Finding.objects.filter(state="resolved").latest("pk").pk
    return {
        "finding": f"{FINDINGS}{open_one}/change/",
        "finding_body": f"{FINDINGS}{open_one}/body/",
        "finding_resolved": f"{FINDINGS}{past}/change/",
    }


def _rules_and_policies(person: str) -> dict[str, str]:
    tenant = _largest_tenant().pk
    return {
        "rules": "/admin/rules/",
        "rule": "/admin/rules/redis.memory-headroom/",
        "policies": POLICIES,
        "policy_of_fleet": f"{POLICIES}edit/?level=fleet",
        "policy_of_tenant": f"{POLICIES}edit/?level=tenant&tenant={tenant}",
        "policy_versions": f"{POLICIES}versions/?level=tenant&tenant={tenant}",
        "policy_dry_run": f"{POLICIES}tries/{_dry_run(person)}/",
        "policy_dry_run_last_page": f"{POLICIES}tries/{_dry_run(person)}/?page=999",
    }


def _attestations() -> dict[str, str]:
    return {
        "attestations": SAID,
        "attestations_of_key": f"{SAID}?key=storage_medium",
        "attestations_of_key_and_tenant": f"{SAID}?key=storage_medium&tenant={_largest_tenant().pk}",
        "attestations_next_page": f"{SAID}?key=storage_medium&page=3",
    }


def _largest_tenant() -> Tenant:
    return Tenant.objects.earliest("pk")


def _dry_run(person: str) -> int:
    """Try, once, a fleet policy that opens a finding on nearly every pair."""
    overrides = {"redis.memory-headroom": {"warn_used_ratio": 0.0001}}
    found = DryRun.objects.filter(overrides=overrides, finished_at__isnull=False).first()
    if found is None:
        now, by = timezone.now(), User.objects.get(username=person)
        base = PolicyVersion.objects.get(level="fleet").number
        found = DryRun.objects.create(
            level="fleet", base=base, overrides=overrides, note="b", asked_by=by, asked_at=now, sent_at=now
        )  # fmt: skip
        run_dry(found.pk, now)
    return found.pk


def man() -> None:
    """Let the one worker stand for a worker in each zone."""
    Worker.objects.update(last_seen_at=timezone.now())


def cookie(person: str) -> str:
    """Sign in; returns the session's key."""
    return _client(person).cookies["sessionid"].value


def count_queries(person: str, path: str) -> int:
    """Count a page's queries with nothing kept from an earlier one."""
    client = _client(person)
    cache.clear()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        answer = client.get(path, HTTP_HOST="127.0.0.1", HTTP_ACCEPT="text/html")
    assert answer.status_code == 200, (path, answer.status_code)
    return len(queries)


def _client(person: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=person))
    return client
