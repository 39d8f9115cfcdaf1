"""Whatever a name, a message or a server says: a mail is small, whole, tame and holds no secret."""

from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from checks.catalog import RULES
from checks.facts import Engine
from checks.rule import Severity
from fleet.alerts import samples
from fleet.alerts.channels import email
from fleet.alerts.letter import Faults, Letter, Move, Rendered, Trial, Waivers
from fleet.alerts.render import render
from fleet.alerts.samples import AT, EVICTION, NO_WORKER, READER, STORM, WAIVER, alert
from fleet.alerts.writing.tame import tame

SECRET = "hunter2-hunter2"
HOSTILE = (
    f"redis://fleet:{SECRET}@10.0.0.1:6379/0",
    f"password={SECRET}",
    f'"api_token": "{SECRET}"',
    f"EENGINE_SECRET={SECRET}",
    f"sealed:{SECRET}",
    "x\r\nBcc: everybody@example.com\r\n\r\nHello",
    "<script>alert(1)</script><img src=//evil.example/x>",
    '" onmouseover="alert(1)',
    "{{ settings.SECRET_KEY }} {% debug %} %(n)s {0} %s %",
    "\u202egnp.tnemeganam\u202c \u2066abc\u2069",
    "שלום עולם مرحبا بالعالم",
    "👩‍👩‍👧‍👦" * 90,
    "&" * 900,
    "a" * 9000,
    "a-" * 9000,
    "\ud800 half a character",
    "\x00\x1b[31m\x7f\u2028\u2029\x85",
    "-- \nPairkeeper",
    "    CONFIG SET requirepass x",
    "",
    " ",
)
texts = st.sampled_from(HOSTILE) | st.text(max_size=400)
numbers = st.integers(0, 2**53) | st.floats(0, 1e12)
json = st.none() | st.booleans() | numbers | texts | st.lists(numbers | texts, max_size=4)
names = sorted({mark for rule in RULES for mark in ("used_ratio", "wanted_save", "room")})
moments = st.integers(0, 10**7).map(lambda seconds: AT - timedelta(seconds=seconds))
items = st.builds(
    replace,
    st.just(EVICTION),
    finding_id=st.integers(1, 2**60),
    pair=texts,
    rule_id=st.sampled_from([rule.id for rule in RULES]) | texts,
    move=st.sampled_from(Move),
    severity=st.sampled_from(Severity),
    is_requirement=st.booleans(),
    message=texts,
    short=texts,
    observed=texts,
    required=texts,
    opened_at=moments,
    resolved_at=st.none() | st.just(AT),
    cause=texts,
    evidence=st.dictionaries(st.sampled_from(names) | texts, json, max_size=6),
    engine=st.sampled_from(Engine).map(str) | texts,
    engine_version=texts,
    worst=texts,
    others_open=st.integers(0, 3),
)
bodies = st.one_of(
    st.builds(
        lambda tenant, found: replace(alert(*found), tenant=tenant),
        texts,
        st.lists(items, min_size=1, max_size=30),
    ),
    st.builds(
        lambda tenant, found: replace(
            samples.DIGEST, tenant=tenant, opened=found, still_open=found, resolved=found[:1]
        ),
        texts,
        st.lists(items, max_size=20).map(tuple),
    ),
    st.builds(
        lambda name: replace(samples.REPORT, tenant=name, worst_pairs=((name, 3),) * 40), texts
    ),
    st.builds(
        lambda name: replace(
            STORM,
            zone=name,
            tenants=tuple(replace(STORM.tenants[0], tenant=name) for _ in range(90)),
        ),
        texts,
    ),
    st.builds(
        lambda text: Faults(faults=(replace(NO_WORKER, key=text, text=text, cure=text),) * 40),
        texts,
    ),
    st.builds(
        lambda text: Waivers(
            tenant=text,
            tenant_id=1,
            waivers=(replace(WAIVER, scope=text, reason=text, requested_by=text),) * 40,
        ),
        texts,
    ),
    st.builds(lambda text: Trial(channel=text, asked_by=text), texts),
)


WIDE = "👩‍👩‍👧‍👦" * 900
WIDEST = replace(EVICTION, pair=WIDE, message=WIDE, short=WIDE, observed=WIDE, required=WIDE)
LARGEST = (
    alert(*(replace(WIDEST, rule_id=f"redis.{n}", finding_id=10**18 + n) for n in range(200))),
    alert(*(replace(WIDEST, move=Move.RESOLVED, worst=WIDE) for _ in range(200))),
    replace(samples.DIGEST, opened=(WIDEST,) * 200, still_open=(WIDEST,) * 200),
)


class Tags(HTMLParser):
    """What a mail client would see: every tag with its attributes, and whether all are closed."""

    VOID = frozenset({"meta", "br", "img", "input", "!doctype"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.opened, self.names, self.links, self.styles = [], set(), [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.links += [value for name, value in attrs if name in ("href", "src")]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in self.VOID:
            self.opened.append(tag)

    def handle_endtag(self, tag):
        assert self.opened.pop() == tag


@pytest.fixture(autouse=True)
def installed(settings):
    settings.BASE_URL = "https://pairkeeper.example.com"


@given(body=bodies, why=texts, zone=texts, address=st.emails())
@example(body=alert(EVICTION), why=HOSTILE[0], zone=HOSTILE[5], address="a@example.com")
@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_no_mail_is_harmed_by_what_it_tells(body, why, zone, address):
    reader = replace(READER, why=why, time_zone=zone, address=address)
    found = render(Letter(reader=reader, at=AT, body=body))

    assert_is_one_tame_mail(found, address)


@pytest.mark.parametrize("body", LARGEST, ids=["by rule", "lines", "digest"])
def test_the_largest_mail_is_still_small(body):
    found = render(Letter(reader=replace(READER, why=WIDE), at=AT, body=body))

    assert_is_one_tame_mail(found, "a@example.com")


def assert_is_one_tame_mail(found: Rendered, address: str) -> None:
    assert len(found.subject) <= 150
    assert found.subject.isprintable() or "\u202f" in found.subject or "\xa0" in found.subject
    assert "\n" not in found.subject + found.preheader
    raw = email.build(found, to=address, message_id="<1@example.com>").message().as_bytes()
    assert len(raw) <= 30_000
    parsed = message_from_bytes(raw, policy=policy.default)
    assert parsed["Subject"].strip() == found.subject  # a folded header begins with a space
    assert not parsed.get_all("Bcc")
    assert [part.get_content_type() for part in parsed.iter_parts()] == ["text/plain", "text/html"]
    assert all(not part.defects for part in parsed.walk())
    text, html = (part.get_content().replace("\r\n", "\n") for part in parsed.iter_parts())
    assert (text, html) == (found.text, found.html)
    for told in (found.subject, found.preheader, text, html):
        assert SECRET not in told
        assert not {"\u202e", "\x1b"} & set(told)
    assert_is_plain(text)
    assert_is_safe(html)


def assert_is_plain(text: str) -> None:
    for line in text.split("\n"):
        is_command = line.startswith("    ")
        is_address = line.strip().startswith("https://pairkeeper.example.com/")
        assert len(line) <= 72 or is_command or is_address, line


def assert_is_safe(html: str) -> None:
    tags = Tags(html)
    assert tags.opened == []
    assert tags.names <= {
        *("html", "head", "meta", "title", "style", "body", "div", "table", "tr", "td"),
        *("h1", "h2", "b", "bdi", "span", "a"),
    }
    assert all(link.startswith("https://pairkeeper.example.com/") for link in tags.links)


@pytest.mark.parametrize("text", HOSTILE)
def test_tamed_is_one_short_line_without_a_secret(text):
    found = tame(text, 80)

    assert len(found) <= 80
    assert len(found.splitlines()) <= 1
    assert SECRET not in found


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a\r\nb\t c", "a b c"),
        ("4.0\u202fGiB", "4.0\u202fGiB"),
        ("redis://u:p@host:1/0 and rediss://:p@h", "redis://…@host:1/0 and rediss://…@h"),
        ("http://host/a@b", "http://host/a@b"),
        ("ops@northwind.example", "ops@northwind.example"),
        ("requirepass = abc, next", "requirepass = …, next"),
        ("asks for a password; none", "asks for a password; none"),
        ("123456", "1234…"),
        ("x" * 1990 + f" redis://fleet:{SECRET}", "x" * 79 + "…"),
        (f"redis://fleet:{SECRET}" + "x" * 2000 + "@host", "…"),
    ],
)
def test_taming_changes_no_more_than_it_must(text, wanted):
    assert tame(text, 5 if text == "123456" else 80) == wanted
