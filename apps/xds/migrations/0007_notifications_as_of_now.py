"""What a notification tells of is looked up again when it leaves."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("xds", "0006_offline_documents")]

    operations = [
        migrations.AddField(
            model_name="outgoing",
            name="of_registry",
            field=models.BooleanField(default=False, editable=False),
        ),
    ]
