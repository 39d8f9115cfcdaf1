"""The rows every installation begins with: the zone of its own machine, and its settings."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def make(apps: Apps, _schema: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("registry", "Zone").objects.get_or_create(slug="local")
    apps.get_model("registry", "FleetSettings").objects.get_or_create(id=1)


class Migration(migrations.Migration):
    dependencies = [("registry", "0001_initial")]
    operations = [migrations.RunPython(make, migrations.RunPython.noop)]
