"""Do our own statements come back as values, and are they planned once?"""

import pytest
from django.db import connection

from fleet.registry.arrays import rows_of

pytestmark = pytest.mark.django_db


def test_a_statement_is_prepared_at_its_first_use_and_djangos_are_not():
    assert rows_of("SELECT %(one)s::int8 + 1", {"one": 41}) == [(42,)]
    assert rows_of("SELECT sum(n)::int8 FROM unnest(%b::int8[]) AS v(n)", [[1, 2]]) == [(3,)]

    with connection.cursor() as cursor:
        for _ in range(10):
            cursor.execute(
                "SELECT statement FROM pg_prepared_statements WHERE statement LIKE %s", ["%+ 1%"]
            )
            found = cursor.fetchall()
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%LIKE%'")
        assert cursor.fetchone() == (0,)
    assert found == [("SELECT $1::int8 + 1",)]
