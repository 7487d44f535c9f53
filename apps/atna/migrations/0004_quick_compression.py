"""PostgreSQL compresses an audit message, which is longer than a row likes, with LZ4 where it was built with it: a
quarter of the time of an INSERT less than with its older method, for about the same size. New rows only."""

from django.db import migrations


def compress_quickly(apps, editor):
    if editor.connection.vendor != "postgresql":
        return
    with editor.connection.cursor() as cursor:
        cursor.execute("SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'")
        methods = cursor.fetchone()
        if methods and "lz4" in methods[0]:
            cursor.execute("ALTER TABLE atna_auditrecord ALTER COLUMN message SET COMPRESSION lz4")


class Migration(migrations.Migration):
    dependencies = [("atna", "0003_message_number_found_by_time")]
    operations = [migrations.RunPython(compress_quickly, migrations.RunPython.noop)]
