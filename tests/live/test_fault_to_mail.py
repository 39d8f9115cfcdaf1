"""A Redis ends: how long until the mail server has taken the mail about it?"""

import time

import pytest

from tests import servers
from tests.live.installation import INTERVAL_S, wait_for
from tests.mail_server import mail_server

pytestmark = pytest.mark.live
BOUND_S = 150  # with the default interval of 60 s
DEFAULT_INTERVAL_S = 60
CHANNEL = """
from datetime import UTC, datetime
from fleet.alerts.models import Channel
Channel.objects.create(name="Operators", address="ops@example.com", verified_at=datetime.now(UTC))
"""


def test_from_a_fault_to_the_mail_that_was_taken(here):
    with mail_server() as inbox, servers.valkey() as server:
        here.env["EMAIL_URL"] = f"smtp://127.0.0.1:{inbox.port}"
        here.manage("shell", "-v", "0", "-c", CHANNEL)
        ids = here.register([server.url])
        here.start_worker("mailer")
        wait_for(lambda: here.is_visited(ids, 2), 40, "two visits")
        server.stop()
        begun = time.monotonic()
        wait_for(lambda: any("failing" in one for one in inbox.subjects()), BOUND_S, "the mail")
        took_s = time.monotonic() - begun

    assert took_s + DEFAULT_INTERVAL_S - INTERVAL_S <= BOUND_S
    rows = here.sql("SELECT kind, state, attempts FROM alerts_mail WHERE kind = 'alert'")
    assert ("alert", "sent", 1) in rows
