import pytest

from fleet.history.partitions import forget_days


@pytest.fixture(autouse=True)
def days_made_anew():
    """Forget the partitions that this process made: a test's rollback took them away again."""
    forget_days()
