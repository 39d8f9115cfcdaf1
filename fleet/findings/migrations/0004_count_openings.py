from django.db import migrations


class Migration(migrations.Migration):
    """Until now each opening had a row of its own: count it."""

    dependencies = [("findings", "0003_life_of_findings")]

    operations = [
        migrations.RunSQL(
            "UPDATE findings_finding SET openings_count = 1"
            " WHERE opened_at IS NOT NULL AND openings_count = 0",
            migrations.RunSQL.noop,
        ),
    ]
