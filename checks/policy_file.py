"""A policy as people write it: YAML or JSON in, plain data out, whatever the file holds."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final

import yaml

from checks.policy import PolicyError

MOST_TEXT: Final = 200_000  # characters
MOST_DEPTH: Final = 20  # brackets within brackets: a policy has four


class _Loader(yaml.SafeLoader):
    """Reads plain data alone, and no name twice: the later one would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002
        seen = set()
        for key, _value in node.value:
            if key.value in seen and isinstance(key, yaml.ScalarNode):
                raise PolicyError(f"{key.value} is given twice, again at line {_line(key)}")
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_policy(text: str) -> Any:
    """Read a policy file's text as plain data, {} where it is empty; raises PolicyError."""
    if len(text) > MOST_TEXT:
        raise PolicyError(f"the file has {len(text):,} characters; allowed is {MOST_TEXT:,}")
    if _depth(text) > MOST_DEPTH:
        raise PolicyError(f"the text nests deeper than {MOST_DEPTH} brackets")
    try:
        return yaml.load(text, _Loader) or {}  # noqa: S506  a safe loader of our own
    except PolicyError:
        raise
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        raise PolicyError(f"the text is no YAML{line}") from None
    except (ValueError, RecursionError):
        # A number of thousands of digits, a date that is none, or blocks within blocks.
        raise PolicyError("the text holds what no policy has: too large or too deep") from None


def _depth(text: str) -> int:
    """Return how deep brackets nest, those in quotes included: enough to bound the reader's work."""
    deepest = depth = 0
    for sign in text:
        depth += (sign in "[{") - (sign in "]}")
        deepest = max(deepest, depth)
    return deepest


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
