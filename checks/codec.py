"""Facts and verdicts to JSON and back, for the database and for facts that travel.

A missing fact is `{"missing": [reason, text, rule]}`; a field that holds its default is left
out. Reading is tolerant of age (unknown names are passed over, absent ones take their default
or NOT_READ) and strict about types: what comes back is what the dataclasses promise.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from sys import intern
from typing import (
    Any,
    Final,
    Literal,
    NamedTuple,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from checks.facts import NOT_READ, REASONS, Engine, Missing, PairFacts, Reason
from checks.rule import JSON, Verdict

VERSION: Final = 1
NOT_A_NUMBER: Final = {"missing": ["protocol", "the number read is not finite", ""]}

Encode = Callable[[Any], JSON]
Decode = Callable[[Any, str], Any]
T = TypeVar("T")


class CodecError(ValueError):
    """JSON that is no facts or verdict of ours; the text names the field and what was found."""


def facts_to_json(facts: PairFacts) -> dict[str, JSON]:
    """Return what json.dumps and a jsonb column take."""
    return {"version": VERSION, **encode(facts)}


def facts_from_json(data: JSON) -> PairFacts:
    """Read facts of this or an older version; raises CodecError."""
    return decode(PairFacts, data)


def verdict_to_json(verdict: Verdict) -> dict[str, JSON]:
    """Return one verdict as JSON."""
    found: dict[str, JSON] = encode(verdict)
    return found


def verdict_from_json(data: JSON) -> Verdict:
    """Read one verdict; raises CodecError."""
    return decode(Verdict, data)


def encode(value: Any) -> JSON:
    """Encode one of the dataclasses of facts.py or rule.py, or a Missing."""
    return _encoder(type(value))(value)


def decode(kind: type[T], data: JSON) -> T:
    """Decode one of the dataclasses of facts.py or rule.py; raises CodecError."""
    found: T = _decoder(kind)(data, kind.__name__)
    return found


# --- to JSON: by the value's own type, one look-up each


class _Field(NamedTuple):
    name: str
    default: Any
    has_default: bool


def _encoded(values: Any) -> JSON:
    return [encode(one) for one in values]


def _encoded_by_name(values: Mapping[Any, Any]) -> JSON:
    return {_text(str(name)): encode(one) for name, one in values.items()}


def _missing_out(value: Missing) -> JSON:
    return {"missing": [value.reason, _text(value.text), value.rule]}


def _float_out(value: float) -> JSON:
    return value if math.isfinite(value) else NOT_A_NUMBER


def _text(value: str) -> str:
    """Replace what PostgreSQL's jsonb refuses: NUL and half a surrogate pair."""
    if not value.isascii():
        value = value.encode("utf-8", "replace").decode()
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}")


# The first base that fits; bool is an int, and a StrEnum or a Code is written as text.
_BY_BASE: Final[tuple[tuple[type | tuple[type, ...], Encode], ...]] = (
    (Missing, _missing_out),
    (Enum, lambda value: value.value),
    (str, _text),
    (float, _float_out),
    ((int, types.NoneType), lambda value: value),
    (datetime, lambda value: value.astimezone(UTC).isoformat()),
    (Mapping, _encoded_by_name),
    ((tuple, list, set, frozenset), _encoded),
)


_ENCODERS: Final[dict[type, Encode]] = {}  # filled as types are met


def _encoder(kind: type) -> Encode:
    found = _ENCODERS.get(kind)
    if found is None:
        found = _ENCODERS[kind] = _new_encoder(kind)
    return found


def _new_encoder(kind: type) -> Encode:
    for base, write in _BY_BASE:
        if issubclass(kind, base):
            return write
    if is_dataclass(kind):
        return _record_out(kind)
    raise CodecError(f"{kind.__name__} cannot be written as JSON")


def _record_out(kind: type) -> Encode:
    plan = tuple(_fields(kind))

    def write(value: Any) -> JSON:
        found = {}
        for name, default, has_default in plan:
            one = getattr(value, name)
            if one is default or (has_default and type(one) is type(default) and one == default):
                continue
            found[name] = one if type(one) is int else _encoder(type(one))(one)
        return found

    return write


def _fields(kind: Any) -> list[_Field]:
    """List a dataclass' fields; one without a default has NOT_READ for it."""
    found = []
    for one in fields(kind):
        has_default = one.default is not MISSING or one.default_factory is not MISSING
        default = one.default if one.default is not MISSING else NOT_READ
        if one.default_factory is not MISSING:
            default = one.default_factory()
        found.append(_Field(one.name, default, has_default))
    return found


# --- from JSON: by the type that the field declares


_DECODERS: Final[dict[Any, Decode]] = {}  # filled as types are met


def _decoder(kind: Any) -> Decode:
    found = _DECODERS.get(kind)
    if found is None:
        found = _DECODERS[kind] = _new_decoder(kind)
    return found


def _new_decoder(kind: Any) -> Decode:
    if kind in _SCALARS:
        return _SCALARS[kind]
    if get_origin(kind) is not None:
        return _generic(get_origin(kind), get_args(kind))
    if is_dataclass(kind):
        return _record_in(kind)
    if issubclass(kind, Enum):
        return _member(kind)
    raise CodecError(f"a field of type {kind} cannot be read from JSON")


def _generic(origin: Any, inner: tuple[Any, ...]) -> Decode:
    if origin in (Union, types.UnionType):
        return _one_of(inner)
    if origin is Literal:
        return _literal(inner)
    if origin is tuple:
        return _many(inner)
    if issubclass(origin, Mapping):
        return _by_name(_decoder(inner[1]))
    raise CodecError(f"a field of type {origin} cannot be read from JSON")


def _one_of(kinds: tuple[Any, ...]) -> Decode:
    """Read `X | Missing` or `X | None`."""
    rest = [kind for kind in kinds if kind not in (Missing, types.NoneType)]
    read = _decoder(rest[0])
    may_miss, may_be_none = Missing in kinds, types.NoneType in kinds

    def decode_one(data: JSON, where: str) -> Any:
        if may_miss and isinstance(data, Mapping) and "missing" in data:
            return _missing_in(data, where)
        return None if data is None and may_be_none else read(data, where)

    return decode_one


def _literal(allowed: tuple[Any, ...]) -> Decode:
    def read(data: JSON, where: str) -> Any:
        if data in allowed:
            return data
        if REASONS.issuperset(allowed):
            return "undetermined"  # a reason code of a later version
        raise _unfit(where, data, f"one of {', '.join(map(str, allowed))}")

    return read


def _many(inner: tuple[Any, ...]) -> Decode:
    """Read `tuple[X, ...]` or a tuple of fixed length."""
    is_open = len(inner) == 2 and inner[1] is Ellipsis
    readers = [_decoder(one) for one in inner if one is not Ellipsis]

    def read(data: JSON, where: str) -> Any:
        if not isinstance(data, list | tuple):
            raise _unfit(where, data, "a list")
        if is_open:
            return tuple(readers[0](one, where) for one in data)
        if len(data) != len(readers):
            raise _unfit(where, data, f"a list of {len(readers)}")
        return tuple(reader(one, where) for reader, one in zip(readers, data, strict=True))

    return read


def _by_name(read_one: Decode) -> Decode:
    def read(data: JSON, where: str) -> Any:
        # The same names come with every pair: held once, not 10,000 times.
        return {intern(str(key)): read_one(one, where) for key, one in _object(data, where).items()}

    return read


def _missing_in(data: JSON, where: str) -> Missing:
    match data:
        case {"missing": [str(reason), str(text), str(rule)]}:
            return _missing(reason if reason in REASONS else "undetermined", text, rule)
    raise _unfit(where, data, "a missing fact: reason, text, rule")


@lru_cache(maxsize=1_024)
def _missing(reason: Reason, text: str, rule: str) -> Missing:
    """Give the one of these words: the same are said of every pair, up to seven times."""
    return Missing(reason, text, rule)


def _instant(data: JSON, where: str) -> datetime:
    try:
        found = datetime.fromisoformat(data)
    except (TypeError, ValueError):
        raise _unfit(where, data, "an instant in ISO 8601") from None
    if found.tzinfo is None:
        raise _unfit(where, data, "an instant with its time zone")
    return found


def _member(kind: type[Enum]) -> Decode:
    def read(data: JSON, where: str) -> Enum:
        try:
            return kind(data)
        except ValueError:
            if kind is Engine:
                return Engine.UNKNOWN  # an engine of a later version
            raise _unfit(where, data, f"one of {', '.join(str(one) for one in kind)}") from None

    return read


def _plain(kind: type) -> Decode:
    def read(data: JSON, where: str) -> Any:
        if type(data) is not kind:
            raise _unfit(where, data, f"a value of type {kind.__name__}")
        return data

    return read


def _float_in(data: JSON, where: str) -> float:
    if isinstance(data, bool) or not isinstance(data, int | float):
        raise _unfit(where, data, "a number")
    return float(data)


_SCALARS: Final[Mapping[Any, Decode]] = {
    Any: lambda data, _where: data,
    Missing: _missing_in,
    datetime: _instant,
    float: _float_in,
    int: _plain(int),
    str: _plain(str),
    bool: _plain(bool),
}


def _record_in(kind: Any) -> Decode:
    hints = get_type_hints(kind)
    plan = [
        (one, _decoder(hints[one.name]), _admits_missing(hints[one.name])) for one in _fields(kind)
    ]

    def read(data: JSON, where: str) -> Any:
        found = _object(data, where)
        values = {}
        for (name, _default, has_default), read_one, admits_missing in plan:
            if name in found:
                values[name] = read_one(found[name], f"{where}.{name}")
            elif not has_default:
                if not admits_missing:
                    raise CodecError(f"{where}.{name} is absent")
                values[name] = NOT_READ
        return kind(**values)

    return read


def _admits_missing(kind: Any) -> bool:
    return Missing in get_args(kind)


def _object(data: JSON, where: str) -> Mapping[str, JSON]:
    if not isinstance(data, Mapping):
        raise _unfit(where, data, "an object")
    return data


def _unfit(where: str, data: JSON, wanted: str) -> CodecError:
    return CodecError(f"{where}: want {wanted}, found {str(data)[:80]!r}")
