import pytest

from fleet.portal.row_numbers import row_number, row_numbers


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", 7),
        ("9" * 18, 10**18 - 1),
        ("9" * 19, 0),
        ("9" * 5_000, 0),
        ("", 0),
        ("-7", 0),
        ("7.0", 0),
        (" 7", 0),
        ("²", 0),
    ],
)
def test_what_is_no_number_of_a_row_is_none(text, number):
    assert row_number(text) == number


def test_of_several_those_that_are_none_are_left_out():
    assert row_numbers(["7", "x", "", "9" * 19, "8"]) == [7, 8]
