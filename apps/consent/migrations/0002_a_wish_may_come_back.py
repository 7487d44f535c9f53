"""A wish that left a regional ID with its charts may be carried there again: one row of it is in force at a time."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("consent", "0001_initial")]

    operations = [
        migrations.RemoveConstraint("directive", "consent_directive_version"),
        migrations.AddConstraint(
            "directive",
            models.UniqueConstraint(
                fields=("directive_id", "version", "patient_regional_id"),
                name="consent_directive_version",
                condition=models.Q(revoked_at__isnull=True),
            ),
        ),
    ]
