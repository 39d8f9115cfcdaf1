"""From a fault to the mail that was taken, with the intervals of a new installation."""

import json
import time

from tests import servers
from tests.bench.faces import SECRET
from tests.live.installation import installation, wait_for
from tests.live.test_fault_to_mail import BOUND_S, CHANNEL, DEFAULT_INTERVAL_S
from tests.mail_server import mail_server

# Nothing to tell of before the fault: a mail just sent would hold back the next one for 5 minutes.
HEALTHY = (
    *("save", "900 1 300 10", "maxmemory", "64mb", "maxmemory-policy", "noeviction"),
    *("tcp-keepalive", "300", "requirepass", SECRET),
)
SIGN_IN = """
from fleet.registry.models import Pair
pair = Pair.objects.get()
pair.redis_password = "env:PAIRKEEPER_SECRET_BENCH"
pair.save()
"""
INTERVALS = json.dumps({"default": dict.fromkeys(("health", "latency"), DEFAULT_INTERVAL_S)})


def measure() -> float:
    """Seconds from the end of a Redis, right after a visit, until the mail server has the mail."""
    with installation() as here, mail_server() as inbox, servers.valkey(*HEALTHY) as server:
        here.env["EMAIL_URL"] = f"smtp://127.0.0.1:{inbox.port}"
        here.manage("shell", "-v", "0", "-c", CHANNEL)
        here.env["PAIRKEEPER_SECRET_BENCH"] = SECRET
        ids = here.register([server.url])
        here.manage("shell", "-v", "0", "-c", SIGN_IN)
        here.sql("UPDATE registry_fleetsettings SET intervals = %s::jsonb", INTERVALS)
        here.start_worker("mailer")
        wait_for(lambda: here.is_visited(ids, 2), 2 * BOUND_S, "two visits")
        server.stop()
        begun = time.monotonic()
        wait_for(lambda: any("failing" in one for one in inbox.subjects()), 2 * BOUND_S, "the mail")
        return time.monotonic() - begun
