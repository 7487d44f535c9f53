"""Fragments are packed as they are written. Rows that are there stay as they are, and are read as before."""

from django.db import migrations

from apps.xds.models.objects import FragmentField


class Migration(migrations.Migration):

    dependencies = [("xds", "0008_figures_of_a_period")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(model_name=name, name="fragment", field=FragmentField(verbose_name="ebRIM"))
                for name in ("association", "documententry", "folder", "submissionset")
            ]
        )
    ]
