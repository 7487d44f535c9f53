"""The README's walk, to the letter: its commands are taken from the page and run against a demonstration region."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.region import free_port

ROOT = Path(__file__).resolve().parent.parent
PORTS = ("HIE_HTTP_PORT", "HIE_HTTPS_PORT", "HIE_MLLP_PORT", "HIE_MLLPS_PORT")


@pytest.fixture(scope="module")
def region(tmp_path_factory: pytest.TempPathFactory):
    """``make run`` as it is, on ports of its own, on the embedded default."""
    directory = tmp_path_factory.mktemp("walk")
    own = {name: str(free_port()) for name in PORTS}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HIE_")}
    environment |= {"HIE_DATA_DIR": str(directory), **own}
    log = (directory / "log").open("w+", encoding="utf-8")
    command = [sys.executable, "manage.py", "run_demonstration"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        _await(lambda: "The exchange is open" in (directory / "log").read_text(encoding="utf-8"), process)
        _await(lambda: _ask(environment, "ask --as clinic identify --chart 0002000001").returncode == 0, process)
        yield environment
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(40) == 0
        log.close()


def test_the_walk(region: dict[str, str]) -> None:
    answers = {}
    for command in _walk():
        done = _ask(region, command)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        answers[command] = done
    by_words = {command.split(" --name")[0]: done for command, done in answers.items()}
    identify = by_words["ask --as clinic identify --chart aa12 --wire"]
    assert "••••" in identify.stdout
    assert "000111" not in identify.stdout + identify.stderr, "without consent the hospital's number is not told"
    assert "RSP^K23" in identify.stderr
    unseen = by_words["ask --as clinic find --chart aa12"].stdout
    assert unseen == "no document that this member may see\n", "without consent nothing is found"
    assert "0001000001" in by_words["ask --as clinic identify --chart 0002000001"].stdout
    emergency = by_words["ask --as clinic find --chart aa12 --emergency 意識不明で搬送"].stdout
    assert "紹介状" in emergency, "with a reason the glass is broken"


def test_what_is_found_can_be_retrieved(region: dict[str, str]) -> None:
    found = _ask(region, "ask --as clinic find --chart 0002000001").stdout
    references = re.findall(r"--document \S+ --repository \S+", found)
    assert references
    for reference in references[:3]:
        done = _ask(region, f"ask --as clinic retrieve {reference}")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("MSH|"), "a file of the storage, as it lies there"


def test_a_summary_is_offered_made_and_kept(region: dict[str, str], tmp_path: Path) -> None:
    (reference,) = re.findall(
        r"--document \S+ --repository \S+", _ask(region, "ask --as clinic find --chart 0002000001 --on-demand").stdout
    )
    made = [_ask(region, f"ask --as clinic retrieve {reference} --to {tmp_path / name}") for name in ("1.xml", "2.xml")]
    assert [each.returncode for each in made] == [0, 0], made[0].stderr
    kept = [re.findall(r"kept as: (.+)", each.stdout) for each in made]
    assert kept[0] == kept[1]
    assert (tmp_path / "1.xml").read_bytes() == (tmp_path / "2.xml").read_bytes()
    assert "ClinicalDocument" in (tmp_path / "1.xml").read_text(encoding="utf-8")
    assert "ClinicalDocument" in _ask(region, f"ask --as clinic retrieve {kept[0][0]}").stdout


def _walk() -> list[str]:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    \.venv/bin/python manage\.py (ask .*)$", page, re.MULTILINE)
    assert len(commands) >= 9
    return [command for command in commands if "…" not in command]


def _ask(environment: dict[str, str], command: str) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "manage.py", *shlex.split(command)]
    return subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)


def _await(ready, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 120
    while not ready():
        assert process.poll() is None, "the demonstration ended by itself"
        assert time.monotonic() < end, "the demonstration did not open"
        time.sleep(0.2)
