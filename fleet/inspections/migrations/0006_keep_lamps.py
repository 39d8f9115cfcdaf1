"""Every change of a pair's lamps is kept, whoever makes it (decision 0013)."""

from django.db import migrations

KEEP = """
CREATE FUNCTION inspections_keep_lamps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO history_lampmove (target_id, at, compliance, health)
    VALUES (NEW.target_id, greatest(NEW.compliance_since, NEW.health_since), NEW.compliance, NEW.health)
    ON CONFLICT (target_id, at)
        DO UPDATE SET compliance = excluded.compliance, health = excluded.health;
    RETURN NULL;
END $$;
CREATE TRIGGER keep_first_lamps AFTER INSERT ON inspections_pairstate
    FOR EACH ROW WHEN (NEW.compliance_since IS NOT NULL)
    EXECUTE FUNCTION inspections_keep_lamps();
CREATE TRIGGER keep_lamps
    AFTER UPDATE OF compliance, health, compliance_since, health_since ON inspections_pairstate
    FOR EACH ROW WHEN (OLD.compliance_since IS DISTINCT FROM NEW.compliance_since
        OR OLD.health_since IS DISTINCT FROM NEW.health_since)
    EXECUTE FUNCTION inspections_keep_lamps();
-- What stands now is known since its last change; what was before is not on record.
INSERT INTO history_lampmove (target_id, at, compliance, health)
SELECT target_id, greatest(compliance_since, health_since), compliance, health
FROM inspections_pairstate WHERE compliance_since IS NOT NULL;
"""
FORGET = """
DROP TRIGGER keep_lamps ON inspections_pairstate;
DROP TRIGGER keep_first_lamps ON inspections_pairstate;
DROP FUNCTION inspections_keep_lamps();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("inspections", "0005_bulk_dry_runs"),
        ("history", "0004_lamp_moves"),
    ]

    operations = [migrations.RunSQL(KEEP, FORGET)]
