"""What was open at the end of a day, by rule."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("history", "0004_lamp_moves")]

    operations = [
        migrations.AddField("scoreday", "open_findings", models.JSONField(null=True)),
    ]
