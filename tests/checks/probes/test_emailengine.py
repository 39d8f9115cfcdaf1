"""A round of questions to an EmailEngine: order, one at a time, and what may go wrong."""

import asyncio
import gzip
import re
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.address import EmailEngineAddress
from checks.egress import EgressRules
from checks.facts import Missing
from checks.probes.emailengine import EmailEngineTarget, probe_emailengine
from checks.probes.http import MAX_BODY_BYTES, Clients
from tests.loopback import saying, serving, shut_port
from tests.replaying import Page, emailengine, recorded

RULES = EgressRules(allow_loopback=True)
NO_REDIS = Missing("undetermined", "not asked in this test")
PAGES = {
    "/health": Page(),
    "/v1/stats": recorded("/v1/stats", "stats-ok.json"),
    "/metrics": recorded("/metrics", "metrics-ok.txt"),
}


def target(port, host="127.0.0.1", **options):
    address = EmailEngineAddress("http", host, port, options.pop("path", ""))
    tokens = {"metrics_token": "mmm", "api_token": "aaa"}
    return EmailEngineTarget(address, **{**tokens, "rules": RULES, **options})


def visit(port, *, with_stats=True, redis=NO_REDIS, **options):
    async def ask():
        async with Clients() as clients:
            return await probe_emailengine(
                target(port, **options), clients, with_stats=with_stats, redis=redis
            )

    return asyncio.run(ask())


def test_a_round_in_order_and_one_at_a_time():
    with emailengine(PAGES) as engine:
        started = time.perf_counter()
        reading = visit(engine.port, key_prefix="p")
        took_s = time.perf_counter() - started

    assert engine.asked == [
        ("/health", None),
        ("/v1/stats?seconds=3600", "Bearer aaa"),
        ("/metrics", "Bearer mmm"),
    ]
    assert engine.most_at_once == 1
    facts = reading.facts
    assert (facts.url, facts.key_prefix) == (f"http://127.0.0.1:{engine.port}", "p")
    assert (facts.health_status, facts.version, facts.redis_ping_us) == (200, "2.79.2", 406.141)
    assert 0 < facts.health_s < took_s
    assert 0 < facts.network_us < 10_000
    assert [queue.is_paused for queue in facts.queues] == [False, False, False]
    assert facts.license_days_remaining == 0
    assert facts.uptime_s > 0
    assert [name for name, _ in reading.raw] == ["GET /health", "GET /v1/stats", "GET /metrics"]
    assert "aaa" not in repr(reading)
    assert "mmm" not in repr(target(1))


def test_between_the_rounds_only_health():
    with emailengine(PAGES) as engine:
        facts = visit(engine.port, with_stats=False).facts

    assert engine.paths == ["/health"]
    assert facts.queues.text == "not read in this visit"


def test_behind_a_proxy_s_path():
    with emailengine({"/ee/health": Page()}) as engine:
        facts = visit(engine.port, with_stats=False, path="/ee").facts

    assert (facts.health_status, facts.url) == (200, f"http://127.0.0.1:{engine.port}")


def test_without_tokens():
    with emailengine(PAGES) as engine:
        facts = visit(engine.port, api_token="", metrics_token="").facts

    assert engine.paths == ["/health"]
    assert facts.queues == Missing("not_configured", "no API token is registered")
    assert facts.license_days_remaining == Missing(
        "not_configured", "no metrics token is registered"
    )


def test_with_the_metrics_token_alone():
    with emailengine(PAGES) as engine:
        facts = visit(engine.port, api_token="").facts

    assert [queue.name for queue in facts.queues] == ["notify", "submit", "documents"]
    assert facts.redis_ping_us == 109.005
    assert facts.redis_warnings.reason == "not_configured"


def test_a_refused_token_is_no_silence():
    pages = {**PAGES, "/v1/stats": Page(401, b"{}"), "/metrics": Page(403, b"<html>")}
    with emailengine(pages) as engine:
        facts = visit(engine.port).facts

    assert facts.redis_warnings == Missing(
        "auth", "/v1/stats answers 401: the token is revoked or expired"
    )
    assert facts.license_days_remaining.reason == "no_permission"


@pytest.mark.parametrize("status", [200, 502, 302, 404])
def test_tokens_are_not_sent_to_a_stranger(status):
    pages = {**PAGES, "/health": Page(status, b"<html>hello</html>", {"Location": "/elsewhere"})}
    with emailengine(pages) as engine:
        facts = visit(engine.port).facts

    assert engine.paths == ["/health"]
    assert facts.queues.reason == ("protocol" if status == 200 else "http_status")
    assert facts.health_status == (facts.health_s if status == 200 else status)


def test_a_canary_that_may_not_write_is_asked_on():
    pages = {**PAGES, "/health": Page(500, b"<html>"), "/v1/stats": Page(401, b"{}")}
    with emailengine(pages) as engine:
        facts = visit(engine.port).facts

    assert len(engine.paths) == 3
    assert (facts.health_status, facts.redis_warnings.reason) == (500, "auth")


@pytest.mark.parametrize(
    "headers", [{}, {"Content-Length": str(MAX_BODY_BYTES + 1)}, {"Transfer-Encoding": "chunked"}]
)
def test_an_endless_answer(headers):
    flood = b"x" * (MAX_BODY_BYTES + 1)
    if "Transfer-Encoding" in headers:
        flood = b"%x\r\n%s\r\n0\r\n\r\n" % (len(flood), flood)
    pages = {**PAGES, "/metrics": Page(200, flood, headers)}
    with emailengine(pages) as engine:
        facts = visit(engine.port).facts

    assert facts.license_days_remaining == Missing(
        "too_large", "/metrics answers more than 1048576 bytes"
    )
    assert facts.version == "2.79.2"


def test_a_small_body_that_would_unpack_into_a_large_one():
    bomb = gzip.compress(b"0" * 50_000_000)
    pages = {**PAGES, "/metrics": Page(200, bomb, {"Content-Encoding": "gzip"})}
    with emailengine(pages) as engine:
        assert visit(engine.port).facts.license_days_remaining.reason == "protocol"


def health_of(port, **options):
    facts = visit(port, with_stats=False, **options).facts
    assert facts.health_s == facts.health_status
    return facts.health_status.reason, facts.health_status.text


def test_nobody_there():
    with shut_port() as port:
        reason, text = health_of(port)

    assert (reason, text) == ("refused", "EmailEngine was not reached: connection refused")


def test_an_address_that_the_rules_deny():
    assert health_of(80, host="169.254.169.254") == (
        "blocked_address",
        "169.254.169.254 is a cloud metadata service",
    )
    assert health_of(80, rules=EgressRules())[0] == "blocked_address"


def test_a_name_that_does_not_exist():
    assert health_of(80, host="no-such-name.invalid")[0] == "dns"


def test_a_server_that_hangs_up():
    with serving(saying(b"", then_wait=False)) as port:
        assert health_of(port)[0] == "refused"


def test_a_server_of_another_protocol():
    with serving(saying(b"+PONG\r\n")) as port:
        assert health_of(port)[0] == "protocol"


HTTP = b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n"
PARTS = st.sampled_from([HTTP, b'{"success":true}', b"HTTP/1.1 500 X\r\n\r\n", b"\r\n", b"5\r\n"])


@settings(max_examples=40)
@given(st.lists(st.one_of(PARTS, st.binary(max_size=20)), max_size=8))
def test_whatever_is_answered_is_a_reading(parts):
    with serving(saying(b"".join(parts), then_wait=False)) as port:
        facts = visit(port, deadline_s=1.0).facts

    assert isinstance(facts.health_status, Missing | int)


def test_plain_text_where_tls_is_wanted():
    with serving(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        address = EmailEngineAddress("https", "127.0.0.1", port)

        async def ask():
            async with Clients() as clients:
                tls = EmailEngineTarget(address, rules=RULES)
                reading = await probe_emailengine(tls, clients, with_stats=False, redis=NO_REDIS)
                return reading.facts.health_status

        assert asyncio.run(ask()).reason == "tls"


def test_a_hung_instance_costs_the_deadline_and_is_left_alone_until_it_answers():
    release = threading.Event()
    pages = {**PAGES, "/health": Page(wait=lambda: release.wait(60))}

    async def ask(engine, clients, **options):
        slow = target(engine.port, **options)
        started = time.perf_counter()
        reading = await probe_emailengine(slow, clients, with_stats=True, redis=NO_REDIS)
        return reading.facts, time.perf_counter() - started

    async def visits(engine):
        async with Clients() as clients:
            late, late_s = await ask(engine, clients, deadline_s=0.2)
            again, again_s = await ask(engine, clients, deadline_s=0.2)
            release.set()
            well, _ = await ask(engine, clients, deadline_s=30)
            return late, late_s, again, again_s, well

    with emailengine(pages) as engine:
        late, late_s, again, again_s, well = asyncio.run(visits(engine))

    assert late.health_status == Missing("timeout", "EmailEngine: no answer within 0.2 s")
    assert late.queues == late.health_status
    assert 0.2 <= late_s < 10
    assert again.health_status.reason == "timeout"
    said = re.fullmatch(
        r"EmailEngine: an earlier request is unanswered for (\d+) s", again.health_status.text
    )
    assert 0 <= int(said[1]) <= round(late_s + again_s)
    assert well.health_status == 200
    # The abandoned round asked nothing more once its /health was answered.
    assert engine.paths == ["/health", "/health", "/v1/stats?seconds=3600", "/metrics"]
    assert engine.most_at_once == 1


def test_what_was_learnt_before_the_deadline_is_kept():
    release = threading.Event()
    pages = {**PAGES, "/metrics": Page(wait=lambda: release.wait(60))}
    with emailengine(pages) as engine:
        facts = visit(engine.port, deadline_s=2).facts
        release.set()

    assert (facts.health_status, facts.version) == (200, "2.79.2")
    assert facts.license_days_remaining.reason == "timeout"


def test_visits_to_one_instance_wait_for_each_other():
    pages = {**PAGES, "/health": Page(wait=lambda: time.sleep(0.05))}

    async def both(engine):
        async with Clients() as clients:
            rounds = (
                probe_emailengine(target(engine.port), clients, with_stats=True, redis=NO_REDIS)
                for _ in range(3)
            )
            return await asyncio.gather(*rounds)

    with emailengine(pages) as engine:
        readings = asyncio.run(both(engine))

    assert [reading.facts.health_status for reading in readings] == [200, 200, 200]
    assert (engine.most_at_once, len(engine.asked)) == (1, 9)


def test_an_error_of_our_own_is_not_hidden():
    async def broken():
        raise ZeroDivisionError

    async def ask():
        async with Clients() as clients:
            await clients.alone("http://ee", broken, 1.0)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(ask())


def test_a_cancelled_visit_leaves_no_task_behind():
    pages = {**PAGES, "/health": Page(wait=lambda: time.sleep(0.3))}

    async def ask(engine):
        async with Clients() as clients:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await probe_emailengine(
                        target(engine.port), clients, with_stats=True, redis=NO_REDIS
                    )
        return asyncio.all_tasks() - {asyncio.current_task()}

    with emailengine(pages) as engine:
        assert asyncio.run(ask(engine)) == set()
