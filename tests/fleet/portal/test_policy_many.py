"""Set policy for many pairs: chosen in the list, tried, put in force; each as its own next version."""

import pytest
from django.core.cache import cache
from django.urls import reverse

from fleet.inspections.dryrun import run_dry
from fleet.inspections.models import DryRun
from fleet.inspections.terms import forget
from fleet.registry.models import PolicyVersion
from fleet.registry.policies import FLEET, Level, Subject, chain, read_policies, save_layer
from tests.checks.pairs import HEALTHY
from tests.fleet.factories import NOW, make_pair, make_person, make_reading, make_state

pytestmark = pytest.mark.django_db

LIST = reverse("admin:registry_pair_changelist")
MANY = reverse("portal:policy_many")
HEADROOM = "redis.memory-headroom"
TIGHTER = {HEADROOM: {"warn_used_ratio": 0.2}}


@pytest.fixture(autouse=True)
def _fresh():
    cache.clear()
    forget()
    yield
    forget()


@pytest.fixture
def operator(client):
    client.force_login(make_person())
    return client


def choose(client, *pairs):
    """Tick the pairs in the list and ask for the form."""
    return client.post(
        LIST,
        {"action": "set_policy", "_selected_action": [pair.pk for pair in pairs], "index": 0},
    )


def typed(*pairs, **more):
    return {
        "pairs": ",".join(str(pair.pk) for pair in pairs),
        "note": "they burst at night",
        "replaces": "no",
        f"{HEADROOM}:warn_used_ratio": "0.2",
        **more,
    }


def own(pair):
    return Subject(Level.PAIR.value, tenant_id=pair.target.tenant_id, target_id=pair.pk)


def say(pair, overrides, base=0):
    return save_layer(own(pair), overrides, note="x", base=base, by_id=None, at=NOW)


def try_it(client, *pairs, **more):
    """Post the form, let a worker judge, and return the dry run."""
    answer = client.post(MANY, typed(*pairs, **more))
    run = DryRun.objects.latest("pk")
    assert answer["Location"] == reverse("portal:policy_try", args=[run.pk])
    run_dry(run.pk, NOW)
    run.refresh_from_db()
    return run


def put_in_force(client, run):
    return client.post(reverse("portal:policy_try_save", args=[run.pk]), follow=True)


def layers(*pairs):
    policies = read_policies()
    return [
        policies.overrides_of(chain("production", pair.target.tenant_id, pair.pk)[-1])
        for pair in pairs
    ]


def test_the_form_names_the_chosen_pairs(operator, django_assert_max_num_queries):
    pairs = [make_pair(name=f"mail-{number}") for number in range(7)]
    with django_assert_max_num_queries(12):
        text = choose(operator, *pairs).content.decode()

    assert "Policy of 7 pairs" in text
    assert "mail-0, mail-1, mail-2, mail-3, mail-4 …" in text
    assert f'value="{",".join(str(pair.pk) for pair in pairs)}"' in text


def test_what_would_open_is_shown_and_then_put_in_force(operator, django_assert_max_num_queries):
    concerned, left_alone = make_pair(), make_pair()
    for pair in (concerned, left_alone):
        make_state(pair)
        make_reading(pair, HEALTHY)
    run = try_it(operator, concerned)

    assert run.error == ""
    assert run.pairs_count == 1
    assert [change[:4] for change in run.changes] == [[concerned.pk, HEADROOM, "opens", "warning"]]
    with django_assert_max_num_queries(12):
        shown = operator.get(reverse("portal:policy_try", args=[run.pk])).content.decode()
    assert "What would be added to each pair’s own policy" in shown
    assert concerned.target.name in shown
    with django_assert_max_num_queries(22):  # with the list that it leads to
        text = put_in_force(operator, run).content.decode()
    assert "The policy of 1 pair is in force" in text
    put_in_force(operator, run)  # a second click changes nothing

    version = PolicyVersion.objects.get()
    assert (version.number, version.note, str(version.made_by)) == (
        1,
        "they burst at night",
        "mara",
    )
    assert layers(concerned, left_alone) == [TIGHTER, {}]


@pytest.mark.parametrize(
    ("replaces", "after"),
    [
        ("no", {HEADROOM: {"critical_used_ratio": 0.95, "warn_used_ratio": 0.2}, "pair.rtt": {}}),
        ("yes", TIGHTER),
    ],
)
def test_it_is_added_to_what_a_pair_says_or_replaces_it(operator, replaces, after):
    pair, other = make_pair(), make_pair()
    before = {HEADROOM: {"critical_used_ratio": 0.95, "warn_used_ratio": 0.3}, "pair.rtt": {}}
    say(pair, before)
    put_in_force(operator, try_it(operator, pair, other, replaces=replaces))

    assert layers(pair, other) == [after, TIGHTER]
    versions = PolicyVersion.objects.order_by("target", "number")
    assert list(versions.values_list("target", "number", "is_current")) == [
        (pair.pk, 1, False),
        (pair.pk, 2, True),
        (other.pk, 1, True),
    ]


def test_replaced_by_nothing_the_pairs_follow_the_other_layers_again(operator):
    pair, bare = make_pair(), make_pair()
    say(pair, TIGHTER)
    run = try_it(operator, pair, bare, replaces="yes", **{f"{HEADROOM}:warn_used_ratio": ""})
    put_in_force(operator, run)

    assert layers(pair, bare) == [{}, {}]
    assert not PolicyVersion.objects.filter(target=bare.pk).exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({f"{HEADROOM}:warn_used_ratio": "7"}, "warn_used_ratio is 7; allowed is a number from 0"),
        ({"note": " "}, "Say why"),
        ({f"{HEADROOM}:warn_used_ratio": ""}, "there is nothing to add"),
    ],
)
def test_nothing_is_tried_where_something_is_refused(operator, more, said):
    answer = operator.post(MANY, typed(make_pair(), **more))

    assert said in answer.content.decode()
    assert not DryRun.objects.exists()


def test_limits_that_cross_what_one_pairs_layers_say_name_the_pair(operator):
    pair, other = make_pair(name="mail-1"), make_pair(tenant="Ember Post", name="mail-2")
    tenant = Subject(Level.TENANT.value, tenant_id=other.target.tenant_id)
    save_layer(
        tenant, {HEADROOM: {"critical_used_ratio": 0.85}}, note="x", base=0, by_id=None, at=NOW
    )
    more = {f"{HEADROOM}:warn_used_ratio": "0.88"}
    text = operator.post(MANY, typed(pair, other, **more)).content.decode()

    assert (
        f"On mail-2 it cannot be: {HEADROOM}: warn_used_ratio is 0.88; it may not exceed "
        "critical_used_ratio, which is 0.85." in text
    )
    assert operator.post(MANY, typed(pair, **more)).status_code == 302


def test_what_somebody_saved_meanwhile_is_not_overwritten(operator):
    pair, other = make_pair(), make_pair()
    run = try_it(operator, pair, other)
    say(other, {"pair.rtt": {"warn_rtt_ms": 0.5}})
    text = put_in_force(operator, run).content.decode()

    assert "Nothing was saved: the policy of one of these pairs was changed meanwhile" in text
    assert layers(pair, other) == [{}, {"pair.rtt": {"warn_rtt_ms": 0.5}}]


def test_a_change_of_the_fleets_layer_meanwhile_is_laid_together_anew(operator):
    pair = make_pair()
    run = try_it(operator, pair, **{f"{HEADROOM}:warn_used_ratio": "0.88"})
    save_layer(
        FLEET, {HEADROOM: {"critical_used_ratio": 0.85}}, note="x", base=0, by_id=None, at=NOW
    )

    assert "it may not exceed critical_used_ratio" in put_in_force(operator, run).content.decode()
    assert layers(pair) == [{}]


def test_a_change_goes_back_into_the_form(operator):
    pair = make_pair()
    run = try_it(operator, pair, replaces="yes")
    text = operator.get(f"{MANY}?try={run.pk}").content.decode()

    assert 'value="0.2"' in text
    assert 'value="yes" checked' in text
    assert operator.get(MANY)["Location"] == LIST


def test_a_file_is_imported_for_many(operator):
    yaml = f"{HEADROOM}:\n  warn_used_ratio: 0.66\n"
    pair = make_pair()
    good = operator.post(MANY, {"_import": "1", "pairs": str(pair.pk), "yaml": yaml})
    bad = operator.post(MANY, {"_import": "1", "pairs": str(pair.pk), "yaml": "redis.nothing: {}"})

    assert 'value="0.66"' in good.content.decode()
    assert "Nothing was imported: there is no rule named redis.nothing." in bad.content.decode()


@pytest.mark.parametrize("pairs", ["", "x", "999999999999999999999", "424242"])
def test_without_pairs_there_is_nothing_to_do(operator, pairs):
    answer = operator.post(MANY, {**typed(), "pairs": pairs})

    assert answer["Location"] == LIST
    assert not DryRun.objects.exists()


@pytest.mark.parametrize("role", [("auditor", None), ("editor", "Northwind Mail")])
def test_only_operators_set_policies(client, role):
    pair = make_pair()
    client.force_login(make_person("vera", is_operator=False, roles=[role]))

    assert "Policy of" not in choose(client, pair).content.decode()
    assert "set_policy" not in client.get(LIST).content.decode()
    assert client.post(MANY, typed(pair)).status_code == 403
    assert not DryRun.objects.exists()
