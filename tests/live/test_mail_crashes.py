"""Celery's workers and beat are killed at random points of an incident, the database and the mail
server end too: nothing is lost."""

import os
import random
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest

from tests.live.installation import ROOT, installation, wait_for
from tests.mail_server import Inbox, serving
from tests.servers import free_port

pytestmark = [pytest.mark.live, pytest.mark.slow]
SPEED = 30  # a window of 30 s is a second, a lease 4 s
WORKERS = ("one", "two")
ROUNDS = 6
PATIENCE_S = 6.0
# The longest pause between two attempts is an hour: two minutes at that pace.
OVER_S = 240
WORKER = "worker -P threads -c 4 -Q control --without-gossip --without-mingle --without-heartbeat"
BEAT = "beat -s {folder}/timetable --pidfile="
ANSWERS = (
    *("250 ok", "250 ok", "250 ok", "slow", "slow", "slow", "drop", "drop", "hang"),
    *("451 4.3.0 later", "554 5.7.1 not like this"),
)
# Taken and never answered, whether its sender is killed meanwhile or gives up: it comes again.
UNANSWERED = ("keep", "keep")
OPENED = "SELECT count(*) FROM findings_transition"
ALL_OPENED = 140 + 2 * 30 + 2 * 30
RETRY = """
from django.utils import timezone
from fleet.alerts.models import Mail
from fleet.alerts.send import retry
print(sum(retry(pk, timezone.now()) for pk in Mail.objects.filter(state="dead").values_list("pk", flat=True)))
"""


class Portal:
    """Two workers and a beat, each to be killed and started anew, and the incident they tell of."""

    def __init__(self, made) -> None:
        self.made, self.begun = made, time.time()
        self.incident = self._start("tests.live.mail_incident", stdin=subprocess.PIPE)
        self.running = {name: self._celery(name) for name in (*WORKERS, "beat")}

    def _celery(self, name) -> subprocess.Popen:
        words = BEAT.format(folder=self.made.folder) if name == "beat" else f"{WORKER} -n {name}@%h"
        return self._start("tests.live.fast_celery", *words.split(), "-l", "WARNING")

    def _start(self, module, *words, stdin=None) -> subprocess.Popen:
        argv = [sys.executable, "-m", module, str(self.begun), str(SPEED), *words]
        with (self.made.folder / "mail.log").open("a") as log:
            return subprocess.Popen(
                argv,
                cwd=ROOT,
                env={**os.environ, **self.made.env},
                stdin=stdin,
                stdout=log,
                stderr=log,
            )

    def kill(self, *names) -> None:
        for name in names:
            self.running[name].kill()
            self.running[name].wait()
            self.running[name] = self._celery(name)

    def go_on(self) -> None:
        """Let the incident go on: it waits for this where the database may be restarted."""
        self.incident.stdin.close()

    def stop(self) -> None:
        if not self.incident.stdin.closed:
            self.go_on()
        for one in (*self.running.values(), self.incident):
            one.kill()
            one.wait()


def test_nothing_is_lost_and_what_comes_twice_is_the_same():
    chance = random.Random(4)
    inbox = Inbox(port=free_port(), chance=chance, answers=ANSWERS, first=[*UNANSWERED])
    with installation() as made, ExitStack() as server:
        made.env |= {"EMAIL_URL": f"smtp://127.0.0.1:{inbox.port}"}
        server.enter_context(serving(inbox))
        portal = Portal(made)
        try:
            kills = trouble(portal, inbox, server, chance)
            assert portal.incident.wait(OVER_S) == 0, (made.folder / "mail.log").read_text()
            inbox.answers = ("250 ok",)
            wait_for(lambda: is_drained(made), OVER_S, "all is told")
            given_up = int(made.manage("shell", "-v", "0", "-c", RETRY))
            wait_for(lambda: is_drained(made), OVER_S, "what was given up is told")
        finally:
            portal.stop()
        print(f"killed {kills}, {given_up} given up and retried")
        judge(made, inbox)


def trouble(portal, inbox, server, chance) -> list[str]:
    """Kill some while the incident goes on, and end the database and the mail server once.

    Half of the kills come at the moment a mail is taken: its sender has no answer yet.
    """
    kills: list[str] = []
    rounds = 0
    is_restarted = False
    while portal.incident.poll() is None or rounds < ROUNDS:
        await_mail(inbox)
        if chance.random() < 0.5:
            victims = WORKERS
        else:
            time.sleep(chance.uniform(0, 2))
            victims = (chance.choice((*WORKERS, "beat")),)
        portal.kill(*victims)
        kills += victims
        rounds += 1
        if not is_restarted and portal.made.sql(OPENED) == [(ALL_OPENED,)]:
            is_restarted = True
            portal.made.stop_postgres()
            server.close()
            portal.made.start_postgres()
            portal.go_on()
            time.sleep(chance.uniform(0, 1))
            server.enter_context(serving(inbox))
    assert is_restarted
    return kills


def await_mail(inbox) -> None:
    """Wait until the server takes a mail; workers that were just killed want some seconds to start."""
    end, taken = time.monotonic() + PATIENCE_S, len(inbox.mails)
    while time.monotonic() < end and len(inbox.mails) == taken:
        time.sleep(0.005)


def is_drained(made) -> bool:
    return made.sql(
        """SELECT NOT EXISTS (SELECT FROM findings_transition WHERE routed_at IS NULL)
        AND NOT EXISTS (SELECT FROM alerts_delivery WHERE state = 'waiting')
        AND NOT EXISTS (SELECT FROM alerts_mail WHERE state IN ('waiting', 'leased'))"""
    ) == [(True,)]


def judge(made, inbox) -> None:
    taken = [one["Message-ID"] for one in inbox.mails]
    sent = {one for (one,) in made.sql("SELECT message_id FROM alerts_mail WHERE state = 'sent'")}
    known = {one for (one,) in made.sql("SELECT message_id FROM alerts_mail")}
    assert sent <= set(taken) <= known, "the server took every mail that is marked so"
    assert made.sql("SELECT count(*) FROM alerts_mail WHERE state = 'dead'") == [(0,)]
    print(f"{len(taken)} mails taken, {len(set(taken))} different")
    assert len(taken) > len(set(taken)), "no mail came twice: nothing was tried here"

    # What each reader believes is what is so; one that was over before its mail went was told to none.
    wrong = made.sql(
        """SELECT g.name, c.name, f.state, k.is_open
        FROM findings_finding f JOIN registry_target g ON g.id = f.target_id
        JOIN alerts_channel c ON c.tenant_id IS NULL OR c.tenant_id = g.tenant_id
        LEFT JOIN alerts_told k ON k.channel_id = c.id AND k.target_id = g.id
        WHERE CASE WHEN starts_with(g.name, 'fail-')
            THEN coalesce(k.is_open, false) <> (f.state = 'open') ELSE k.id IS NOT NULL END"""
    )
    assert wrong == []
    # Every finding of which somebody was to hear stands in a mail that was sent.
    untold = made.sql(
        """SELECT g.name, c.name FROM findings_finding f JOIN registry_target g ON g.id = f.target_id
        JOIN alerts_channel c ON c.tenant_id IS NULL OR c.tenant_id = g.tenant_id
        WHERE starts_with(g.name, 'fail-') AND f.state = 'open' AND NOT EXISTS (
            SELECT FROM alerts_delivery d JOIN alerts_mail m ON m.id = d.mail_id
            JOIN findings_transition t ON t.id = d.transition_id
            WHERE d.channel_id = c.id AND t.finding_id = f.id AND m.state = 'sent')"""
    )
    assert untold == []
    texts = [one.get_body(("plain",)).get_content() for one in inbox.mails]
    assert [text for text in texts if "brief-" in text or "waived-" in text] == []
