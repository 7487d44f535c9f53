"""The shape of the house: what every transaction must have, and what no file may."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from hie import environment
from hie.exchange import contents
from hie.exchange.registry import transactions
from hie.values.access import Access
from hie.values.errors import HL7_TABLE_0357, Reason

ROOT = Path(__file__).resolve().parent.parent
NUMBERS = sorted({each.number for each in transactions()})


def test_the_table_of_contents_is_not_empty() -> None:
    assert {"ITI-8", "ITI-9", "ITI-18", "ITI-30", "ITI-41", "ITI-42", "ITI-43"} <= set(NUMBERS)


@pytest.mark.parametrize("number", NUMBERS)
def test_every_transaction_has_samples(number: str) -> None:
    assert list((ROOT / "tests" / "samples" / number).iterdir())


@pytest.mark.parametrize("number", NUMBERS)
def test_every_transaction_has_a_journey(number: str) -> None:
    assert (ROOT / "tests" / "journeys" / f"test_{number.replace('-', '').lower()}.py").is_file()


@pytest.mark.parametrize("each", transactions(), ids=lambda each: f"{each.number} {each.door}")
def test_every_transaction_asks_and_records(each) -> None:  # type: ignore[no-untyped-def]
    assert isinstance(each.access, Access)
    assert callable(each.subject)
    assert each.audit.event_id.code.isdigit()
    assert each.audit.action in "CRUDE"
    assert all(hasattr(each.codec, name) for name in ("read_request", "write_response", "write_error"))


@pytest.mark.parametrize("each", transactions(), ids=lambda each: f"{each.number} {each.door}")
def test_a_reader_finds_a_transaction_by_its_number(each) -> None:  # type: ignore[no-untyped-def]
    number = int(each.number.split("-")[1])
    assert list((ROOT / "apps").glob(f"*/transactions/iti{number:02d}_*.py"))


def test_the_page_of_transactions_is_current() -> None:
    page = (ROOT / "docs" / "transactions.md").read_text(encoding="utf-8")
    assert page == contents.as_markdown(), "stale: manage.py transactions --write"


def test_operations_lists_every_variable() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    for variable in environment.VARIABLES:
        row = f"| `{variable.name}` | {f'`{variable.default}`' if variable.default else ''} | {variable.meaning} |"
        assert row in page, f"docs/operations.md lacks or misstates {variable.name}"


def test_operations_lists_every_command() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    for path in _sources("*.py"):
        if path.parent.name == "commands" and path.stem != "__init__":
            assert re.search(rf"(manage\.py |`){path.stem}\b", page), f"docs/operations.md lacks {path.stem}"


def test_no_variable_is_read_that_is_not_listed() -> None:
    known = {variable.name for variable in environment.VARIABLES}
    for path in _sources("*.py"):
        found = set(re.findall(r'"(HIE_[A-Z_]+)"', path.read_text(encoding="utf-8")))
        assert found <= known, f"{path.name} reads {found - known}"


def test_every_reason_fills_every_column() -> None:
    for reason in Reason:
        answers = reason.value
        assert answers.hl7 in HL7_TABLE_0357
        assert answers.fault in ("Sender", "Receiver")
        assert answers.acknowledgement in ("AA", "AE", "AR")
        assert answers.registry
        assert answers.issue


def test_no_drawer_is_called_utils() -> None:
    """Django looks for a database backend in a module of its own name."""
    sources = set(_sources("*.py")) - {ROOT / "hie/sqlite/base.py"}
    names = {path.stem for path in sources} | {path.parent.name for path in sources}
    assert names.isdisjoint({"utils", "util", "helpers", "helper", "common", "misc", "base"})


def test_the_import_contract_holds() -> None:
    done = subprocess.run(["lint-imports"], cwd=ROOT, capture_output=True, text=True, check=False, env=_with_venv())
    assert done.returncode == 0, done.stdout


def _sources(pattern: str) -> list[Path]:
    return [path for folder in ("hie", "apps") for path in (ROOT / folder).rglob(pattern)]


def _with_venv() -> dict[str, str]:
    import os
    import sys

    return os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
