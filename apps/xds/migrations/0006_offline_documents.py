"""Which documents are offline stands in a column of its own; of entries that are there it is read in their fragment."""

from typing import Any

from django.db import migrations, models

_OFFLINE = "urn:ihe:iti:2010:DocumentAvailability:Offline"
_NAMED = {
    "postgresql": "position(convert_to(%s, 'UTF8') in fragment) > 0",
    "sqlite": "instr(fragment, CAST(%s AS BLOB)) > 0",
}


def mark(apps: Any, schema_editor: Any) -> None:
    """Mark the entries that say it. Each fragment is read once."""
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE xds_documententry SET offline = %s WHERE {_NAMED[connection.vendor]}",  # noqa: S608
            [True, _OFFLINE],
        )


class Migration(migrations.Migration):
    dependencies = [("xds", "0005_longer_codes")]

    operations = [
        migrations.AddField(
            model_name="documententry",
            name="offline",
            field=models.BooleanField(db_default=False, default=False, verbose_name="offline"),
        ),
        migrations.RunPython(mark, migrations.RunPython.noop),
    ]
