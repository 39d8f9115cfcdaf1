"""What a webhook is sent fits its schema, for every kind, and holds no secret."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from fleet.alerts import samples
from fleet.alerts.letter import Letter
from fleet.alerts.payload import WRITERS, payload
from fleet.alerts.samples import AT, EVICTION, MEMORY, READER, alert, sample

SCHEMA = json.loads(
    (Path(__file__).resolve().parents[3] / "docs" / "webhook.schema.json").read_text()
)
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
SENT = [name for name in samples.BODIES if name != "verification"]


@pytest.fixture(autouse=True)
def installed(settings):
    settings.BASE_URL = "https://pairkeeper.example.com"


def of(name):
    return json.loads(json.dumps(payload(sample(name), "<1@example.com>")))


@pytest.mark.parametrize("name", SENT)
def test_every_kind_fits_the_schema(name):
    VALIDATOR.validate(of(name))


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)
    assert {kind for kind, _write in WRITERS.values()} == set(SCHEMA["properties"]["kind"]["enum"])


@pytest.mark.parametrize(
    "spoil",
    [
        {"version": 2},
        {"kind": "digest"},
        {"extra": 1},
        {"alert": {}},
    ],
)
def test_the_schema_refuses_what_is_not_ours(spoil):
    with pytest.raises(ValidationError):
        VALIDATOR.validate({**of("warning"), **spoil})


def test_an_alert_is_told_whole():
    assert of("warning") == {
        "version": 1,
        "id": "1@example.com",
        "kind": "alert",
        "at": "2026-11-21T14:18:00+00:00",
        "subject": "[Warning] Northwind Mail: 1 pair at risk",
        "url": "https://pairkeeper.example.com/admin/",
        "alert": {
            "tenant": {"id": 0, "name": "Northwind Mail"},
            "standing": {
                "pairs_count": 2140,
                "non_compliant_count": 29,
                "at_risk_count": 12,
                "compliant_ratio": 0.9243,
                "coverage_ratio": 0.9716,
            },
            "findings": [
                {
                    "id": 8814,
                    "url": "https://pairkeeper.example.com/f/8814/",
                    "pair": "northwind-us-1190",
                    "environment": "production",
                    "rule": "redis.memory-headroom",
                    "kind": "requirement",
                    "move": "opened",
                    "severity": "warning",
                    "was_severity": None,
                    "message": "Redis uses 83% of 4.0\u202fGiB maxmemory; keep it below 80%",
                    "observed": "83% of 4.0\u202fGiB",
                    "required": "< 80%",
                    "worst": None,
                    "opened_at": "2026-11-21T14:18:00+00:00",
                    "resolved_at": None,
                    "engine": "Valkey 8.0.1",
                    "do_now": [
                        {
                            "text": "First see that the Redis host holds it, with room for the "
                            "copies that saving makes.",
                            "is_code": False,
                        },
                        {"text": "CONFIG SET maxmemory 9663676416", "is_code": True},
                    ],
                    "effect": "no restart",
                    "risk": "Add RAM first where a container or virtual machine allows less than "
                    "its host has: a ceiling that RAM cannot hold only moves the crash.",
                }
            ],
            "findings_count": 1,
            "reminder_at": "2026-11-21T18:18:00+00:00",
        },
    }


def test_a_long_list_is_cut_and_counted():
    items = [replace(MEMORY, finding_id=n, opened_at=AT - timedelta(n)) for n in range(300)]
    found = payload(Letter(reader=READER, at=AT, body=alert(*items)), "<1@example.com>")

    assert (len(found["alert"]["findings"]), found["alert"]["findings_count"]) == (100, 300)


def test_no_secret_is_told():
    dsn = "redis://fleet:hunter2@10.0.0.1/0"
    item = replace(EVICTION, pair=dsn, message=dsn, observed=dsn, required=dsn, worst=dsn)
    found = payload(Letter(reader=READER, at=AT, body=alert(item)), "<1@example.com>")

    assert "hunter2" not in json.dumps(found)
