from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("pix", "0004_insurance_history"),)

    operations = (
        migrations.AddField(
            model_name="movement",
            name="historic",
            field=models.BooleanField(default=False, verbose_name="of the past"),
        ),
    )
