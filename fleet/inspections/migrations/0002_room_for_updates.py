"""Leave room in each page for a second version of all its rows.

A shard updates neighbouring rows in one transaction; where the new versions fit beside the old
ones no index is touched (HOT), and the log carries only the bytes that changed.
"""

from django.db import migrations

TABLES = ("inspections_pairschedule", "inspections_pairstate")


class Migration(migrations.Migration):
    dependencies = [("inspections", "0001_initial")]

    operations = [
        migrations.RunSQL(
            f"ALTER TABLE {table} SET (fillfactor = 45)",
            f"ALTER TABLE {table} RESET (fillfactor)",
        )
        for table in TABLES
    ]
