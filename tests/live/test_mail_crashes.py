"""Senders are killed at random points of an incident, and the mail server is no better: nothing is lost."""

import os
import random
import subprocess
import sys
import time

import pytest

from tests.live.installation import ROOT, installation, wait_for
from tests.mail_server import mail_server

pytestmark = [pytest.mark.live]
SPEED = 30  # a window of 30 s is a second, a lease 4 s
WORKERS = 3
ANSWERS = ("250 ok", "250 ok", "250 ok", "slow", "slow", "drop", "451 4.3.0 later")


def start(made, module, begun):
    env = {**os.environ, **made.env}
    argv = [sys.executable, "-m", module, str(begun), str(SPEED)]
    with (made.folder / "mail.log").open("a") as log:
        return subprocess.Popen(argv, cwd=ROOT, env=env, stderr=log)


def test_nothing_is_lost_and_what_comes_twice_is_the_same():
    chance = random.Random(4)
    with installation() as made, mail_server() as inbox:
        inbox.chance, inbox.answers = chance, ANSWERS
        made.env |= {"EMAIL_URL": f"smtp://127.0.0.1:{inbox.port}"}
        begun = time.time()
        workers = [start(made, "tests.live.mail_worker", begun) for _ in range(WORKERS)]
        incident = start(made, "tests.live.mail_incident", begun)
        kills = 0
        try:
            while incident.poll() is None or kills < 10:
                time.sleep(chance.uniform(0.5, 3))
                victim = chance.randrange(WORKERS)
                workers[victim].kill()
                workers[victim].wait()
                kills += 1
                workers[victim] = start(made, "tests.live.mail_worker", begun)
            assert incident.returncode == 0, (made.folder / "mail.log").read_text()
            inbox.answers = ("250 ok",)
            wait_for(lambda: is_drained(made), 120, "all is told")
        finally:
            for one in (*workers, incident):
                one.kill()
                one.wait()
        judge(made, inbox)


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
