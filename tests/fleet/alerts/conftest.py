"""Fixtures; models are imported when wanted, for this file is read before the settings are."""

from datetime import timedelta

import pytest

from tests.mail_server import mail_server


@pytest.fixture
def inbox(settings):
    """A mail server that the portal is set to."""
    with mail_server() as found:
        settings.HAS_MAIL = True
        settings.EMAIL_BACKEND = "fleet.alerts.channels.smtp.AnsweringBackend"
        settings.EMAIL_HOST = "127.0.0.1"
        settings.EMAIL_PORT = found.port
        settings.EMAIL_TIMEOUT = 2
        settings.BASE_URL = "https://pairkeeper.example.com"
        settings.DEFAULT_FROM_EMAIL = "Pairkeeper <pairkeeper@example.com>"
        settings.MAIL_DOMAIN = "example.com"
        yield found


@pytest.fixture
def story(inbox, db):
    from tests.fleet.alerts.stories import Story  # noqa: PLC0415

    return Story(inbox)


@pytest.fixture
def waiver(db):
    """Make a live waiver over a finding."""
    from fleet.findings.models import Waiver  # noqa: PLC0415
    from tests.fleet.alerts.stories import START  # noqa: PLC0415
    from tests.fleet.factories import make_person  # noqa: PLC0415

    def make(finding):
        by = make_person("signer")
        return Waiver.objects.create(
            tenant=finding.target.tenant,
            target=finding.target,
            rule_id=finding.rule_id,
            severity="critical",
            kind="accepted_risk",
            reason="accepted until the move",
            requested_by=by,
            requested_at=START,
            approved_by=by,
            approved_at=START,
            expires_at=START + timedelta(days=20),
        )

    return make


@pytest.fixture
def maintenance(db):
    """Silence pairs for some minutes from now on."""
    from fleet.findings.maintenance import Plan, start  # noqa: PLC0415
    from tests.fleet.factories import make_person  # noqa: PLC0415

    def begin(pairs, now, minutes):
        targets = frozenset(pair.target_id for pair in pairs)
        whose = pairs[0].target.tenant_id
        end = now + timedelta(minutes=minutes)
        start(Plan(now, end, targets, whose), make_person("keeper").pk, now)

    return begin
