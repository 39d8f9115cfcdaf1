"""What tests of history share: no partition but those that they make."""

from collections.abc import Iterator
from datetime import date

import pytest

from fleet.history import partitions


@pytest.fixture
def no_partitions() -> Iterator[None]:
    """Begin and end with none."""
    wipe()
    yield
    wipe()


def wipe() -> None:
    partitions.forget_days()
    for table in partitions.TABLES:
        partitions.drop_before(table, date(2100, 1, 1))
