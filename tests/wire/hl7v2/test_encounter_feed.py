"""ITI-31: triggers, their options, and what a message tells of a stay (ITI TF-2: 3.31)."""

from dataclasses import replace

import pytest

from hie.values.demographics_queries import (
    EncounterEvent,
    EncounterKind,
    Location,
    Movement,
    MovementAction,
    Practitioner,
    Visit,
)
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.people import Demographics, NameParts, PersonName
from hie.wire.hl7v2 import encounter_feed
from hie.wire.hl7v2.encounter_feed import OPTIONS, TRIGGERS, Option
from hie.wire.hl7v2.message import Message
from hie.wire.hl7v2.structures import conformance
from hie.wire.hl7v2.writer import Parties
from tests.wire.hl7v2.samples import sample

HOSPITAL = AssigningAuthority("1.2.392.100495.20.3.51.11311234567", "HOSP1")
PARTIES = Parties("HIS", "HOSP1", "REG", "RHIE")
ADMISSION = EncounterEvent(
    kind=EncounterKind.ADMIT,
    action=MovementAction.INSERT,
    trigger="ADT^A01",
    message_id="E0001",
    identifiers=(Identifier("0000123456", HOSPITAL, "PI"),),
    demographics=Demographics(PersonName(NameParts("山田", "太郎"), NameParts("ヤマダ", "タロウ")), "19600101", "M"),
    visit=Visit(
        patient_class="I",
        location=Location("3W", "389", "2", "HOSP1"),
        admission_type="R",
        prior_location=Location("1E", "101", "1"),
        attending=(Practitioner("D12", "佐藤", "一郎"),),
        hospital_service="CAR",
        admitting=(Practitioner("D13"),),
        visit_number=Identifier("VN5", AssigningAuthority("", "HOSP1")),
        admitted_at="20250331090000+0900",
    ),
    account=Identifier("ACC9", AssigningAuthority("", "HOSP1")),
    movement=Movement(
        identifiers=(Identifier("MV1", AssigningAuthority("1.2.3.4", "HOSP1")),),
        starts_at="20250331090000+0900",
        responsible_ward="3W",
        nursing_ward="3W",
        scope="S",
    ),
    occurred_at="20250401100000+0900",
)

READ = {
    "a01": ADMISSION,
    "a11-cancel": replace(
        ADMISSION, trigger="ADT^A11", message_id="E0002", action=MovementAction.CANCEL, movement=None
    ),
    "a13-cancel": replace(
        ADMISSION,
        trigger="ADT^A13",
        message_id="E0003",
        kind=EncounterKind.DISCHARGE,
        action=MovementAction.CANCEL,
        movement=None,
    ),
    "a14-pending": replace(
        ADMISSION,
        trigger="ADT^A14",
        message_id="E0004",
        kind=EncounterKind.PENDING_ADMIT,
        movement=None,
        occurred_at="",
        planned_at="20250405",
    ),
    "a44-account": replace(
        ADMISSION,
        trigger="ADT^A44",
        message_id="E0005",
        kind=EncounterKind.MOVE_ACCOUNT,
        visit=Visit(),
        movement=None,
        prior_identifiers=(Identifier("0000999999", HOSPITAL),),
        prior_account=Identifier("ACC9", AssigningAuthority("", "HOSP1")),
    ),
    "z99-update": replace(
        ADMISSION,
        trigger="ADT^Z99",
        message_id="E0006",
        kind=EncounterKind.TRANSFER,
        action=MovementAction.UPDATE,
        movement=Movement(
            identifiers=(
                Identifier("MV1", AssigningAuthority("1.2.3.4", "HOSP1")),
                Identifier("MV1B", AssigningAuthority("", "OTHER")),
            ),
            starts_at="20250331090000+0900",
            ends_at="20250401",
            action=MovementAction.UPDATE,
            historic=True,
            original_trigger="A02",
            responsible_ward="7",
            nursing_ward="4N",
        ),
    ),
}


@pytest.mark.parametrize("name", READ)
def test_what_an_event_tells(name):
    assert encounter_feed.read_request(sample(f"ITI-31/{name}.hl7")) == READ[name]


@pytest.mark.parametrize("name", READ)
def test_what_is_written_is_read(name):
    message = Message.read(encounter_feed.write_request(READ[name], PARTIES))
    assert encounter_feed.read_request(message) == READ[name]


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_every_trigger_is_written_by_its_structure_and_read(trigger):
    row = TRIGGERS[trigger]
    kind = row.kind or EncounterKind.ADMIT
    has_prior = kind in (EncounterKind.MERGE_PATIENTS, EncounterKind.MOVE_ACCOUNT)
    event = replace(
        ADMISSION,
        trigger=trigger,
        kind=kind,
        action=row.action,
        visit=Visit() if has_prior else ADMISSION.visit,
        movement=replace(ADMISSION.movement, action=row.action, original_trigger="A01") if row.kind is None else None,
        prior_identifiers=(Identifier("0000999999", HOSPITAL),) if has_prior else (),
    )
    message = Message.read(encounter_feed.write_request(event, PARTIES))
    assert message.structure == row.structure
    assert encounter_feed.read_request(message) == event
    assert conformance(message, row.structure) == []


def test_the_basic_subset_needs_no_option():
    basic = {trigger for trigger, row in TRIGGERS.items() if row.option is Option.BASIC}
    assert basic == {"ADT^A01", "ADT^A03", "ADT^A04", "ADT^A11", "ADT^A13"}
    message = sample("ITI-31/a11-cancel.hl7")
    assert encounter_feed.read_request(message, frozenset()).kind is EncounterKind.ADMIT


@pytest.mark.parametrize("name", ["a14-pending", "a44-account", "z99-update"])
def test_an_event_of_an_option_that_is_not_supported_is_rejected(name):
    message = sample(f"ITI-31/{name}.hl7")
    option = TRIGGERS[message.trigger].option
    with pytest.raises(ExchangeError) as caught:
        encounter_feed.read_request(message, OPTIONS - {option})
    answer = Message.read(encounter_feed.write_error(message, caught.value))
    assert answer.first("MSA").field(1) == "AR"
    assert answer.first("ERR").field(2) == "MSH^1^9^1^2"
    assert answer.first("ERR").field(3) == "201^Unsupported trigger event^HL70357"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("refused-event", [("UNSUPPORTED_EVENT", "MSH^1^9^1^2")]),
        ("refused-z99-without-zbe", [("SEGMENT_SEQUENCE", "ZBE^1")]),
        (
            "refused-movement",
            [("NOT_IN_TABLE", "ZBE^1^4"), ("REQUIRED_MISSING", "ZBE^1^1"), ("WRONG_DATA_TYPE", "ZBE^1^2")],
        ),
    ],
)
def test_what_is_refused(name, found):
    with pytest.raises(ExchangeError) as caught:
        encounter_feed.read_request(sample(f"ITI-31/{name}.hl7"))
    assert [(finding.reason.name, finding.location) for finding in caught.value.findings] == found


@pytest.mark.parametrize("kind", [EncounterKind.TO_INPATIENT, EncounterKind.TO_OUTPATIENT])
def test_a_change_of_class_may_change_the_account(kind):
    prior = Identifier("ACC1", AssigningAuthority("", "HOSP1"))
    event = replace(ADMISSION, trigger=f"ADT^{kind.value}", kind=kind, movement=None, prior_account=prior)
    message = Message.read(encounter_feed.write_request(event, PARTIES))
    assert [each.name for each in message.segments] == ["MSH", "EVN", "PID", "MRG", "PV1"]
    assert encounter_feed.read_request(message) == event


@pytest.mark.parametrize(
    ("trigger", "action", "is_right"),
    [
        ("A02", "INSERT", True), ("A02", "CANCEL", False), ("A02", "UPDATE", False),
        ("A12", "CANCEL", True), ("A12", "INSERT", False), ("A08", "UPDATE", True), ("Z99", "UPDATE", True),
    ],
)  # fmt: skip
def test_zbe_says_the_same_as_the_trigger(trigger, action, is_right):
    structure = TRIGGERS[f"ADT^{trigger}"].structure
    text = sample("ITI-31/a01.hl7").text.replace("ADT^A01^ADT_A01", f"ADT^{trigger}^{structure}")
    message = Message.read(text.replace("|INSERT|N||", f"|{action}|N|A02|").encode())
    if is_right:
        assert encounter_feed.read_request(message).movement.action.value == action
        return
    with pytest.raises(ExchangeError) as caught:
        encounter_feed.read_request(message)
    assert [(each.reason.name, each.location) for each in caught.value.findings] == [("NOT_IN_TABLE", "ZBE^1^4")]


def test_what_pv1_deletes_is_named():
    text = sample("ITI-31/a01.hl7").text.replace("D12^佐藤^一郎", '""').replace("|CAR|", '|""|')
    visit = encounter_feed.read_request(Message.read(text.encode())).visit
    assert (visit.cleared, visit.attending, visit.hospital_service) == (("attending", "hospital_service"), (), "")
    again = Message.read(encounter_feed.write_request(replace(ADMISSION, visit=visit), PARTIES))
    assert encounter_feed.read_request(again).visit == visit


@pytest.mark.parametrize(
    ("asked", "taken", "refused"),
    [
        ("|||", "AA", "AE"), ("|||AL", "AA", "AE"), ("|||AL|NE", "CA", "CE"), ("|||NE|AL", "AA", "AE"),
        ("|||AL|AL", "AA", "AE"), ("|||NE|NE", "AA", "AE"),
    ],
)  # fmt: skip
def test_a_sender_in_enhanced_mode_gets_an_accept_acknowledgement(asked, taken, refused):
    text = sample("ITI-31/a11-cancel.hl7").text
    head, _, rest = text.partition("\r")
    fields = head.split("|")[:12]
    message = Message.read(("|".join(fields) + asked + "\r" + rest).encode())
    assert Message.read(encounter_feed.write_response(message)).first("MSA").field(1) == taken
    error = ExchangeError(Reason.UNKNOWN_KEY, "Not known.", "movement")
    assert Message.read(encounter_feed.write_error(message, error)).first("MSA").field(1) == refused


def test_an_update_needs_the_original_trigger():
    text = sample("ITI-31/z99-update.hl7").text.replace("|A02|", "||")
    with pytest.raises(ExchangeError) as caught:
        encounter_feed.read_request(Message.read(text.encode()))
    assert [(each.reason.name, each.location) for each in caught.value.findings] == [("REQUIRED_MISSING", "ZBE^1^6")]
