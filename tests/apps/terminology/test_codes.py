"""The network's codes: defaults, lookups, loading without overwriting."""

from __future__ import annotations

import pytest

from apps.terminology import models, queries, services
from hie.values.codes import Code

pytestmark = pytest.mark.django_db
LOINC = "2.16.840.1.113883.6.1"


@pytest.mark.parametrize(
    ("data_type", "class_code", "type_code", "registered"),
    [
        ("ADT-00", "34109-9", "51855-5", False),
        ("ADT-22", "34109-9", "34109-9", False),
        ("ADT-61", "11503-0", "48765-2", True),
        ("PPR-01", "11503-0", "11450-4", True),
        ("OMP-01", "57833-6", "57833-6", True),
        ("OMP-11", "34109-9", "29549-3", False),
        ("OMP-12", "34109-9", "29549-3", True),
        ("OML-11", "47045-0", "11502-2", True),
        ("OMG-01", "69730-0", "55115-0", False),
        ("OMG-13", "47045-0", "47045-0", True),
    ],
)
def test_a_data_type_has_its_codes(data_type: str, class_code: str, type_code: str, registered: bool) -> None:
    found = queries.data_type(data_type)
    assert found is not None
    assert (found.class_code.code, found.class_code.scheme) == (class_code, LOINC)
    assert (found.type_code.code, found.type_code.scheme) == (type_code, LOINC)
    assert found.format_code.code == f"urn:jami:ssmix2:standard:1.2:{data_type}"
    assert found.event_code.code == data_type
    assert found.registered is registered is queries.is_registered(data_type)


def test_all_26_data_types_are_whole() -> None:
    assert len(queries.data_types()) == 26
    assert all(each.class_code.display and each.type_code.display for each in queries.data_types())


def test_every_default_map_points_at_a_code_with_a_name() -> None:
    assert models.CodeMap.objects.count() > 300
    assert not models.Code.objects.filter(display_ja="").exists()


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        ("08", "", Code("08", queries.DEPARTMENT_SCHEME, "循環器科")),
        ("012", "", Code("012", queries.DEPARTMENT_SCHEME, "内科")),
        ("012", "第２内科", Code("012", queries.DEPARTMENT_SCHEME, "第２内科")),
        ("ZZ9", "特殊外来", Code("ZZ9", queries.DEPARTMENT_SCHEME, "特殊外来")),
        ("ZZ9", "", Code("ZZ9", queries.DEPARTMENT_SCHEME, "ZZ9")),
        ("-", "", None),
        ("", "", None),
    ],
)
def test_departments(code: str, text: str, expected: Code | None) -> None:
    assert queries.department(code, text) == expected


def test_a_document_type_knows_its_class() -> None:
    kind = queries.code("class", "18842-5")
    assert kind is not None
    assert kind.code == "60591-5"
    assert queries.code("class", "nonsense") is None


def test_a_map_that_is_switched_off_maps_to_nothing() -> None:
    row = models.CodeMap.objects.get(kind="confidentiality", key="V")
    row.enabled = False
    row.save()
    assert queries.code("confidentiality", "V") is None


def test_defaults_add_what_is_missing_and_leave_the_networks_changes() -> None:
    models.DataType.objects.filter(code="OML-11").update(registered=False)
    models.Code.objects.filter(code="TREAT").update(display_ja="診療")
    models.DataType.objects.filter(code="OMD").delete()
    assert services.load_defaults() == 1
    assert services.load_defaults() == 0
    assert not queries.is_registered("OML-11")
    assert queries.display("2.16.840.1.113883.5.8", "TREAT") == "診療"


def test_what_is_written_out_is_read_back() -> None:
    for table in services.COLUMNS:
        assert services.load(table, "\ufeff" + services.dump(table), overwrite=True) == 0


def test_overwrite_changes_a_row() -> None:
    text = "data_type,display_ja,display_en,rule,registered\nOMD,食事,Meal,choice,1\n"
    assert services.load("data_types", text) == 0
    assert services.load("data_types", text, overwrite=True) == 1
    assert queries.is_registered("OMD")


@pytest.mark.parametrize(
    ("table", "text", "complaint"),
    [
        ("codes", "a,b\n1,2\n", "Line 1"),
        ("codes", "scheme,scheme_name,code,display_ja,display_en\n1.2,x\n", "Line 2"),
        ("codes", "scheme,scheme_name,code,display_ja,display_en\n,x,y,z,\n", "Line 2"),
        ("maps", "kind,key,scheme,code\nclass,X,1.2.3,none\n", "Line 2"),
        ("maps", "kind,key,scheme,code\nsort,X,1.2.3,none\n", "kind is one of"),
        ("data_types", "data_type,display_ja,display_en,rule,registered\nX,a,b,maybe,1\n", "rule is one of"),
        ("other", "", "There is no table"),
    ],
)
def test_a_bad_table_is_refused_whole(table: str, text: str, complaint: str) -> None:
    before = models.Code.objects.count(), models.CodeMap.objects.count(), models.DataType.objects.count()
    with pytest.raises(services.BadTableError, match=complaint):
        services.load(table, text)
    assert before == (
        models.Code.objects.count(),
        models.CodeMap.objects.count(),
        models.DataType.objects.count(),
    )
