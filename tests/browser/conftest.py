"""Pages of the portal in the system's Chromium, on a live server."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import sync_playwright

PASSWORD = "correct horse battery staple"
AXE = Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
SIZES = {"desktop": (1440, 900), "phone": (390, 844)}


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def chromium(django_db_setup):
    """One browser for a file's tests.

    Playwright's sync API keeps an event loop in this thread: Django would refuse its ORM there,
    and asyncio.run would refuse to start, so it ends before another file's tests begin.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("the system has no Chromium")
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


class Visitor:
    """A person at a browser. Everything the pages complain of is kept and must be empty."""

    def __init__(self, browser, address, theme="light", size="desktop"):
        width, height = SIZES[size]
        self.address = address
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme
        )
        self.context.add_init_script(
            # A frame in a sandbox has no storage: that is what it is for.
            f"if (origin !== 'null') localStorage.setItem('_x_adminTheme', JSON.stringify('{theme}'))"
        )
        self.page = self.context.new_page()
        self.faults = []
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        self.page.on("request", self._on_request)
        self.page.on("response", self._on_response)

    def _on_console(self, message):
        if message.type in {"error", "warning"}:
            self.faults.append(f"console: {message.text}")

    def _on_request(self, request):
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.faults.append(f"outside request: {request.url}")

    def _on_response(self, response):
        if response.status >= 400:
            self.faults.append(f"HTTP {response.status}: {response.url}")

    def sign_in(self, name):
        self.page.goto(f"{self.address}/admin/login/")
        self.page.fill("[name=username]", name)
        self.page.fill("[name=password]", PASSWORD)
        self.page.click("#login-form button[type=submit]")
        self.page.wait_for_selector("#nav-sidebar", state="attached")
        return self

    def open(self, path):
        self.page.goto(self.address + path)
        # Unfold hides the page until its script has run.
        self.page.wait_for_function("() => !document.documentElement.hasAttribute('x-cloak')")
        return self.page

    def violations(self):
        """What axe finds against WCAG 2 A and AA, one line each."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate(
            "() => axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})"
        )
        return [
            f"{one['id']}: {node['target']} {json.dumps(node['any'][:1])[:300]}"
            for one in found["violations"]
            for node in one["nodes"]
        ]

    def overflow(self):
        """How many pixels the page is wider than the window."""
        return self.page.evaluate(
            "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )


@pytest.fixture
def visitor(chromium, live_server, request, django_user_model):
    """An operator who has signed in; param: (theme, size)."""
    theme, size = getattr(request, "param", ("light", "desktop"))
    django_user_model.objects.create_superuser(
        "mara", password=PASSWORD, first_name="Mara", last_name="Lindt"
    )
    person = Visitor(chromium, live_server.url, theme, size).sign_in("mara")
    yield person
    person.context.close()


@pytest.fixture
def now():
    return timezone.now()
