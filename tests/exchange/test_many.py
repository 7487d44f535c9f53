"""Rows as PostgreSQL's COPY takes them."""

from __future__ import annotations

from hie.exchange import many


def test_rows_are_lines_with_what_copy_understands_escaped() -> None:
    written = many.lines([(7, "山田"), (-8, "a\tb\\N\r\n"), (9, "")])
    assert written.decode() == "7\t山田\n-8\ta\\tb\\\\N\\r\\n\n9\t\n"
