"""Copies of the whole database as it was at one moment, taken while it is written to, and put back.

SQLite: its online backup, in one step, which holds up no writer under WAL. PostgreSQL: a snapshot is exported, and
``pg_dump`` and the list of contents are both read at it. Either copy holds everything the database does, the triggers
that keep audit records as they are included.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from django.db import connection

_FILES = {"sqlite": "database.sqlite3", "postgresql": "database.dump"}
_CONTENTS = "SELECT locator, size, sha256 FROM xds_content WHERE locator NOT LIKE 'ssmix:%' ORDER BY id"
_MIGRATIONS = "SELECT app, name FROM django_migrations ORDER BY app, name"
_AT_ONCE = 1000


class CopyProblem(Exception):  # noqa: N818 - a condition that the operator ends
    """A copy cannot be made or put back. The text tells the operator what to do."""


def file_name(vendor: str) -> str:
    """What the copy of a database of this kind is called; vendor: ``sqlite`` or ``postgresql``."""
    return _FILES[vendor]


@contextlib.contextmanager
def database_copied(directory: Path) -> Iterator[tuple[list[tuple[str, str]], Iterator[tuple[str, int, str]]]]:
    """Write the copy into a directory; the migrations in it and its contents: locator, size, SHA-256."""
    copied = _sqlite_copied if connection.vendor == "sqlite" else _postgresql_copied
    with copied(directory / file_name(connection.vendor)) as (migrations, contents):
        yield migrations, contents


@contextlib.contextmanager
def _sqlite_copied(path: Path) -> Iterator[Any]:
    with (
        contextlib.closing(sqlite3.connect(connection.settings_dict["NAME"])) as source,
        contextlib.closing(sqlite3.connect(path)) as target,
    ):
        source.backup(target)
        target.execute("PRAGMA journal_mode=DELETE")
    _synced(path)
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as copy:
        yield copy.execute(_MIGRATIONS).fetchall(), iter(copy.execute(_CONTENTS))


@contextlib.contextmanager
def _postgresql_copied(path: Path) -> Iterator[Any]:
    """The list of contents is written beside the dump first, so that no transaction is open while they are copied."""
    listed = path.with_name("contents.list")
    with psycopg.connect(**_parameters()) as session:
        session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        snapshot, *_ = session.execute("SELECT pg_export_snapshot()").fetchone() or ("",)
        migrations = session.execute(_MIGRATIONS).fetchall()
        _run("pg_dump", "--format=custom", f"--snapshot={snapshot}", f"--file={path}")
        with listed.open("w", encoding="ascii") as file, session.cursor("contents") as rows:
            rows.itersize = _AT_ONCE
            for row in rows.execute(_CONTENTS):
                file.write("\t".join(map(str, row)) + "\n")
    _synced(path)
    try:
        with listed.open(encoding="ascii") as file:
            parts = (line.rstrip("\n").split("\t") for line in file)
            yield migrations, ((locator, int(size), sha256) for locator, size, sha256 in parts)
    finally:
        listed.unlink()


def is_empty() -> bool:
    """Whether the database of this installation has no table yet."""
    return not connection.introspection.table_names()


def put_back(directory: Path) -> None:
    """Make the copy in a directory the database of this installation, which has to be empty. Raises CopyProblem."""
    path = directory / file_name(connection.vendor)
    if connection.vendor == "postgresql":
        _run("pg_restore", "--no-owner", "--exit-on-error", "--single-transaction", str(path))
        return
    place = Path(connection.settings_dict["NAME"])
    connection.close()
    for left in (place, Path(f"{place}-wal"), Path(f"{place}-shm")):  # of the look at whether it is empty
        left.unlink(missing_ok=True)
    beside = place.with_name(f".{place.name}")
    shutil.copyfile(path, beside)
    beside.chmod(0o600)
    _synced(beside)
    beside.replace(place)


def _parameters() -> dict[str, Any]:
    names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    chosen = connection.settings_dict
    return {name: str(chosen[key]) for name, key in names.items() if chosen[key]}


def _run(tool: str, *arguments: str) -> None:
    """A tool of PostgreSQL on this installation's database; the password goes by the environment, not the list."""
    found = shutil.which(tool)
    if found is None:
        raise CopyProblem(f"{tool} is not installed here; it comes with PostgreSQL's client (postgresql-client).")
    names = {"dbname": "PGDATABASE", "user": "PGUSER", "password": "PGPASSWORD", "host": "PGHOST", "port": "PGPORT"}
    of_server = {names[name]: value for name, value in _parameters().items()}
    database = ("--dbname", of_server["PGDATABASE"]) if tool == "pg_restore" else ()
    done = subprocess.run(  # noqa: S603 - a tool of the database, arguments of ours
        [found, *database, *arguments], env=os.environ | of_server, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CopyProblem(f"{tool}: {done.stderr.strip()[:2000]}")


def _synced(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
