"""How far a list of patients has come."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("pix", "0003_match_key_is_its_row"),)

    operations = (
        migrations.CreateModel(
            name='PatientLoad',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('facility_code', models.CharField(max_length=10, verbose_name='facility')),
                ('source', models.CharField(max_length=64)),
                ('position', models.PositiveBigIntegerField(default=0, verbose_name='entries done')),
                ('entered', models.PositiveBigIntegerField(default=0, verbose_name='new charts')),
                ('updated', models.PositiveBigIntegerField(default=0, verbose_name='changed charts')),
                ('unchanged', models.PositiveBigIntegerField(default=0, verbose_name='unchanged charts')),
                ('refused', models.PositiveBigIntegerField(default=0, verbose_name='refused')),
                ('started_at', models.DateTimeField(auto_now_add=True, verbose_name='begun')),
                ('finished_at', models.DateTimeField(blank=True, null=True, verbose_name='finished')),
            ],
            options={
                'verbose_name': 'list of patients',
                'verbose_name_plural': 'lists of patients',
            },
        ),
        migrations.AddConstraint(
            model_name='patientload',
            constraint=models.UniqueConstraint(fields=('facility_code', 'source'), name='pix_loaded_once'),
        ),
    )
