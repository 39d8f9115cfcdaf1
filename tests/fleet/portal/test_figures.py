from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.template import Context, Template
from django.utils import timezone

from fleet.portal import figures, marks

NOW = datetime(2026, 11, 21, 14, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 3000, "0.0%"),
        (2731, 3000, "91.0%"),
        (2999, 3000, "99.9%"),
        (9999, 10_000, "99.9%"),
        (3000, 3000, "100.0%"),
        (0, 0, "–"),
    ],
)
def test_a_share_is_never_rounded_up(part, whole, text):
    assert figures.share(part, whole) == text


@pytest.mark.parametrize(
    ("seconds", "short", "long"),
    [
        (-3, "0 s", "0 s"),
        (38.9, "38 s", "38 s"),
        (119, "119 s", "119 s"),
        (120, "2 min", "2 min"),
        (97 * 60 + 59, "97 min", "97 min"),
        (7199, "119 min", "119 min"),
        (7200, "2 h", "2 h"),
        (11520, "3 h", "3 h 12 min"),
        (172799, "47 h", "47 h 59 min"),
        (172800, "2 d", "2 d"),
        (565200, "6 d", "6 d 13 h"),
    ],
)
def test_an_age_is_floored_to_its_unit(seconds, short, long):
    assert figures.short_age(seconds) == short.replace(" ", "\u202f")
    assert figures.long_age(seconds) in {long.replace(" ", "\u202f"), unit_space(long)}


def unit_space(text):
    """Thin spaces before units, a plain one between the two."""
    words = text.split(" ")
    pairs = ["\u202f".join(words[at : at + 2]) for at in range(0, len(words), 2)]
    return " ".join(pairs)


def test_an_instant_is_shown_in_the_readers_zone_with_its_name():
    assert figures.instant(NOW) == "21 Nov 2026, 14:18 UTC"
    with timezone.override(ZoneInfo("Europe/Berlin")):
        assert figures.instant(NOW) == "21 Nov 2026, 15:18 CET"
        assert figures.clock(NOW) == "15:18 CET"


def test_an_age_knows_its_instant():
    assert figures.age(NOW - timedelta(minutes=14), NOW) == (
        '<time datetime="2026-11-21T14:04:00+00:00" title="21 Nov 2026, 14:04 UTC">'
        "14\u202fmin</time>"
    )


def test_every_state_has_symbol_and_word():
    tones = {marks.tone(state) for state in marks.MARKS}

    assert tones == {"bad", "warn", "doubt", "good", "note", "outside"}
    assert marks.mark("at_risk") == (
        '<span class="pk-mark pk-warn"><svg class="pk-sym" width="16" height="16" '
        'aria-hidden="true" focusable="false"><use href="/static/portal/sprite.svg#warn"></use>'
        "</svg><span>At risk</span></span>"
    )


def test_a_bare_symbol_still_says_its_word():
    assert '<span class="pk-sr">Critical</span>' in marks.symbol("critical")


def test_code_is_escaped_and_can_be_copied():
    text = Template("{% load pairkeeper %}{% code line %}").render(
        Context({"line": "CONFIG SET save '<script>'"})
    )

    assert "CONFIG SET save &#x27;&lt;script&gt;&#x27;" in text
    assert "data-pk-copy" in text
