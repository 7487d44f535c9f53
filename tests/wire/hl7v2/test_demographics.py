"""Persons as Japanese systems write them, and the deviations that have to be read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.people import Address, Demographics, Insurance, NameParts, PersonName
from hie.wire.hl7v2.charset import JIS, encode
from hie.wire.hl7v2.demographics import read_demographics, read_identifiers, write_in1, write_pid
from hie.wire.hl7v2.message import Message
from tests.wire.hl7v2.samples import sample

YAMAMOTO = PersonName(NameParts("山本", "日出美"), NameParts("ヤマモト", "ヒデミ"))


def _read(*segments):
    return read_demographics(Message.read("\r".join(["MSH|^~\\&|H", *segments]).encode()))


def _pid(**fields):
    values = {int(name[1:]): text for name, text in fields.items()}
    return "PID|" + "|".join(values.get(number, "") for number in range(1, 33))


@pytest.mark.parametrize("name", ["ITI-8/a04-jis.hl7", "ITI-8/a04-25-utf8.hl7", "ITI-30/a28-jis.hl7"])
def test_a_whole_person(name):
    assert read_demographics(sample(name)) == Demographics(
        name=YAMAMOTO,
        birth_date="19600101",
        sex="F",
        addresses=(Address("1000001", text="東京都千代田区千代田１−１", country="JPN"),),
        telephones=("03-1234-5678", "090-1234-5678"),
        insurances=(Insurance("06271596", "９２０４５", "１０２３", "01", "20240401", "20290331", "06"),),
    )


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("山本^日出美^^^^^L^I~ヤマモト^ヒデミ^^^^^L^P", YAMAMOTO),
        ("ヤマモト^ヒデミ^^^^^L^P~山本^日出美^^^^^L^I", YAMAMOTO),
        ("山本^日出美^^^^^^L^I~ヤマモト^ヒデミ^^^^^^L^P", YAMAMOTO),
        ("山本^日出美~ヤマモト^ヒデミ", YAMAMOTO),
        ("ﾔﾏﾓﾄ^ﾋﾃﾞﾐ~山本^日出美", PersonName(NameParts("山本", "日出美"), NameParts("ﾔﾏﾓﾄ", "ﾋﾃﾞﾐ"))),
        ("山本　日出美^^^^^^L^I~ヤマモト ヒデミ^^^^^^L^P", YAMAMOTO),
        ("^山本^日出美^^^^^L^I", PersonName(NameParts("山本", "日出美"))),
        ("YAMAMOTO^HIDEMI", PersonName(alphabetic=NameParts("YAMAMOTO", "HIDEMI"))),
        ("さくら^はな~サクラ^ハナ", PersonName(NameParts("サクラ", "ハナ"), NameParts("さくら", "はな"))),
        ("旧姓^日出美^^^^^M^I~山本^日出美^^^^^L^I", PersonName(NameParts("山本", "日出美"))),
        ("芸名^花子^^^^^A~山本^日出美^^^^^L", PersonName(NameParts("山本", "日出美"))),
        ("山本^日出美^^^^^L^I~芸名^花子^^^^^A", PersonName(NameParts("山本", "日出美"))),
        ("山本^日出美^^^^^I~ヤマモト^ヒデミ^^^^^P", YAMAMOTO),
        ("山本&ヤマ&モト^日出美^^^^^L^I", PersonName(NameParts("山本", "日出美"))),
        ("太郎左衛門", PersonName(NameParts("太郎左衛門"))),
        ('""^日出美', PersonName(NameParts("", "日出美"))),
        ("", PersonName()),
    ],
)
def test_names_are_classified_by_label_and_else_by_script(field, name):
    assert _read(_pid(f5=field)).name == name


@pytest.mark.parametrize(
    ("fields", "birth_date", "sex"),
    [
        ({"f7": "19600101", "f8": "F"}, "19600101", "F"),
        ({"f7": "19600101120000+0900", "f8": "f"}, "19600101", "F"),
        ({"f7": "196001"}, "196001", ""),
        ({"f7": "M", "f8": "19600101"}, "19600101", "M"),
        ({"f8": "M", "f9": "19600101"}, "19600101", "M"),
        ({"f7": "00000000", "f8": "U"}, "", "U"),
        ({"f7": "99999999", "f8": "N"}, "", "O"),
        ({"f7": "昭和35年", "f8": "女"}, "", ""),
    ],
)
def test_birth_date_and_sex_by_their_shape(fields, birth_date, sex):
    person = _read(_pid(**fields))
    assert (person.birth_date, person.sex) == (birth_date, sex)


@pytest.mark.parametrize(
    ("field", "address"),
    [
        ("^^^^422-8033^JPN^H^静岡市登呂１", Address("4228033", text="静岡市登呂１", country="JPN")),
        ("千代田1-1^ビル^千代田区^東京都^〒１０００００１", Address("1000001", "東京都", "千代田区", "千代田1-1 ビル")),
        ("静岡県静岡市登呂１", Address(street="静岡県静岡市登呂１")),
        ("Bahnhofstr. 1^^Testort^^01234^DE", Address("01234", "", "Testort", "Bahnhofstr. 1", country="DE")),
    ],
)
def test_addresses(field, address):
    assert _read(_pid(f11=field)).addresses == (address,)


@pytest.mark.parametrize(
    ("field", "numbers"),
    [
        ("^PRN^PH^^^^^^^^^03-1234-5678", ("03-1234-5678",)),
        ("^PRN^PH^^^^1234567", ("1234567",)),
        ("^PRN^PH^^^03^12345678", ("03-12345678",)),
        ("03-1234-5678~090-1", ("03-1234-5678", "090-1")),
        ("^PRN^PH", ()),
        ("^PRN^FX^^^^^^^^^03-1234-5679~^NET^Internet^taro@example.jp", ()),
    ],
)
def test_telephones(field, numbers):
    assert _read(_pid(f13=field)).telephones == numbers


@pytest.mark.parametrize(
    ("tenth", "eleventh", "expected"),
    [
        ("記号", "番号", ("記号", "番号", "")),
        ("記号~番号~01", "", ("記号", "番号", "01")),
        ("記号~番号~01", "番号", ("記号", "番号", "01")),
        ("記号~番号", "", ("記号", "番号", "")),
        ("記号~01", "番号", ("記号", "番号", "01")),
        ("記号", "番号~01", ("記号", "番号", "01")),
        ("", "記号~番号~01", ("記号", "番号", "01")),
        ("", "受給者番号", ("", "受給者番号", "")),
    ],
)
def test_insurance_symbols_and_numbers(tenth, eleventh, expected):
    insurance = _read(_pid(f5="A"), f"IN1|1|C0|138057||||||| {tenth}|{eleventh}".replace("| ", "|")).insurances[0]
    assert (insurance.symbol, insurance.number, insurance.branch) == expected
    assert insurance.insurer_number == "138057"


def test_two_quotes_delete_and_nothing_leaves_alone():
    person = read_demographics(sample("ITI-8/a08-deletes.hl7"))
    assert person.cleared == {"birth_date", "sex", "addresses", "telephones"}
    assert (person.birth_date, person.sex, person.addresses, person.telephones) == ("", "", (), ())
    assert _read(_pid(f5="A")).cleared == frozenset()


def test_a_message_without_a_patient_says_nothing():
    assert _read("PV1|1") == Demographics()


@pytest.mark.parametrize(
    ("text", "identifiers"),
    [
        ("1^^^&1.2.3.4&ISO^PI", [Identifier("1", AssigningAuthority("1.2.3.4"), "PI")]),
        ("1^^^NS&1.2.3.4&ISO", [Identifier("1", AssigningAuthority("1.2.3.4", "NS"))]),
        ("1^^^NS~2", [Identifier("1", AssigningAuthority("", "NS")), Identifier("2")]),
        ("1^^^1.2.392.1", [Identifier("1", AssigningAuthority("1.2.392.1"))]),
        ('^^^NS~""~3', [Identifier("3")]),
        ("A\\T\\B^^^N\\S\\S", [Identifier("A&B", AssigningAuthority("", "N^S"))]),
    ],
)
def test_identifiers(text, identifiers):
    message = Message.read(f"MSH|^~\\&|H\rPID|||{text}".encode())
    assert list(read_identifiers(message.first("PID"), 3)) == identifiers


_NAME = st.text(st.sampled_from("山本日美急糖骨まマ|^~\\&"), min_size=1, max_size=5)


@given(_NAME, _NAME, st.sampled_from(["", "19600101", "1960"]), st.sampled_from(["", "M", "F", "O", "U"]))
def test_what_is_written_is_read_again(family, given_name, birth_date, sex):
    person = Demographics(
        name=PersonName(NameParts(family, given_name), NameParts("ヤマ", "ヒ"), NameParts("YAMA", "HI")),
        birth_date=birth_date,
        sex=sex,
        addresses=(Address("1000001", "東京都", "千代田区", "一|二", country="JPN"), Address(text="日本")),
        telephones=("03-1", "090^2"),
        insurances=(Insurance("06271596", "記|号", "番&号", "01", "20240401", "20290331", "06"),),
    )
    identifiers = (Identifier("1|2", AssigningAuthority("1.2.3", "病院&1"), "PI"),)
    text = f"MSH|^~\\&|H\r{write_pid(person, identifiers)}\r{write_in1(person.insurances[0])}\r"
    message = Message.read(encode(text, JIS))
    assert read_demographics(message) == person
    assert read_identifiers(message.first("PID"), 3) == identifiers


def test_deletions_are_written_as_two_quotes():
    message = Message.read(b"MSH|^~\\&|H\r" + write_pid(Demographics(cleared=frozenset({"sex"})), ()).encode())
    assert read_demographics(message).cleared == {"sex"}


@pytest.mark.parametrize(
    ("dead", "at", "cleared"),
    [("N", "", True), ("N", "20240101", False), ("Y", "", False), ("", "", False), ("", '""', True)],
)
def test_who_is_said_to_live_is_not_dead(dead, at, cleared):
    assert ("death_time" in _read(_pid(f29=at, f30=dead)).cleared) is cleared


def test_an_alias_is_no_name_and_who_is_unknown_has_none_of_it():
    fields = {"f5": "氏名^不詳^^^^^L^I", "f7": "1960", "f8": "M", "f11": "千代田1-1", "f13": "03-1234-5678"}
    alias = _read(_pid(**fields, f32="AL"))
    assert (alias.name, alias.birth_date, alias.telephones) == (PersonName(), "1960", ("03-1234-5678",))
    assert _read(_pid(**fields, f31="Y", f32="AL")) == Demographics(sex="M")
    assert _read(_pid(**fields, f31="N")).name.ideographic == NameParts("氏名", "不詳")
