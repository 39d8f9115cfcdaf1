import pytest
from cryptography.fernet import Fernet

from fleet.registry.models import Pair
from fleet.registry.sealed import SecretError, is_stored_form, reveal, seal


@pytest.fixture
def ring(settings):
    settings.FLEET_KEYS = [Fernet.generate_key().decode()]
    return settings


def test_a_sealed_secret_comes_back_and_is_not_stored_in_clear(ring):
    stored = seal("open sesame")

    assert "sesame" not in stored
    assert reveal(stored) == "open sesame"


def test_an_older_key_still_opens_what_it_sealed(ring):
    stored = seal("open sesame")
    ring.FLEET_KEYS = [Fernet.generate_key().decode(), *ring.FLEET_KEYS]

    assert reveal(stored) == "open sesame"


def test_a_value_of_a_foreign_key_ring_is_an_error_without_the_value(ring):
    stored = seal("open sesame")
    ring.FLEET_KEYS = [Fernet.generate_key().decode()]

    with pytest.raises(SecretError, match="fits none of the keys in FLEET_KEYS"):
        reveal(stored)


def test_without_keys_nothing_is_sealed(ring):
    ring.FLEET_KEYS = []

    with pytest.raises(SecretError, match="FLEET_KEYS is empty"):
        seal("open sesame")


def test_an_environment_reference_is_read_where_it_is_needed(ring, monkeypatch):
    monkeypatch.setenv("PAIRKEEPER_SECRET_REDIS", "open sesame")

    assert seal("env:PAIRKEEPER_SECRET_REDIS") == "env:PAIRKEEPER_SECRET_REDIS"
    assert reveal("env:PAIRKEEPER_SECRET_REDIS") == "open sesame"


@pytest.mark.parametrize("name", ["SECRET_KEY", "FLEET_KEYS", "PAIRKEEPER_SECRET_a b", "PATH"])
def test_no_other_variable_can_be_named(ring, name):
    with pytest.raises(SecretError, match="must begin with PAIRKEEPER_SECRET_"):
        seal(f"env:{name}")


def test_an_unset_variable_is_named(ring):
    with pytest.raises(SecretError, match="env:PAIRKEEPER_SECRET_NONE is not set"):
        reveal("env:PAIRKEEPER_SECRET_NONE")


def test_a_file_reference_is_read_below_its_root_only(ring, tmp_path):
    root = tmp_path / "secrets"
    root.mkdir()
    (root / "redis").write_text("open sesame\n")
    (tmp_path / "outside").write_text("no")
    (root / "link").symlink_to(tmp_path / "outside")
    ring.SECRET_FILES_ROOT = str(root)

    assert reveal(f"file:{root}/redis") == "open sesame"
    for outside in (f"{root}/../outside", f"{root}/link", "/etc/passwd"):
        with pytest.raises(SecretError, match="must lie below"):
            seal(f"file:{outside}")


def test_file_references_are_off_by_default(ring):
    ring.SECRET_FILES_ROOT = ""

    with pytest.raises(SecretError, match="SECRET_FILES_ROOT is not set"):
        seal("file:/etc/hostname")


@pytest.mark.parametrize(
    ("value", "is_stored"),
    [("", True), ("sealed:abc", True), ("env:X", True), ("file:/x", True), ("hunter2", False)],
)
def test_only_stored_forms_pass(value, is_stored):
    assert is_stored_form(value) is is_stored


def test_the_column_refuses_a_clear_secret():
    with pytest.raises(SecretError, match="redis_password was about to be stored in clear"):
        Pair._meta.get_field("redis_password").get_prep_value("hunter2")
