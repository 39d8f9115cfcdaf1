"""How fast mail goes and how much of it bounces, of each visit, hour and day."""

from django.db import migrations, models

WHOLE, SHARE = models.IntegerField(null=True), models.FloatField(null=True)
ROLLED = {
    "processed_per_minute": ("integer", WHOLE),
    "processed_per_minute_max": ("integer", WHOLE),
    "bounce_ratio": ("real", SHARE),
    "bounce_max_ratio": ("real", SHARE),
}
VISIT = {one: ROLLED[one] for one in ("processed_per_minute", "bounce_ratio")}


def add(table, model, columns):
    """Add columns to a partitioned table and so to its partitions: the catalogue alone changes."""
    adds = ", ".join(f"ADD COLUMN {name} {kind}" for name, (kind, _field) in columns.items())
    drops = ", ".join(f"DROP COLUMN {name}" for name in columns)
    return migrations.RunSQL(
        f"ALTER TABLE {table} {adds}",
        f"ALTER TABLE {table} {drops}",
        state_operations=[
            migrations.AddField(model, name, field) for name, (_kind, field) in columns.items()
        ],
    )


class Migration(migrations.Migration):
    dependencies = [("history", "0006_mailbox_use")]

    operations = [
        add("history_visit", "visit", VISIT),
        add("history_visithour", "visithour", ROLLED),
        add("history_visitday", "visitday", ROLLED),
    ]
