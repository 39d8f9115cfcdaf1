"""Is everything ready before the first request?"""

from pathlib import Path

import pytest
from django.template import Engine
from django.test import Client

from fleet import settings
from fleet.people.models import User
from fleet.portal.warm import warm

pytestmark = pytest.mark.django_db


def compiled() -> set[str]:
    """Name those of our templates that stand compiled in this process."""
    (loader,) = Engine.get_default().template_loaders
    ours = Path(settings.ROOT / "templates")
    return {name for name in loader.get_template_cache if (ours / name).exists()}


@pytest.mark.parametrize("page", ["/admin/", "/admin/registry/pair/", "/admin/findings/finding/"])
def test_the_first_page_compiles_no_template_of_ours(page):
    person = User.objects.create_superuser("ida")
    client = Client()
    client.force_login(person)
    Engine.get_default().template_loaders[0].reset()
    warm()
    before = compiled()

    assert client.get(page).status_code == 200
    assert compiled() - before == set()
