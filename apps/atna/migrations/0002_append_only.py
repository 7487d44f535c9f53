"""Audit records are added and never changed: the database itself refuses (docs/decisions/0020).

There is no switch that lets a session past these triggers. A later migration that rebuilds the table on SQLite loses
them, because SQLite drops a table's triggers with it; it has to run ``create`` again, and tests/apps/atna fails until
it does.
"""

from django.db import migrations

TABLE = "atna_auditrecord"
MESSAGE = "audit records are append-only"

# On SQLite, INSERT OR REPLACE removes the older row without firing its DELETE trigger: hence the third.
SQLITE = (
    f"""CREATE TRIGGER atna_no_update BEFORE UPDATE ON {TABLE}
        BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END""",
    f"""CREATE TRIGGER atna_no_delete BEFORE DELETE ON {TABLE}
        BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END""",
    f"""CREATE TRIGGER atna_no_replace BEFORE INSERT ON {TABLE}
        WHEN EXISTS (SELECT 1 FROM {TABLE} WHERE id = NEW.id)
        BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END""",
)
SQLITE_REVERSE = tuple(f"DROP TRIGGER {name}" for name in ("atna_no_update", "atna_no_delete", "atna_no_replace"))

# ENABLE ALWAYS: they fire in a session that calls itself a replica, too.
POSTGRESQL = (
    f"""CREATE FUNCTION atna_append_only() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION '{MESSAGE}' USING ERRCODE = 'integrity_constraint_violation'; END $$""",
    f"""CREATE TRIGGER atna_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {TABLE}
        FOR EACH STATEMENT EXECUTE FUNCTION atna_append_only()""",
    f"ALTER TABLE {TABLE} ENABLE ALWAYS TRIGGER atna_no_change",
)
POSTGRESQL_REVERSE = (f"DROP TRIGGER atna_no_change ON {TABLE}", "DROP FUNCTION atna_append_only()")

STATEMENTS = {"sqlite": (SQLITE, SQLITE_REVERSE), "postgresql": (POSTGRESQL, POSTGRESQL_REVERSE)}


def create(connection):
    """Make the database refuse."""
    _run(connection, STATEMENTS[connection.vendor][0])


def drop(connection):
    """Take the refusal away: the reverse of this migration, and the tests before they empty their own database."""
    _run(connection, STATEMENTS[connection.vendor][1])


def _run(connection, statements):
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("atna", "0001_initial")]
    operations = [
        migrations.RunPython(
            lambda apps, editor: create(editor.connection), lambda apps, editor: drop(editor.connection)
        ),
    ]
