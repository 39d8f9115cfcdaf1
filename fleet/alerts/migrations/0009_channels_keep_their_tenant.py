"""A channel stays with its tenant, or the operators: its messages are theirs (decision 0030)."""

from django.db import migrations

KEEP = """
CREATE TRIGGER channel_keeps_its_tenant BEFORE UPDATE OF tenant_id ON alerts_channel
    FOR EACH ROW WHEN (OLD.tenant_id IS DISTINCT FROM NEW.tenant_id)
    EXECUTE FUNCTION registry_keep_tenant('channel');
"""
LET_GO = "DROP TRIGGER channel_keeps_its_tenant ON alerts_channel;"


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0008_one_delivery_many"),
        ("registry", "0009_targets_keep_their_tenant"),
    ]

    operations = [migrations.RunSQL(KEEP, LET_GO)]
