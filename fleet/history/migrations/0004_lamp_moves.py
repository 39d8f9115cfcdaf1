"""How each target's lamps changed."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("history", "0003_memory_growth")]

    operations = [
        migrations.CreateModel(
            name="LampMove",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "target_id",
                        "at",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("target_id", models.BigIntegerField()),
                ("at", models.DateTimeField()),
                ("compliance", models.CharField(max_length=14)),
                ("health", models.CharField(max_length=10)),
            ],
        ),
    ]
