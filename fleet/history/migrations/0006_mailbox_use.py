"""What the mailboxes of each target take."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("history", "0005_open_findings_of_a_day")]

    operations = [
        migrations.CreateModel(
            name="MailboxUse",
            fields=[
                ("target_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("made_of", models.DateField()),
                ("mailboxes_count", models.IntegerField()),
                ("used_memory_bytes", models.BigIntegerField()),
            ],
        ),
    ]
