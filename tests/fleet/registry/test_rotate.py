import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command

from fleet.alerts.models import Channel
from fleet.backups.models import BackupSource
from fleet.registry.models import Pair, Target, Tenant, Zone
from fleet.registry.sealed import reveal, seal

pytestmark = pytest.mark.django_db
OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


@pytest.fixture
def pair(settings):
    settings.FLEET_KEYS = [OLD]
    zone = Zone.objects.get(slug="local")
    target = Target.objects.create(tenant=Tenant.objects.create(name="T"), name="p", zone=zone)
    return Pair.objects.create(
        target=target,
        redis_url="redis://127.0.0.1/0",
        redis_password=seal("open sesame"),
        metrics_token="env:PAIRKEEPER_SECRET_T",
    )


def test_after_the_turn_the_old_key_is_no_longer_needed(pair, settings, capsys):
    settings.FLEET_KEYS = [NEW, OLD]
    call_command("rotate_keys")

    settings.FLEET_KEYS = [NEW]
    pair.refresh_from_db()
    assert capsys.readouterr().out == "Sealed 1 secrets with the newest key.\n"
    assert reveal(pair.redis_password) == "open sesame"
    assert pair.metrics_token == "env:PAIRKEEPER_SECRET_T"


def test_a_value_that_no_key_opens_is_named_and_kept(pair, settings):
    before = pair.redis_password
    settings.FLEET_KEYS = [NEW]

    with pytest.raises(CommandError, match="None of the keys opens: p: redis_password"):
        call_command("rotate_keys")
    pair.refresh_from_db()
    assert pair.redis_password == before


def test_every_app_s_secrets_take_their_turn(pair, settings, capsys):
    """Sources of backups and webhooks hold secrets too: with the old key gone they must still open."""
    source = BackupSource.objects.create(
        target=pair.target,
        kind="pull",
        label="pull",
        pull_password=seal("pull"),
        secret_key=seal("s3"),
    )
    channel = Channel.objects.create(
        kind="webhook", name="hook", address="https://x", key=seal("hook")
    )
    settings.FLEET_KEYS = [NEW, OLD]
    call_command("rotate_keys")

    settings.FLEET_KEYS = [NEW]
    source.refresh_from_db()
    channel.refresh_from_db()
    assert capsys.readouterr().out == "Sealed 4 secrets with the newest key.\n"
    assert [reveal(one) for one in (source.pull_password, source.secret_key, channel.key)] == [
        "pull",
        "s3",
        "hook",
    ]
