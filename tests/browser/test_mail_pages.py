"""Mails as a client shows them, and the pages about them: clean under axe, at both widths, in both themes."""

import pytest

from fleet.alerts import links
from fleet.alerts.render import render
from fleet.alerts.samples import sample
from tests.fleet.alerts.stories import make_channel
from tests.fleet.factories import make_finding, make_pair, make_state

LOOKS = [("light", "desktop"), ("dark", "phone")]
DARK_INK = "rgb(242, 245, 250)"


@pytest.fixture
def channel(db, now):
    pair = make_pair()
    make_state(pair, now=now)
    make_finding(pair, now=now)
    return make_channel()


@pytest.mark.parametrize("visitor", LOOKS, indirect=True)
def test_channels_log_and_preview(visitor, channel):
    for path in (
        "/admin/alerts/channel/",
        f"/admin/alerts/channel/{channel.pk}/change/",
        "/admin/alerts/mail/",
        "/admin/mails/preview/?kind=opened&view=text",
        "/admin/mails/preview/?kind=opened",
    ):
        visitor.open(path)
        assert (path, visitor.violations(), visitor.overflow()) == (path, [], 0)
    frame = visitor.page.frame_locator(".pk-mailframe")
    assert frame.locator("h1").inner_text() == "2 pairs left compliance"
    assert visitor.faults == []


def test_a_preview_runs_nothing_and_loads_nothing(visitor, channel):
    visitor.open("/admin/mails/preview/")
    visitor.page.locator(".pk-mailframe").evaluate(
        "frame => { frame.srcdoc = '<script>parent.hit = 1</script>"
        '<img src=x onerror="parent.hit = 1"><h1>over</h1>\' }'
    )
    visitor.page.frame_locator(".pk-mailframe").locator("h1").wait_for()

    assert visitor.page.evaluate("() => window.hit") is None


@pytest.mark.parametrize("visitor", LOOKS, indirect=True)
def test_pages_behind_the_links_in_mails(visitor, channel, settings):
    settings.BASE_URL = visitor.address
    address = channel.address
    for url in (links.change(channel.pk, address), links.verify(channel.pk, address)):
        visitor.page.goto(url)
        assert (url, visitor.violations(), visitor.overflow()) == (url, [], 0)
    visitor.page.goto(links.stop(channel.pk, address))
    visitor.page.get_by_role("button").click()
    visitor.page.wait_for_selector("text=These mails are stopped")
    assert visitor.violations() == []
    visitor.page.get_by_role("button").click()
    visitor.page.wait_for_selector("text=What you are mailed")
    assert visitor.faults == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [700, 360])
@pytest.mark.parametrize("name", ["opened", "many", "report"])
def test_a_mail_fits_the_client_and_its_theme(chromium, settings, name, width, theme):
    settings.BASE_URL = "https://pairkeeper.example.com"
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=theme)
    page = context.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_content(render(sample(name)).html)
    wide = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    ink = page.locator("h1").evaluate("one => getComputedStyle(one).color")
    context.close()

    assert (wide <= 0, asked) == (True, [])
    assert (ink == DARK_INK) is (theme == "dark")
