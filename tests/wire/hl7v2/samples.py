"""The sample messages of ITI-8, ITI-9 and ITI-30, as bytes and as messages."""

from pathlib import Path

from hie.wire.hl7v2.message import Message

SAMPLES = Path(__file__).resolve().parent.parent.parent / "samples"
MESSAGE_SAMPLES = sorted(
    str(path.relative_to(SAMPLES)) for number in (8, 9, 30) for path in (SAMPLES / f"ITI-{number}").glob("*.hl7")
)


def sample(name: str) -> Message:
    return Message.read((SAMPLES / name).read_bytes())
