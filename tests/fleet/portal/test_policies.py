import pytest
from django.core.cache import cache
from django.urls import reverse

from fleet.inspections.dryrun import run_dry
from fleet.inspections.models import DryRun
from fleet.inspections.terms import forget
from fleet.portal.policies import lines_of
from fleet.portal.policy_form import build, from_yaml, to_yaml, typed_of
from fleet.registry.models import PolicyVersion
from fleet.registry.policies import FLEET, Level, Policies, Subject, save_layer
from tests.fleet.factories import NOW, make_pair, make_person, make_state

HEADROOM = "redis.memory-headroom"
PAIR = Subject(Level.PAIR.value, tenant_id=7, target_id=70)
LOWER = ((FLEET, "the fleet"), (Subject(Level.TENANT.value, tenant_id=7), "Northwind Mail"))


@pytest.fixture(autouse=True)
def _fresh():
    cache.clear()
    forget()
    yield
    forget()


def field(form, name):
    return next(one for section in form.sections for one in section.fields if one.name == name)


# --- The form, without a database


def test_each_limit_says_what_is_allowed_and_what_counts_without_it():
    policies = Policies({FLEET: {HEADROOM: {"warn_used_ratio": 0.7}}})
    form = build({}, policies, PAIR, LOWER)
    warn = field(form, f"{HEADROOM}:warn_used_ratio")
    critical = field(form, f"{HEADROOM}:critical_used_ratio")

    assert (warn.allowed, warn.below, warn.source) == ("0 to 1", "0.7 (70%)", "the fleet")
    assert (critical.below, critical.source) == ("0.9 (90%)", "default")
    assert (form.overrides, form.set_count) == ({}, 0)


def test_what_is_typed_becomes_plain_data():
    typed = {
        f"{HEADROOM}:warn_used_ratio": " 0.75 ",
        f"{HEADROOM}:open_after": "2 of 3",
        f"{HEADROOM}:severity": "warning",
        "redis.stall:enabled": "false",
        "redis.version:preferred_version": "7.0",
        "redis.rdb-schedule:required_pairs": "[[900, 1]]",
        "pair.rtt:warn_rtt_ms": "",
    }
    form = build(typed, Policies({}), PAIR, LOWER)

    assert form.overrides == {
        "redis.version": {"preferred_version": "7.0"},
        HEADROOM: {"warn_used_ratio": 0.75, "severity": "warning", "open_after": [2, 3]},
        "redis.rdb-schedule": {"required_pairs": [[900, 1]]},
        "redis.stall": {"enabled": False},
    }
    assert field(form, f"{HEADROOM}:warn_used_ratio").shown == "75%"


def test_what_is_stored_comes_back_as_it_was_typed():
    typed = {f"{HEADROOM}:open_after": "2 of 3", f"{HEADROOM}:warn_used_ratio": "0.75"}
    form = build(typed, Policies({}), PAIR, LOWER)

    assert typed_of(form.overrides) == typed


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("warn_used_ratio", "75", "warn_used_ratio is 75; allowed is a number from 0 to 1"),
        ("warn_used_ratio", "much", "warn_used_ratio is 'much'; allowed is a number from 0 to 1"),
        ("open_after", "4 of 3", "open_after is [4, 3]; allowed is [k, n]"),
        ("severity", "fatal", "severity is 'fatal'; allowed is one of info, warning, critical"),
    ],
)
def test_a_wrong_value_is_refused_at_its_field(name, text, why):
    form = build({f"{HEADROOM}:{name}": text}, Policies({}), PAIR, LOWER)

    assert form.overrides is None
    assert field(form, f"{HEADROOM}:{name}").error.startswith(f"{HEADROOM}: {why}")


def test_limits_that_cross_a_layer_below_are_refused_at_their_rule():
    policies = Policies({FLEET: {HEADROOM: {"critical_used_ratio": 0.85}}})
    form = build({f"{HEADROOM}:warn_used_ratio": "0.88"}, policies, PAIR, LOWER)
    section = next(one for one in form.sections if one.rule.id == HEADROOM)

    assert form.overrides is None
    assert section.error == (
        f"{HEADROOM}: warn_used_ratio is 0.88; it may not exceed critical_used_ratio, which is 0.85"
    )


def test_what_a_layer_says_is_told_in_its_units():
    said = {"redis.memory-headroom": {"warn_used_ratio": 0.5, "open_after": [3, 5]}}

    assert lines_of(said) == (("redis.memory-headroom", "warn_used_ratio 50%, open_after 3 of 5"),)


def test_yaml_goes_out_and_comes_in_again():
    overrides = {HEADROOM: {"warn_used_ratio": 0.75, "open_after": [2, 3]}}

    assert from_yaml(to_yaml(overrides)) == typed_of(overrides)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("redis.stall: [", "the text is no YAML at line 1"),
        ("redis.nothing: {}", "there is no rule named redis.nothing"),
        ("- 1", "a policy: want names with their values, not [1]"),
        ("redis.stall:\n  warn_stall_ms: soon", "redis.stall: warn_stall_ms is 'soon'; allowed is"),
        (
            "redis.stall: {enabled: false}\nredis.stall: {enabled: true}",
            "redis.stall is given twice, again at line 2",
        ),
        ("redis.stall: {enabled: no, enabled: yes}", "enabled is given twice, again at line 1"),
        (f"redis.reachable: {{critical_waiting_s: {'9' * 5000}}}", "too large or too deep"),
        ("[" * 50_000, "nests deeper than 20 brackets"),
        ("- " * 5_000, "too large or too deep"),
        ("a: 2026-13-45", "too large or too deep"),
        ("!!python/object/apply:os.getpid []", "the text is no YAML at line 1"),
        ("x" * 200_001, "the file has 200,001 characters; allowed is 200,000"),
    ],
)
def test_a_wrong_file_is_refused(text, why):
    with pytest.raises(ValueError, match=why.replace("[", r"\[").replace("]", r"\]")):
        from_yaml(text)


# --- The pages


@pytest.fixture
def operator(client):
    client.force_login(make_person())
    return client


def address(name="policy_edit", **query):
    return reverse(f"portal:{name}") + "?" + "&".join(f"{k}={v}" for k, v in query.items())


def typed(**more):
    return {
        "base": "0",
        "note": "tighter for everyone",
        f"{HEADROOM}:warn_used_ratio": "0.7",
        **more,
    }


@pytest.mark.django_db
def test_a_policy_is_saved_with_its_reason(operator):
    answer = operator.post(address(level="fleet"), typed(_save="1"))
    version = PolicyVersion.objects.get()

    assert (answer.status_code, answer["Location"]) == (302, reverse("portal:policies"))
    assert (version.number, version.note) == (1, "tighter for everyone")
    assert version.overrides == {HEADROOM: {"warn_used_ratio": 0.7}}
    assert str(version.made_by) == "mara"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {f"{HEADROOM}:warn_used_ratio": "7"},
            "warn_used_ratio is 7; allowed is a number from 0 to 1",
        ),
        ({"note": " "}, "Say why"),
        ({"base": "3"}, "version 0 was saved meanwhile"),
    ],
)
def test_nothing_is_saved_where_something_is_refused(operator, more, said):
    answer = operator.post(address(level="fleet"), typed(_save="1", **more))

    assert said in answer.content.decode()
    assert not PolicyVersion.objects.exists()


@pytest.mark.django_db
def test_a_policy_is_tried_and_then_put_in_force(operator):
    make_pair()
    answer = operator.post(address(level="fleet"), typed(_try="1"))
    run = DryRun.objects.get()
    shown = reverse("portal:policy_try", args=[run.pk])
    assert answer["Location"] == shown
    assert "Queued" in operator.get(shown).content.decode()

    run_dry(run.pk, NOW)
    text = operator.get(reverse("portal:policy_try_result", args=[run.pk])).content.decode()
    assert "No finding would open, resolve or change." in text
    assert "1 were never read" in text

    save = reverse("portal:policy_try_save", args=[run.pk])
    operator.post(save)
    operator.post(save)  # a second click changes nothing
    run.refresh_from_db()
    assert PolicyVersion.objects.get() == run.saved_as


@pytest.mark.django_db
def test_a_file_is_imported_into_the_form_and_not_saved(operator):
    text = f"{HEADROOM}:\n  warn_used_ratio: 0.66\n"
    answer = operator.post(address(level="fleet"), {"_import": "1", "yaml": text, "base": "0"})

    assert 'value="0.66"' in answer.content.decode()
    assert not PolicyVersion.objects.exists()


@pytest.mark.django_db
def test_a_layer_is_exported_as_yaml(operator):
    save_layer(FLEET, {HEADROOM: {"warn_used_ratio": 0.66}}, note="x", base=0, by_id=None, at=NOW)
    answer = operator.get(address("policy_export", level="fleet"))

    assert answer["Content-Type"].startswith("application/yaml")
    assert answer.content.decode() == (
        f"# Pairkeeper policy, fleet: the fleet\n{HEADROOM}:\n  warn_used_ratio: 0.66\n"
    )


@pytest.mark.django_db
def test_the_list_and_the_versions_show_every_layer(operator, django_assert_max_num_queries):
    pair = make_pair()
    own = Subject(Level.PAIR.value, tenant_id=pair.target.tenant_id, target_id=pair.pk)
    tenant = Subject(Level.TENANT.value, tenant_id=pair.target.tenant_id)
    place = Subject(Level.ENVIRONMENT.value, environment="production")
    for subject in (FLEET, place, tenant, own):
        save_layer(
            subject, {HEADROOM: {"warn_used_ratio": 0.6}}, note="x", base=0, by_id=None, at=NOW
        )
    with django_assert_max_num_queries(12):
        text = operator.get(reverse("portal:policies")).content.decode()
    for name in ("The fleet", "Production", "Northwind Mail", str(pair)):
        assert name.lower() in text.lower()
    for query in (
        {"level": "pair", "pair": pair.pk},
        {"level": "environment", "environment": "production"},
    ):
        with django_assert_max_num_queries(12):
            assert operator.get(address(**query)).status_code == 200
        assert "in force" in operator.get(address("policy_versions", **query)).content.decode()


@pytest.mark.django_db
def test_the_pair_page_shows_its_own_limits(operator):
    pair = make_pair()
    make_state(pair)
    own = Subject(Level.PAIR.value, tenant_id=pair.target.tenant_id, target_id=pair.pk)
    save_layer(own, {HEADROOM: {"warn_used_ratio": 0.61}}, note="x", base=0, by_id=None, at=NOW)
    text = operator.get(reverse("admin:registry_pair_change", args=[pair.pk])).content.decode()

    assert "61%" in text
    assert f"?level=pair&amp;pair={pair.pk}" in text


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("role", "seen", "saved"),
    [
        (("auditor", None), 200, 403),
        (("editor", "Northwind Mail"), 403, 403),
        (("viewer", "Northwind Mail"), 403, 403),
    ],
)
def test_only_operators_change_a_policy(client, role, seen, saved):
    client.force_login(make_person("vera", is_operator=False, roles=[role]))

    assert client.get(reverse("portal:policies")).status_code == seen
    assert client.get(address(level="fleet")).status_code == seen
    assert client.post(address(level="fleet"), typed(_save="1")).status_code == saved
    assert not PolicyVersion.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["", "level=pair&pair=x", "level=tenant&tenant=9", "level=moon"])
def test_a_layer_that_is_not_there_is_not_found(operator, query):
    assert operator.get(reverse("portal:policy_edit") + f"?{query}").status_code == 404
