"""A row of a candidate key is the key itself: no number of its own, and one index less."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = (("pix", "0002_fewer_indexes"),)

    operations = (
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL("CREATE TABLE pix_matchkey_before AS SELECT record_id, value FROM pix_matchkey"),
                migrations.RunSQL("DROP TABLE pix_matchkey"),
            ],
            state_operations=[migrations.DeleteModel(name="MatchKey")],
        ),
        migrations.CreateModel(
            name="MatchKey",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "value", "record_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("value", models.BigIntegerField()),
                (
                    "record",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="match_keys",
                        to="pix.localidentifier",
                    ),
                ),
            ],
        ),
        migrations.RunSQL(
            "INSERT INTO pix_matchkey (record_id, value) SELECT record_id, value FROM pix_matchkey_before"
        ),
        migrations.RunSQL("DROP TABLE pix_matchkey_before"),
    )
