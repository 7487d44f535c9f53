"""Bad input at the MLLP doors: HL7's own error that names field and rule, a record, and the connection lives on."""

from __future__ import annotations

import itertools
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hie.transport.tls import Credentials, client_context
from hie.wire.hl7v2.message import Message
from hie.wire.hl7v2.mllp import FrameReader, frame
from tests.region import Region
from tests.robustness.observing import Watch, looks_like_a_trace

MIB = 1024 * 1024
_numbers = itertools.count(1)


class Peer:
    """A raw connection: bytes out, frames in."""

    def __init__(self, region: Region, node: str = "hospital", door: str = "mllps") -> None:
        self.socket = socket.create_connection(("localhost", region.ports[door]), 30)
        if door == "mllps":
            context = client_context(region.credentials(node))
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self._frames = FrameReader(64 * MIB)
        self._waiting: list[Message] = []

    def answer(self) -> Message | None:
        """The next answer, None where the connection was closed instead."""
        while not self._waiting:
            received = self.socket.recv(65536)
            if not received:
                return None
            self._waiting += [Message.read(each) for each in self._frames.feed(received) if isinstance(each, bytes)]
        return self._waiting.pop(0)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *ignored: object) -> None:
        self.socket.close()


def header(
    message_type: str = "ADT^A28^ADT_A05",
    *,
    version: str = "2.5",
    processing: str = "P",
    charset: str = "UNICODE UTF-8",
    sender: str = "EHR|HOSP",
    control_id: str = "BAD1",
) -> str:
    return (
        rf"MSH|^~\&|{sender}|HIE|REGION|20260401103000+0900||{message_type}|{control_id}|{processing}|{version}"
        f"||||||{charset}"
    )


EVN, PV1 = "EVN||20260401103000+0900", "PV1|1|N"


def pid(
    cx: str = "9001^^^H1310000011&1.2.392.100495.20.3.51.11310000011&ISO^PI",
    name: str = "試験^不良^^^^^L^I~シケン^フリョウ^^^^^L^P",
    birth: str = "19700101",
    sex: str = "M",
    **more: str,
) -> str:
    fields = {3: cx, 5: name, 7: birth, 8: sex} | {int(key[1:]): value for key, value in more.items()}
    return "PID|" + "|".join(fields.get(number, "") for number in range(1, max(fields) + 1))


def message(*segments: str, codec: str = "utf-8") -> bytes:
    return ("\r".join(segments) + "\r").encode(codec)


def good() -> bytes:
    number = next(_numbers)
    name = f"試験^善良{number}^^^^^L^I~シケン^ゼンリョウ^^^^^L^P"
    cx = f"good{number}^^^H1310000011&1.2.392.100495.20.3.51.11310000011&ISO^PI"
    return message(header(control_id=f"GOOD{number}"), EVN, pid(cx, name, f"1950{number % 12 + 1:02d}01"), PV1)


def framed(*segments: str, codec: str = "utf-8") -> bytes:
    return frame(message(*segments, codec=codec))


QPD = "QPD|IHE PIX Query|Q1|9001^^^H1310000011&1.2.392.100495.20.3.51.11310000011&ISO^PI"
QBP = "QBP^Q23^QBP_Q21"

# case -> bytes on the wire, MSA-1, code of table 0357, what the words have to name
CASES: dict[str, tuple[bytes, str, str, str]] = {
    "garbage before the frame": (b"GET / HTTP/1.1\r\n\r\n", "AR", "100", "0x0B"),
    "a frame that another interrupts": (b"\x0b" + message(header(), EVN), "AR", "100", "0x1C"),
    "an empty frame": (frame(b""), "AR", "100", "MSH"),
    "no MSH": (framed(EVN, pid(), PV1), "AR", "100", "MSH"),
    "MSH that is cut": (frame(b"MSH"), "AR", "100", "MSH-1"),
    "MSH with doubled delimiters": (frame(b"MSH|^^^^|EHR|HOSP"), "AR", "100", "MSH-2"),
    "bytes of no text": (frame(bytes(set(range(256)) - {0x0B, 0x1C})), "AR", "100", "MSH"),
    "JSON": (frame(b'{"resourceType":"Patient"}'), "AR", "100", "MSH"),
    "unknown type": (framed(header("XYZ^A01^XYZ_A01"), EVN, pid(), PV1), "AR", "200", "MSH-9.1"),
    "no type": (framed(header(""), EVN, pid(), PV1), "AR", "200", "MSH-9"),
    "unknown trigger": (framed(header("ADT^A99^ADT_A99"), EVN, pid(), PV1), "AR", "201", "MSH-9.2"),
    "unknown version": (framed(header(version="9.9"), EVN, pid(), PV1), "AR", "203", "MSH-12"),
    "no version": (framed(header(version=""), EVN, pid(), PV1), "AE", "101", "MSH-12"),
    "unknown processing id": (framed(header(processing="X"), EVN, pid(), PV1), "AR", "202", "MSH-11"),
    "no control id": (framed(header(control_id=""), EVN, pid(), PV1), "AE", "101", "MSH-10"),
    "wrong structure": (framed(header("ADT^A28^ADT_A39"), EVN, pid(), PV1), "AR", "200", "MSH-9.3"),
    "no PID": (framed(header(), EVN, PV1), "AE", "100", "PID"),
    "no EVN": (framed(header(), pid(), PV1), "AE", "100", "EVN"),
    "two patients": (framed(header(), EVN, pid(), pid(), PV1), "AE", "100", "PID"),
    "no patient id": (framed(header(), EVN, pid(""), PV1), "AE", "101", "PID-3"),
    "an authority without an id": (framed(header(), EVN, pid("^^^HOSP&1.2.3&ISO"), PV1), "AE", "101", "PID-3.1"),
    "no name": (framed(header(), EVN, pid(name=""), PV1), "AE", "101", "PID-5"),
    "a birth date that is none": (framed(header(), EVN, pid(birth="昭和45年"), PV1), "AE", "102", "PID-7"),
    "the 31st of February": (framed(header(), EVN, pid(birth="19700231"), PV1), "AE", "102", "PID-7"),
    "a sex that is none": (framed(header(), EVN, pid(sex="男"), PV1), "AE", "103", "PID-8"),
    "an id that is too long": (framed(header(), EVN, pid("9" * 65), PV1), "AE", "102", "64 characters"),
    "a number of another facility": (
        framed(header(), EVN, pid("1^^^H1310000029&1.2.392.100495.20.3.51.11310000029&ISO^PI"), PV1),
        "AE",
        "204",
        "authority",
    ),
    "a number of nobody": (framed(header(), EVN, pid("1^^^NOBODY&1.2.3.4.5&ISO^PI"), PV1), "AE", "204", "authority"),
    "2000 repetitions": (framed(header(), EVN, pid("~".join(["1"] * 2000)), PV1), "AR", "102", "PID-3"),
    "150 000 segments": (frame(message(header(), EVN, pid()) + b"ZZZ|1\r" * 150_000), "AR", "102", "segments"),
    "nine MiB": (b"\x0b" + message(header()) + b"x" * (9 * MIB) + b"\x1c\r", "AR", "102", "bytes"),
    "a merge without MRG": (framed(header("ADT^A40^ADT_A39"), EVN, pid()), "AE", "100", "MRG"),
    "a merge with itself": (
        framed(header("ADT^A40^ADT_A39"), EVN, pid("9001"), "MRG|9001"),
        "AE",
        "204",
        "",
    ),
    "My Number": (framed(header(), EVN, pid(name="試験^個人番号 983205673214"), PV1), "AE", "102", "name"),
    "a query without QPD": (framed(header(QBP), "RCP|I"), "AE", "100", "QPD"),
    "a query without an id": (framed(header(QBP), "QPD|IHE PIX Query|Q1", "RCP|I"), "AE", "101", "QPD-3"),
    "a query for nobody": (framed(header(QBP), QPD.replace("|9001", "|nobody"), "RCP|I"), "AE", "204", ""),
    "a query of a domain of nobody": (
        framed(header(QBP), QPD + "|^^^NOBODY&1.2.3.4.5&ISO", "RCP|I"),
        "AE",
        "204",
        "",
    ),
    "the name of another node": (framed(header(sender="EHR|CLIN"), EVN, pid(), PV1), "AR", "207", "MSH-3"),
}

PATIENTS_OF = {"a merge with itself": 2}  # a record for each patient that a message is about


@pytest.fixture(scope="module")
def peer(region: Region) -> Iterator[Peer]:
    """One connection for all cases: whatever came over it, the next message is answered."""
    with Peer(region) as peer:
        yield peer


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_answered_and_the_connection_lives(region: Region, peer: Peer, case: str) -> None:
    raw, acknowledgement, code, words = CASES[case]
    watch = Watch(region)
    peer.socket.sendall(raw)
    if case == "a frame that another interrupts":
        peer.socket.sendall(frame(good()))
    refused = peer.answer()
    assert refused is not None
    (segment,) = refused.all("MSA")
    assert segment.field(1) == acknowledgement
    texts = [each.field(8) for each in refused.all("ERR")]
    assert code in [each.component(3, 1) for each in refused.all("ERR")], texts
    assert any(words in text for text in texts), texts
    assert not looks_like_a_trace(refused.raw)
    if case == "a frame that another interrupts":
        assert _said(peer.answer()) == "AA"
        return
    records = watch.records()
    assert [each.outcome > 0 for each in records] == [True] * PATIENTS_OF.get(case, 1)
    assert records[0].caller in ("hospital", "CLIN|EHR")
    assert watch.changed() == {}
    peer.socket.sendall(frame(good()))
    assert _said(peer.answer()) == "AA"


def _said(answer: Message | None) -> str:
    assert answer is not None
    return answer.first("MSA").field(1)


def test_an_answer_in_2_3_1_names_the_field_in_err_1(peer: Peer) -> None:
    peer.socket.sendall(framed(header("ADT^A04", version="2.3.1"), EVN, pid(""), PV1))
    answer = peer.answer()
    assert answer is not None
    assert answer.first("ERR").field(1).startswith("PID^1^3^101&Required field missing")
    assert "PID-3" in answer.first("ERR").field(1)


# Text that is not what its label says is no reason to refuse a patient: unreadable characters are replaced.
ENCODINGS = {
    "UTF-8 under the label of JIS": (header(charset="~ISO IR87"), "utf-8"),
    "Shift JIS under the label of UTF-8": (header(), "cp932"),
    "JIS under the label of UTF-8": (header(), "iso2022_jp"),
    "EUC under no label": (header(charset=""), "euc_jp"),
    "a label that nobody knows": (header(charset="KLINGON"), "utf-8"),
}


@pytest.mark.parametrize("case", ENCODINGS)
def test_a_wrong_label_never_fails_a_message(region: Region, peer: Peer, case: str) -> None:
    head, codec = ENCODINGS[case]
    number = next(_numbers)
    raw = framed(head, EVN, pid(f"label{number}", f"符号^化{number}^^^^^L^I~フゴウ^カ^^^^^L^P"), PV1, codec=codec)
    peer.socket.sendall(raw)
    assert _said(peer.answer()) == "AA"
    assert region.rows("SELECT status FROM pix_localidentifier WHERE value = %s", f"label{number}") == [("active",)]


def test_bytes_that_are_cut_inside_kanji_never_fail_a_message(region: Region, peer: Peer) -> None:
    raw = message(header(), EVN, pid("cut1", "符号^化^^^^^L^I"), PV1).replace("号".encode(), "号".encode()[:2])
    peer.socket.sendall(frame(raw))
    assert _said(peer.answer()) == "AA"
    assert "�" in region.one("SELECT ideographic_family FROM pix_localidentifier WHERE value = 'cut1'")


# Connections that end badly --------------------------------------------------------------------------------------


def _records_within(watch: Watch, count: int, seconds: float = 10) -> list[object]:
    end = time.monotonic() + seconds
    while len(watch.records()) < count and time.monotonic() < end:
        time.sleep(0.05)
    return watch.records()


def test_a_frame_that_never_ends_is_answered_when_the_sender_closes_its_half(region: Region) -> None:
    watch = Watch(region)
    with Peer(region, door="mllp") as peer:
        peer.socket.sendall(b"\x0b" + message(header(), EVN, pid("half")))
        peer.socket.shutdown(socket.SHUT_WR)
        answer = peer.answer()
        assert answer is not None
        assert _said(answer) == "AR"
        assert "0x1C" in answer.text
        assert peer.answer() is None
    assert [each.outcome for each in watch.records()] == [8]
    assert watch.changed() == {}


def test_a_frame_that_never_ends_is_recorded_when_the_sender_is_gone(region: Region) -> None:
    watch = Watch(region)
    with Peer(region) as peer:
        peer.socket.sendall(b"\x0b" + message(header(), EVN, pid("half")))
    assert [each.outcome for each in _records_within(watch, 1)] == [8]
    assert watch.changed() == {}


def test_a_sender_that_resets_the_connection_harms_nobody(region: Region, peer: Peer) -> None:
    watch = Watch(region)
    for _ in range(5):
        broken = Peer(region, door="mllp")
        broken.socket.sendall(frame(good()) + b"\x0bMSH")
        broken.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        broken.socket.close()
    _records_within(watch, 5)
    peer.socket.sendall(frame(good()))
    assert _said(peer.answer()) == "AA"


# Who is at the other end -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("node", ["stranger", "withdrawn"])
def test_a_node_that_is_switched_off_or_unknown(region: Region, node: str) -> None:
    watch = Watch(region)
    with Peer(region, node) as peer:
        for _ in range(2):
            peer.socket.sendall(framed(header(sender="EHR|OFF"), EVN, pid(), PV1))
            answer = peer.answer()
            assert answer is not None
            assert _said(answer) == "AR"
            assert ("switched off" if node == "stranger" else "not registered") in answer.text
    assert [each.outcome for each in watch.records()] == [8, 8]
    assert watch.changed() == {}


def test_a_name_that_nobody_has_at_the_plain_door(region: Region) -> None:
    watch = Watch(region)
    with Peer(region, door="mllp") as peer:
        peer.socket.sendall(framed(header(sender="EHR|NOBODY"), EVN, pid(), PV1))
        answer = peer.answer()
        assert answer is not None
        assert _said(answer) == "AR"
        assert "MSH-3" in answer.text
    (record,) = watch.records()
    assert (record.outcome, record.caller) == (8, "NOBODY|EHR")
    assert watch.changed() == {}


def foreign_credentials(directory: Path, authorities: Path) -> Credentials:
    """A certificate that its owner signed for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hospital")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "foreign.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (directory / "foreign.key").write_bytes(private)
    return Credentials(directory / "foreign.pem", directory / "foreign.key", authorities)


@pytest.mark.parametrize("door", ["mllps", "https"])
@pytest.mark.parametrize("case", ["plain text", "no certificate", "certificate of a stranger"])
def test_a_failed_handshake_is_recorded(region: Region, tmp_path: Path, door: str, case: str) -> None:
    watch = Watch(region)
    plain = socket.create_connection(("localhost", region.ports[door]), 15)
    with plain, pytest.raises((OSError, EOFError)):  # noqa: PT012 - any of these steps may be the one that fails
        if case == "plain text":
            plain.sendall(framed(header(), EVN, pid(), PV1))
            if not plain.recv(1000) or plain.recv(1000) == b"":
                raise EOFError
        ca = region.credentials("hospital").authorities
        context = ssl.create_default_context(cafile=ca)
        if case == "certificate of a stranger":
            context = client_context(foreign_credentials(tmp_path, ca))
        secured = context.wrap_socket(plain, server_hostname="localhost")
        secured.sendall(b"POST /soap/registry HTTP/1.1\r\n\r\n" if door == "https" else frame(good()))
        if secured.recv(1000) == b"":
            raise EOFError
    (record,) = _records_within(watch, 1)
    assert (record.outcome, record.transaction) == (8, "")
    assert "handshake" in record.description
    assert watch.changed() == {}
    with Peer(region) as peer:
        peer.socket.sendall(frame(good()))
        assert _said(peer.answer()) == "AA"
