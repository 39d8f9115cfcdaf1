"""Which hours of the open day are written."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("history", "0007_mail_rates")]

    operations = [
        migrations.CreateModel(
            name="RolledHour",
            fields=[
                ("at", models.DateTimeField(primary_key=True, serialize=False)),
                ("rolled_at", models.DateTimeField()),
            ],
        ),
    ]
