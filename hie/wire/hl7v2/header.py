"""What decides whether a message is looked at further: its MSH (ITI TF-2: Appendix C.2.3) and its repetitions."""

from __future__ import annotations

from hie.values.errors import ExchangeError, Reason
from hie.wire.hl7v2.message import Message

PROCESSING_IDS = ("D", "P", "T")  # HL7 table 0103
MAX_REPETITIONS = 1000


def check_header(message: Message, versions: tuple[str, ...], structures: tuple[str, ...]) -> None:
    """Check MSH-9.3, 10, 11 and 12; MSH-9.1 and 9.2 were checked when the transaction was found.

    Raises ExchangeError: REQUIRED_MISSING, UNSUPPORTED_VERSION, UNSUPPORTED_PROCESSING_ID or, for a structure that is
    not one of ``structures``, UNSUPPORTED_MESSAGE. An absent MSH-9.3 is no error (2.3.1 has it optional).
    """
    for number in (10, 11, 12):
        if not message.header.component(number, 1):
            raise ExchangeError(Reason.REQUIRED_MISSING, f"MSH-{number} is required.", f"MSH^1^{number}")
    if message.version not in versions:
        raise ExchangeError(
            Reason.UNSUPPORTED_VERSION,
            f"MSH-12 has to be {' or '.join(versions)} for {message.trigger}.",
            "MSH^1^12^1^1",
        )
    if message.header.component(11, 1) not in PROCESSING_IDS:
        raise ExchangeError(
            Reason.UNSUPPORTED_PROCESSING_ID, f"MSH-11 has to be one of {' '.join(PROCESSING_IDS)}.", "MSH^1^11^1^1"
        )
    if message.structure and message.structure not in structures:
        raise ExchangeError(
            Reason.UNSUPPORTED_MESSAGE, f"MSH-9.3 has to be {structures[0]} for {message.trigger}.", "MSH^1^9^1^3"
        )


def check_repetitions(message: Message) -> None:
    """Raise ExchangeError TOO_LARGE for a field of more than 1000 repetitions, before anything reads them singly."""
    sign = message.delimiters.repetition
    if message.text.count(sign) <= MAX_REPETITIONS:
        return
    for segment in message.segments:
        for number, text in enumerate(segment.fields):
            if text.count(sign) >= MAX_REPETITIONS:
                place, location = f"{segment.name}-{number}", f"{segment.name}^1^{number}"
                detail = f"{place} has more than {MAX_REPETITIONS} repetitions."
                raise ExchangeError(Reason.TOO_LARGE, detail, location)
