"""A lamp's change is on record at its own instant, whatever the other lamp's."""

from django.db import migrations

KEEP = """
CREATE OR REPLACE FUNCTION inspections_keep_lamps() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO history_lampmove (target_id, at, compliance, health)
    VALUES (NEW.target_id, {at}, NEW.compliance, NEW.health)
    ON CONFLICT (target_id, at)
        DO UPDATE SET compliance = excluded.compliance, health = excluded.health;
    RETURN NULL;
END $$;
"""
LATER = "greatest(NEW.compliance_since, NEW.health_since)"
# The other lamp may have changed by a clock that ran ahead: its instant is still to come.
OWN = f"""CASE WHEN TG_OP = 'INSERT' THEN {LATER}
        WHEN NEW.health_since IS NOT DISTINCT FROM OLD.health_since THEN NEW.compliance_since
        WHEN NEW.compliance_since IS NOT DISTINCT FROM OLD.compliance_since THEN NEW.health_since
        ELSE {LATER} END"""


class Migration(migrations.Migration):
    dependencies = [("inspections", "0008_analyse_seldom")]

    operations = [migrations.RunSQL(KEEP.format(at=OWN), KEEP.format(at=LATER))]
