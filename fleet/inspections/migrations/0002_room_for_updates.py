"""Leave room in each page, so that an update stays in it and touches no index (HOT)."""

from django.db import migrations

ROOM = [
    ("inspections_pairschedule", 70),
    ("inspections_pairstate", 70),
]


class Migration(migrations.Migration):
    dependencies = [("inspections", "0001_initial")]

    operations = [
        migrations.RunSQL(
            f"ALTER TABLE {table} SET (fillfactor = {percent})",
            f"ALTER TABLE {table} RESET (fillfactor)",
        )
        for table, percent in ROOM
    ]
