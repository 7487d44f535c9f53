"""Damaged messages of every codec of this family: an answer of the dialect, never another exception."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hie.values.errors import ExchangeError
from hie.wire.ebxml import (
    multi_patient_query,
    on_demand,
    register,
    remove_documents,
    remove_metadata,
    restricted_update,
    retrieve,
    stored_query,
    update,
)
from hie.wire.soap.envelope import read_envelope, write_fault
from hie.wire.wsnt import notify, publish, subscribe, unsubscribe
from hie.wire.xml import parse
from tests.wire.ebxml.messages import SAMPLES

CODECS: dict[str, Any] = {
    "ITI-18": stored_query,
    "ITI-42": register,
    "ITI-43": retrieve,
    "ITI-51": multi_patient_query,
    "ITI-52/subscribe": subscribe,
    "ITI-52/refused": subscribe,
    "ITI-52/unsubscribe": unsubscribe,
    "ITI-53": notify,
    "ITI-54": publish,
    "ITI-57": update,
    "ITI-61": on_demand,
    "ITI-62": remove_metadata,
    "ITI-86": remove_documents,
    "ITI-92": restricted_update,
}
MESSAGES = [(name, path) for name in CODECS for path in sorted(SAMPLES.glob(f"{name}*{'' if '/' in name else '/*'}"))]

# What a place in a message may be replaced by: nothing, markup, names that mean something, and what no one expects.
PIECES = (
    "",
    '"',
    ">",
    "<",
    "&",
    "&amp;",
    "'",
    "()",
    "\u3000",
    "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
    "set-1",
    "entry-1",
    "urn:uuid:",
    "9" * 400,
    "<rim:Slot/>",
    "<wsa:Address/>",
    "<x/>",
    'id=""',
    "P1D",
)


@pytest.mark.parametrize(("name", "path"), MESSAGES, ids=[f"{path.parent.name}/{path.name}" for _, path in MESSAGES])
@given(data=st.data())
@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=60)
def test_damage_is_refused_in_the_dialect(name: str, path: Path, data: st.DataObject) -> None:
    codec = CODECS[name]
    text = path.read_text(encoding="utf-8")
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 40)))
        text = text[:start] + data.draw(st.sampled_from(PIECES)) + text[end:]
    message = None
    try:
        message = read_envelope(text.encode())
        codec.read_request(message)
    except ExchangeError as error:
        if message is None:
            return
        refused = codec.write_error(message, error)
        parse(write_fault(refused) if isinstance(refused, ExchangeError) else b"".join(refused.parts))
