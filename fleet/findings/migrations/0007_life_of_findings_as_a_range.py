import django.contrib.postgres.fields.ranges
import django.contrib.postgres.indexes
import django.db.models.functions.comparison
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Hundreds of thousands of past findings: made while inspections go on writing."""

    atomic = False
    dependencies = [
        ('findings', '0006_transition_until'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='finding',
            index=django.contrib.postgres.indexes.GistIndex(models.Func(django.db.models.functions.comparison.Least('first_seen_at', 'resolved_at'), 'resolved_at', function='tstzrange', output_field=django.contrib.postgres.fields.ranges.DateTimeRangeField()), name='finding_life'),
        ),
    ]
