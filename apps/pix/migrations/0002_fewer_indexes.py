"""Indexes and checks that nothing reads cost every feed; what remains of them is partial or serves a beginning."""

from __future__ import annotations

import django.db.models.deletion
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def drop_unread(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema() AND indexname LIKE %s"
            " AND tablename IN ('pix_person', 'pix_feedmessage')",
            ["%\\_like"],
        )
        for (name,) in cursor.fetchall():
            schema_editor.execute(f"DROP INDEX {schema_editor.quote_name(name)}")


class Migration(migrations.Migration):
    dependencies = (("pix", "0001_initial"),)

    operations = (
        migrations.AlterField(
            model_name='addresskey',
            name='record',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='address_keys', to='pix.localidentifier'),
        ),
        migrations.AlterField(
            model_name='linkevent',
            name='previous_person',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='pix.person', verbose_name='previous person'),
        ),
        migrations.AlterField(
            model_name='localidentifier',
            name='facility_code',
            field=models.CharField(max_length=10, verbose_name='facility'),
        ),
        migrations.AlterField(
            model_name='localidentifier',
            name='kana_key',
            field=models.CharField(blank=True, editable=False, max_length=240),
        ),
        migrations.AlterField(
            model_name='localidentifier',
            name='kanji_key',
            field=models.CharField(blank=True, editable=False, max_length=240),
        ),
        migrations.AlterField(
            model_name='localidentifier',
            name='merged_into',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='merged', to='pix.localidentifier', verbose_name='merged into'),
        ),
        migrations.AlterField(
            model_name='namekey',
            name='record',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='name_keys', to='pix.localidentifier'),
        ),
        migrations.AlterField(
            model_name='person',
            name='surviving',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='joined', to='pix.person', verbose_name='joined with'),
        ),
        migrations.AlterField(
            model_name='telephonekey',
            name='record',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name='telephone_keys', to='pix.localidentifier'),
        ),
        migrations.AddIndex(
            model_name='linkevent',
            index=models.Index(condition=models.Q(('previous_person__isnull', False)), fields=['previous_person'], name='pix_left'),
        ),
        migrations.AddIndex(
            model_name='localidentifier',
            index=models.Index(fields=['facility_code'], name='pix_facility'),
        ),
        migrations.AddIndex(
            model_name='localidentifier',
            index=models.Index(fields=['kanji_key'], name='pix_kanji', opclasses=('varchar_pattern_ops',)),
        ),
        migrations.AddIndex(
            model_name='localidentifier',
            index=models.Index(fields=['kana_key'], name='pix_kana', opclasses=('varchar_pattern_ops',)),
        ),
        migrations.AddIndex(
            model_name='localidentifier',
            index=models.Index(condition=models.Q(('merged_into__isnull', False)), fields=['merged_into'], name='pix_merged'),
        ),
        migrations.AddIndex(
            model_name='person',
            index=models.Index(condition=models.Q(('surviving__isnull', False)), fields=['surviving'], name='pix_joined'),
        ),
        # Django gives an index for LIKE to every indexed text on PostgreSQL; nobody looks for a part of these two.
        migrations.RunPython(drop_unread, migrations.RunPython.noop),
    )
