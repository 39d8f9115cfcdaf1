"""What live tests share: an installation and servers, made once for the tests of a file."""

from collections.abc import Iterator

import pytest

from tests import servers
from tests.live.installation import Installation, installation


@pytest.fixture(scope="module")
def shared_installation() -> Iterator[Installation]:
    with installation() as made:
        yield made


@pytest.fixture
def here(shared_installation: Installation) -> Iterator[Installation]:
    """One installation for all; each test registers pairs of its own and archives the others'.

    It leaves no worker behind.
    """
    yield shared_installation
    shared_installation.stop_workers()
    shared_installation.sql("DELETE FROM registry_worker")


@pytest.fixture(scope="module")
def live_url() -> Iterator[str]:
    with servers.valkey() as server:
        yield server.url
