"""Another system issues the regional ids: what it feeds is taken as it is, and nothing else is a regional id."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from apps.consent.models import Directive
from apps.consent.services import record_directive
from apps.ids.models import is_provisional
from apps.network import queries as network
from apps.network.services import add_facility, add_node
from apps.network.services.members import set_own_rows
from apps.pix import queries, services
from apps.pix.models import LocalIdentifier, Person, ReviewCase
from apps.pix.queries.domain import check_regional_ids
from apps.xds.models import DocumentEntry
from apps.xds.services import register
from hie import environment
from hie.values.demographics_queries import DemographicsQuery, LinkChange, NameCriterion, TextCriterion
from hie.values.errors import ExchangeError, Reason
from hie.values.identifiers import AssigningAuthority, Identifier
from hie.values.patients import CrossReferenceQuery, FeedEvent, FeedOutcome
from hie.values.people import Demographics
from hie.wire.ebxml.fragments import read_fragment
from tests.apps.pix import told
from tests.apps.pix.told import CLINIC, HOSPITAL, chart, message, permit, somebody, tell
from tests.apps.xds.samples import entry, submission

OFFICE = "1311239999"
DOMAIN = "1.2.392.200250.77.1"
NODE = "master-index"


@pytest.fixture(autouse=True)
def region(facilities: None, settings: Any) -> None:
    settings.AFFINITY_DOMAIN_OID, settings.IDENTITY_SOURCE = DOMAIN, NODE
    set_own_rows()
    add_facility(code=OFFICE, name="連携事務局")
    add_node(facility_code=OFFICE, name=NODE)


def regional(value: str) -> Identifier:
    return Identifier(value, AssigningAuthority(oid=DOMAIN))


def feed(*values: str, says: Demographics | None = None, sender: str = NODE, **more: Any) -> FeedOutcome:
    """The identity source tells of regional ids."""
    heard = replace(message(HOSPITAL, "x", told=says, **more), identifiers=tuple(map(regional, values)))
    return services.feed(heard, OFFICE, sender=sender)


def merge(subsumed: str, surviving: str, *, pam: bool = False) -> FeedOutcome:
    prior = (regional(subsumed),)
    return feed(
        surviving, says=Demographics(), event=FeedEvent.MERGE, trigger="ADT^A40", prior_identifiers=prior, pam=pam
    )


def document(patient: str, chart_number: str = "000111") -> str:
    """The hospital registers a document of a patient; its entry UUID as registered."""
    hospital = network.facility(HOSPITAL)
    assert hospital is not None
    source = chart(HOSPITAL, chart_number).xds_cx
    each = entry(patient, repository_unique_id=hospital.repository_oid, source_patient_id=source)
    register(submission(patient, each), facility_code=HOSPITAL)
    return DocumentEntry.objects.get(unique_id=each.unique_id).entry_uuid


def patient_of(entry_uuid: str) -> str:
    return DocumentEntry.objects.get(entry_uuid=entry_uuid).patient_id


def known(value: str) -> str | None:
    return queries.regional_id_of(regional(value))


# --- what is a regional id


def test_a_regional_id_is_taken_as_it_is_fed() -> None:
    assert feed("R-0001 a").regional_id == "R-0001 a"
    assert known("R-0001 a") == "R-0001 a"
    assert document("R-0001 a")


def test_what_was_not_fed_is_no_patient_of_the_registry() -> None:
    with pytest.raises(ExchangeError) as refusal:
        document("R-0002")
    assert {each.reason for each in refusal.value.findings} == {Reason.UNKNOWN_PATIENT}


def test_a_facilitys_feed_makes_no_regional_id() -> None:
    outcome = tell(HOSPITAL, "000111")
    assert is_provisional(outcome.regional_id)
    assert queries.regional_id_of(chart(HOSPITAL, "000111")) == outcome.regional_id
    assert known(outcome.regional_id) is None
    with pytest.raises(ExchangeError, match="UNKNOWN_PATIENT"):
        document(outcome.regional_id)


@pytest.mark.parametrize("source_first", [True, False])
def test_charts_come_under_the_regional_id_whichever_came_first(source_first: bool) -> None:
    tellings = [lambda: feed("R1"), lambda: tell(HOSPITAL, "000111"), lambda: tell(CLINIC, "aa12")]
    for each in tellings if source_first else reversed(tellings):
        each()
    assert {queries.regional_id_of(chart(*each)) for each in ((HOSPITAL, "000111"), (CLINIC, "aa12"))} == {"R1"}
    assert Person.objects.filter(status=Person.Status.ACTIVE).count() == 1


def test_only_the_source_tells_of_regional_ids() -> None:
    with pytest.raises(ExchangeError, match="UNKNOWN_DOMAIN"):
        feed("R1", sender="another-system")
    assert known("R1") is None


def test_the_source_may_leave_the_domain_out_or_name_it_by_its_namespace() -> None:
    namespace = network.affinity_domain().namespace
    for value, authority in (("R1", AssigningAuthority()), ("R2", AssigningAuthority(namespace=namespace))):
        heard = replace(message(HOSPITAL, "x"), identifiers=(Identifier(value, authority),))
        assert services.feed(heard, OFFICE, sender=NODE).regional_id == value


def test_identifiers_of_other_domains_in_the_sources_message_are_left_out() -> None:
    heard = replace(message(HOSPITAL, "x"), identifiers=(chart(HOSPITAL, "000111"), regional("R1")))
    outcome = services.feed(heard, OFFICE, sender=NODE)
    assert outcome.identifiers[0].value == "R1"
    assert len(outcome.warnings) == 1
    assert LocalIdentifier.objects.count() == 1


@pytest.mark.parametrize("value", ["", "  ", "provisional:X", "x" * 65])
def test_what_cannot_be_a_regional_id_is_refused(value: str) -> None:
    with pytest.raises(ExchangeError):
        feed(value)


def test_an_update_of_an_id_that_was_never_registered_is_ignored() -> None:
    assert feed("R1", event=FeedEvent.UPDATE, trigger="ADT^A08").regional_id == ""
    assert known("R1") is None
    feed("R1", event=FeedEvent.UPDATE, trigger="ADT^A31", pam=True)
    assert known("R1") == "R1"


# --- two regional ids are two patients until their source says otherwise


def test_two_regional_ids_with_the_same_name_stay_two() -> None:
    feed("R1")
    feed("R2")
    assert (known("R1"), known("R2")) == ("R1", "R2")
    assert not ReviewCase.objects.exists()


def test_a_chart_that_fits_two_regional_ids_comes_under_neither() -> None:
    feed("R1")
    feed("R2")
    assert is_provisional(tell(HOSPITAL, "000111").regional_id)
    assert (known("R1"), known("R2")) == ("R1", "R2")


def test_a_facility_cannot_merge_two_patients_of_the_domain() -> None:
    feed("R1", says=somebody("山田 健一"))
    feed("R2", says=somebody("佐藤 花子", "サトウ ハナコ", "19800101", "F"))
    tell(HOSPITAL, "1", told=somebody("山田 健一"))
    tell(HOSPITAL, "2", told=somebody("佐藤 花子", "サトウ ハナコ", "19800101", "F"))
    with pytest.raises(services.StatedElsewhereError):
        services.link(*LocalIdentifier.objects.filter(value__in=("R1", "R2")), by="clerk")
    for value, regional_id in (("1", "R1"), ("2", "R2")):
        services.link(*LocalIdentifier.objects.filter(value__in=(value, regional_id)), by="clerk")
    with pytest.raises(ExchangeError, match="MERGE_REFUSED"):
        told.merge(HOSPITAL, subsumed="1", surviving="2")
    assert (known("R1"), known("R2")) == ("R1", "R2")


# --- merges


def test_a_merge_by_the_source_moves_documents_and_wishes() -> None:
    feed("R1", says=somebody("山田 健一"))
    feed("R2", says=somebody("山田 賢一", "ヤマダ ケンイチ", "19410504"))
    first, second = document("R1"), document("R2", "000222")
    wish = {"recipients": [CLINIC], "legal_basis": "consent", "obtained": "written", "recorded_by": "desk"}
    record_directive(patient_regional_id="R1", permits=False, **wish)
    assert merge("R1", "R2").subsumed == ("R1",)
    assert (known("R1"), known("R2")) == (None, "R2")
    assert {patient_of(first), patient_of(second)} == {"R2"}
    assert Directive.objects.filter(patient_regional_id="R2").exists()
    with pytest.raises(ExchangeError, match="UNKNOWN_PATIENT"):
        document("R1")


def test_merges_form_a_chain() -> None:
    for value in ("R1", "R2", "R3"):
        feed(value)
    kept = document("R1")
    merge("R1", "R2")
    merge("R2", "R3")
    assert patient_of(kept) == "R3"
    assert queries.surviving_of("R1") == "R3"


@pytest.mark.parametrize(
    ("subsumed", "surviving"), [("R9", "R1"), ("R1", "R9"), ("R1", "R1"), ("GONE", "R1"), ("R1", "GONE")]
)
def test_a_registry_refuses_what_it_cannot_merge(subsumed: str, surviving: str) -> None:
    for value in ("R1", "R2", "GONE"):
        feed(value)
    merge("GONE", "R2")
    with pytest.raises(ExchangeError):
        merge(subsumed, surviving)
    assert (known("R1"), known("R2")) == ("R1", "R2")


def test_a_subsumed_id_is_never_revived() -> None:
    feed("R1")
    feed("R2")
    merge("R1", "R2")
    with pytest.raises(ExchangeError, match="UNKNOWN_KEY"):
        feed("R1")


def test_by_pam_a_merge_into_an_unknown_id_changes_the_id() -> None:
    feed("R1")
    tell(HOSPITAL, "000111")
    kept = document("R1")
    merge("R1", "R2", pam=True)
    assert (known("R1"), known("R2")) == (None, "R2")
    assert patient_of(kept) == "R2"
    assert queries.regional_id_of(chart(HOSPITAL, "000111")) == "R2"


def test_what_the_index_parts_stays_filed_where_its_source_filed_it() -> None:
    feed("R1")
    tell(HOSPITAL, "000111")
    kept = document("R1")
    outcome = tell(HOSPITAL, "000111", told=somebody("佐藤 花子", "サトウ ハナコ", "19800101", "F"))
    assert is_provisional(outcome.regional_id) or is_provisional(
        queries.regional_id_of(chart(HOSPITAL, "000111")) or ""
    )
    assert patient_of(kept) == "R1"


# --- ITI-64


def change_link(new: str, previous: str, chart_number: str = "000111", sender: str = NODE) -> FeedOutcome:
    change = LinkChange(regional(new), regional(previous), chart(HOSPITAL, chart_number), message_id=f"{new}{previous}")
    return services.change_link(change, OFFICE, sender=sender)


@pytest.mark.parametrize("chart_is_known", [True, False])
def test_the_source_says_whose_a_charts_documents_are(chart_is_known: bool) -> None:
    feed("R1", says=somebody("山田 健一"))
    feed("R2", says=somebody("佐藤 花子", "サトウ ハナコ", "19800101", "F"))
    if chart_is_known:
        tell(HOSPITAL, "000111", told=somebody("山田 健一"))
    moving, staying = document("R1", "000111"), document("R1", "000222")
    change_link("R2", "R1")
    assert (patient_of(moving), patient_of(staying)) == ("R2", "R1")
    if chart_is_known:
        assert queries.regional_id_of(chart(HOSPITAL, "000111")) == "R2"


def test_a_link_change_is_the_sources_alone_and_of_ids_that_are_known() -> None:
    feed("R1")
    feed("R2", says=somebody("佐藤 花子", "サトウ ハナコ", "19800101", "F"))
    kept = document("R1")
    with pytest.raises(ExchangeError, match="CALLER_NOT_ENTITLED"):
        change_link("R2", "R1", sender="hospital")
    for new, previous in (("R9", "R1"), ("R2", "R9")):
        with pytest.raises(ExchangeError, match="UNKNOWN_KEY"):
            change_link(new, previous)
    assert patient_of(kept) == "R1"


@pytest.mark.parametrize("new", ["R1", "R2"])
def test_documents_of_a_merged_chart_number_bear_the_surviving_one(new: str) -> None:
    feed("R1", says=somebody("山田 健一"))
    feed("R2", says=somebody("佐藤 花子", "サトウ ハナコ", "19800101", "F"))
    subsumed, surviving, other = (document("R1", number) for number in ("000999", "000111", "000222"))
    change = LinkChange(
        regional(new), regional("R1"), chart(HOSPITAL, "000111"), chart(HOSPITAL, "000999"), message_id="M1"
    )
    services.change_link(change, OFFICE, sender=NODE)
    fragments = {each.entry_uuid: bytes(each.fragment) for each in DocumentEntry.objects.all()}
    sources = [read_fragment(fragments[each]).source_patient_id for each in (subsumed, surviving, other)]  # type: ignore[union-attr]
    assert sources == [chart(HOSPITAL, number).xds_cx for number in ("000111", "000111", "000222")]
    assert [patient_of(each) for each in (subsumed, surviving, other)] == [new, new, "R1"]


# --- who asks


def asked(identifier: Identifier, *domains: str) -> list[tuple[str, str]]:
    query = CrossReferenceQuery("Q", identifier, tuple(AssigningAuthority(oid=each) for each in domains))
    found = queries.cross_references(query, permit(HOSPITAL, queries.regional_id_of(identifier)))
    return [(each.oid, each.value) for each in found.identifiers]


def test_cross_references_give_the_fed_id_and_never_a_provisional_one() -> None:
    tell(HOSPITAL, "000111")
    tell(CLINIC, "aa12")
    assert asked(chart(HOSPITAL, "000111")) == [(chart(CLINIC, "").oid, "aa12")]
    assert asked(chart(HOSPITAL, "000111"), DOMAIN) == []
    feed("R1")
    assert asked(chart(HOSPITAL, "000111"), DOMAIN) == [(DOMAIN, "R1")]
    assert asked(regional("R1"), chart(CLINIC, "").oid) == [(chart(CLINIC, "").oid, "aa12")]


def test_who_is_found_by_name_shows_the_fed_id_once_and_never_a_provisional_one() -> None:
    tell(HOSPITAL, "000111")
    query = DemographicsQuery("Q", names=((NameCriterion(family=TextCriterion("山田")),),))

    def found() -> list[str]:
        (subject,) = services.subjects_of_search(query)
        allowed = replace(permit(HOSPITAL, subject.regional_id), subjects=(subject.regional_id,))
        (match,) = services.find_patients(query, allowed).matches
        return [each.value for each in match.identifiers]

    assert found() == ["000111"]
    feed("R1")
    assert found() == ["R1", "000111"]


def test_no_regional_id_of_another_system_is_issued_anew_here() -> None:
    feed("R1")
    with pytest.raises(services.NotOursError):
        services.reissue("R1", reason="shown in public", by="officer")


# --- an index of another domain


def test_an_index_of_another_domain_is_not_served(settings: Any) -> None:
    def found() -> list[str]:
        return [each.id for each in check_regional_ids(databases=["default"])]

    tell(HOSPITAL, "000111")
    feed("R1")
    assert found() == []
    settings.IDENTITY_SOURCE = ""
    assert found() == ["pix.E001"]
    settings.IDENTITY_SOURCE, settings.AFFINITY_DOMAIN_OID = NODE, "1.2.3.4"
    assert found() == ["pix.E001"]


def test_ids_of_our_own_are_not_served_as_those_of_a_source(settings: Any) -> None:
    settings.IDENTITY_SOURCE = ""
    tell(HOSPITAL, "000111")
    assert check_regional_ids(databases=["default"]) == []
    settings.IDENTITY_SOURCE = NODE
    assert [each.id for each in check_regional_ids(databases=["default"])] == ["pix.E001"]


@pytest.mark.parametrize("value", ["1.2.3", "not-an-oid node", "1.2.3 two nodes"])
def test_half_a_source_stops_the_start(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIE_IDENTITY_SOURCE", value)
    with pytest.raises(SystemExit, match="HIE_IDENTITY_SOURCE"):
        environment.identity_source()
