"""A target stays with its tenant, whose people are told its past (decision 0030)."""

from django.db import migrations

KEEP = """
CREATE FUNCTION registry_keep_tenant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% % stays with tenant %: it cannot go to %',
        TG_ARGV[0], OLD.id, coalesce(OLD.tenant_id::text, 'none'), coalesce(NEW.tenant_id::text, 'none')
        USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
END $$;
CREATE TRIGGER target_keeps_its_tenant BEFORE UPDATE OF tenant_id ON registry_target
    FOR EACH ROW WHEN (OLD.tenant_id IS DISTINCT FROM NEW.tenant_id)
    EXECUTE FUNCTION registry_keep_tenant('target');
"""
LET_GO = """
DROP TRIGGER target_keeps_its_tenant ON registry_target;
DROP FUNCTION registry_keep_tenant();
"""


class Migration(migrations.Migration):
    dependencies = [("registry", "0008_wording_of_mails")]

    operations = [migrations.RunSQL(KEEP, LET_GO)]
