"""A dataclass that is quickly made is otherwise the one it was."""

from dataclasses import FrozenInstanceError, dataclass, field, fields, replace

import pytest

from checks.quick import quickly_made


@dataclass(frozen=True, slots=True)
class Slow:
    """One as it comes."""

    count: int
    name: str = "one"
    words: dict[str, int] = field(default_factory=dict)


@quickly_made
@dataclass(frozen=True, slots=True)
class Quick:
    """The same, quickly made."""

    count: int
    name: str = "one"
    words: dict[str, int] = field(default_factory=dict)


def test_it_is_made_of_the_same_fields_with_the_same_defaults():
    assert [(one.name, one.type) for one in fields(Quick)] == [
        (one.name, one.type) for one in fields(Slow)
    ]
    assert repr(Quick(1)) == "Quick(count=1, name='one', words={})"
    assert repr(Quick(1, words={"a": 2})) == "Quick(count=1, name='one', words={'a': 2})"
    assert Quick(1).words is not Quick(1).words


@pytest.mark.parametrize("kind", [Slow, Quick])
def test_what_is_missing_or_unknown_is_refused(kind):
    with pytest.raises(TypeError, match="count"):
        kind()
    with pytest.raises(TypeError, match="size"):
        kind(1, size=2)
    with pytest.raises((AttributeError, TypeError)):
        vars(kind(1))


def test_it_compares_hashes_and_is_replaced_by_its_fields():
    assert Quick(1) == Quick(1, "one") != Quick(2)
    assert hash(Quick(1, words=())) == hash(Quick(1, words=()))
    assert replace(Quick(1), name="two") == Quick(1, "two")


def test_only_mypy_holds_it_frozen():
    made = Quick(1)
    made.count = 2

    assert made == Quick(2)
    with pytest.raises(FrozenInstanceError):
        Slow(1).count = 2
