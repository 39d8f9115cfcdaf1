"""The findings list's search: names are looked up once, in their own small tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from django.db.models import Q, QuerySet, Value

from checks.catalog import BY_ID
from fleet.findings.models import Finding
from fleet.portal.scoped_admin import Rows
from fleet.portal.search_words import words_of
from fleet.registry.models import Target

# So many pairs are named one by one: of a subquery PostgreSQL assumes that it holds half of all, and
# then walks through the past in the order of time, a page for each finding.
MOST_NAMED: Final = 500


def search(rows: Rows, findings: QuerySet[Finding], term: str) -> QuerySet[Finding]:
    """Keep the findings of whose rule, pair, tenant or message each word of the term is a part.

    Ten thousand pairs have hundreds of thousands of past findings: to join each to its names and
    look there took two thirds of the time. One query for all words.
    """
    words = words_of(term)
    for word, ids in zip(words, _named(rows, words), strict=True):
        rules = [rule_id for rule_id in BY_ID if word.casefold() in rule_id]
        findings = findings.filter(
            Q(rule_id__in=rules) | Q(target_id__in=ids) | Q(message__icontains=word)
        )
    return findings


def _named(rows: Rows, words: Sequence[str]) -> list[list[int] | QuerySet[Target, int]]:
    """Give the ids of the pairs that each word names: a subquery where they are very many."""
    each = [
        rows.of(Target)
        .filter(Q(name__icontains=word) | Q(tenant__name__icontains=word))
        .order_by()
        .values_list("pk", flat=True)
        for word in words
    ]
    some = [
        named.values_list(Value(place), "pk")[: MOST_NAMED + 1] for place, named in enumerate(each)
    ]
    found: defaultdict[int, list[int]] = defaultdict(list)
    for place, target_id in some[0].union(*some[1:], all=True) if some else ():
        found[place].append(target_id)
    return [
        found[place] if len(found[place]) <= MOST_NAMED else named
        for place, named in enumerate(each)
    ]
