"""The number of a message begins with its time, and so does the number of each of its records: the index of records
by their own number finds them (``apps.atna.queries.of_message``), and no record pays for another."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("atna", "0002_append_only")]
    operations = [migrations.RemoveIndex("AuditRecord", "atna_trail")]
