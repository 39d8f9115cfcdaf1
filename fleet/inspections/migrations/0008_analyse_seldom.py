from django.db import migrations

# Each visit updates a row of these. At the default, a tenth changed, they were analysed every minute,
# however large: their sizes and spreads stay, and two statistics a visit went into the log.
TABLES = ("pairstate", "pairschedule", "pairmemory", "latestfacts")
SELDOM = "; ".join(
    f"ALTER TABLE inspections_{name} SET (autovacuum_analyze_scale_factor = 10)" for name in TABLES
)
AS_EVER = "; ".join(
    f"ALTER TABLE inspections_{name} RESET (autovacuum_analyze_scale_factor)" for name in TABLES
)


class Migration(migrations.Migration):
    dependencies = [("inspections", "0007_vacuum_facts")]

    operations = [migrations.RunSQL(SELDOM, AS_EVER)]
