"""Figures by type are counted from the index by facility and time too."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("xds", "0007_notifications_as_of_now")]

    operations = [
        migrations.RemoveIndex(model_name="documententry", name="xds_entry_facility"),
        migrations.AddIndex(
            model_name="documententry",
            index=models.Index(fields=["facility_code", "registered_at", "type_code"], name="xds_entry_figures"),
        ),
    ]
