"""The codec of ITI-18, Registry Stored Query (ITI TF-2: 3.18), and of ITI-38, which is spelled like it.

ITI-51 asks the same way for several patients (``multi_patient_query.py``); a DSUB filter is such a query that is
kept (``hie.wire.wsnt``). Both read by what stands here.

Theory of a value (3.18.4.1.2.3.5): a text stands in single quotes, in which a quote is doubled; a number stands bare;
several of them stand in parentheses, separated by commas, and may be spread over several Value elements. Values in one
Slot are alternatives; several Slots of one name all have to match, where the attribute has several values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from lxml import etree

from hie.values.documents import APPROVED, DEPRECATED, QueryResult, StoredQuery
from hie.values.errors import ExchangeError, Finding, Reason
from hie.wire.ebxml.attributes import Kind, Parameter
from hie.wire.ebxml.fragments import model_of_element, with_home, write_fragment
from hie.wire.ebxml.names import FAILURE, QUERY, RIM, RS, rim
from hie.wire.ebxml.queries import EVERYWHERE, MANY_EVERYWHERE, PARAMETERS, QUERIES, Query
from hie.wire.ebxml.reading import long_status, read_object
from hie.wire.ebxml.registry_response import (
    Answering,
    failure,
    read_response_findings,
    status_of,
    write_errors,
)
from hie.wire.ebxml.structure import findings_of
from hie.wire.ebxml.values import cx, dtm, home_community_id
from hie.wire.soap.envelope import SoapBody, SoapMessage
from hie.wire.xml import escape

_REQUEST, _RESPONSE = f"{{{QUERY}}}AdhocQueryRequest", f"{{{QUERY}}}AdhocQueryResponse"
_OPTION = f"{{{QUERY}}}ResponseOption"
_QUERY, _SLOT, _VALUE_LIST, _VALUE = rim("AdhocQuery"), rim("Slot"), rim("ValueList"), rim("Value")
_OBJECT_LIST, _OBJECT_REF = rim("RegistryObjectList"), rim("ObjectRef")

# One value, quoted or bare, and what stands after it.
_ITEM = re.compile(r"\s*(?:'((?:[^']++|'')*+)'|([^\s',()]+))\s*(,|$)")

_UNKNOWN = "The id of the AdhocQuery names no stored query that is known here."
_ELSEWHERE = {
    True: "The stored query is about one patient; ask it by ITI-18.",
    False: "The stored query is about several patients; ask it by ITI-51.",
}
_RETURN_TYPES = {"LeafClass": True, "ObjectRef": False}
_TIMES = frozenset((Kind.TIME_FROM, Kind.TIME_TO))
_BARE = _TIMES | {Kind.LEVEL}
_MAX_VALUE = 256
# Longer lists in one Value have been seen, though the schema ends at 256; this is where patience ends.
_MOST_READ = 64 * 1024


def read_request(message: SoapMessage) -> StoredQuery:
    """The query in the body; what is wrong with it stands in its ``findings`` and is the verb's to refuse.

    ``parameters`` has no quotes, no lists and no values that say nothing; availabilityStatus is the full URN.
    Raises ExchangeError where the body is no AdhocQueryRequest.
    """
    return read_query(message, multi_patient=False)


def read_query(message: SoapMessage, *, multi_patient: bool) -> StoredQuery:
    """The query in the body, of those that one patient (ITI-18) or several (ITI-51) are asked for with.

    Where nothing else is wrong, ``findings`` has what is built otherwise than the schema says.
    """
    asked = message.body.find(_QUERY) if message.body.tag == _REQUEST else None
    if asked is None:
        raise ExchangeError(Reason.UNREADABLE, "The body has to be query:AdhocQueryRequest with a rim:AdhocQuery.")
    findings: list[Finding] = []
    query_id = (asked.get("id") or "").strip().lower()
    home = (asked.get("home") or "").strip()
    leaf_class = _read_return_type(message.body, findings)
    query = QUERIES.get(query_id)
    if query is None or query.multi_patient is not multi_patient:
        detail = _UNKNOWN if query is None else _ELSEWHERE[multi_patient]
        findings.append(Finding(Reason.UNKNOWN_QUERY, detail, "AdhocQuery/@id"))
    parameters = read_parameters(asked, findings)
    if query is not None:
        findings += check(query, parameters)
    if home and (said := home_community_id(home)):
        findings.append(Finding(Reason.REGISTRY_ERROR, f"AdhocQuery/@home {said}.", "AdhocQuery/@home"))
    if home and "$targetCommunityIdList" in parameters:
        detail = "AdhocQuery/@home and $targetCommunityIdList exclude each other; leave one of them out."
        findings.append(Finding(Reason.REGISTRY_ERROR, detail, "AdhocQuery/@home"))
    raw = etree.tostring(message.body, encoding="UTF-8", with_tail=False)
    return StoredQuery(query_id, parameters, leaf_class, home, raw, tuple(findings or findings_of(message.body)))


def write_response(message: SoapMessage, result: QueryResult) -> SoapBody:
    """The answer: fragments are joined as they are, after the errors or warnings of the query.

    Success, PartialSuccess or Failure by whether there are errors and objects (ITI TF-3 table 4.2.4.2-2).
    """
    status = status_of(result.findings, has_results=bool(result.fragments or result.object_refs))
    fragments = result.fragments
    if result.home:
        fragments = tuple(with_home(fragment, result.home) for fragment in fragments)
    references = _write_references(result.object_refs, result.home)
    return SoapBody((_head(status, result.findings), *fragments, references, _TAIL))


def write_error(message: SoapMessage, error: ExchangeError) -> SoapBody:
    """Failure without objects, with one RegistryError for each finding."""
    return SoapBody((_head(FAILURE, error.findings), _TAIL))


def write_request(query: StoredQuery) -> SoapBody:
    """The request of a client. Long lists are spread over several Value elements, as the schema's limit wants it."""
    slots = write_parameters(query, QUERIES.get(query.query_id))
    home = f' home="{escape(query.home)}"' if query.home else ""
    return SoapBody(
        (
            (
                f'<query:AdhocQueryRequest xmlns:query="{QUERY}" xmlns:rim="{RIM}">'
                f'<query:ResponseOption returnComposedObjects="true"'
                f' returnType="{"LeafClass" if query.leaf_class else "ObjectRef"}"/>'
                f'<rim:AdhocQuery id="{escape(query.query_id)}"{home}>{slots}</rim:AdhocQuery>'
                "</query:AdhocQueryRequest>"
            ).encode(),
        )
    )


def read_response(message: SoapMessage) -> QueryResult:
    """The answer as a client reads it, its objects as canonical fragments, of which ``read_fragment`` makes values.

    A Failure is raised as ExchangeError with its findings; the errors of a PartialSuccess stand in ``findings``.
    """
    if message.body.tag != _RESPONSE:
        raise ExchangeError(Reason.UNREADABLE, "The answer has to be query:AdhocQueryResponse.")
    status, findings = read_response_findings(message.body)
    if status == FAILURE:
        raise failure(findings)
    fragments, references = [], []
    for element in message.body.iterfind(f"{_OBJECT_LIST}/*"):
        if element.tag == _OBJECT_REF:
            references.append((element.get("id") or "").strip())
        else:
            fragments.append(write_fragment(read_object(element, model_of_element(element), [])))
    return QueryResult(tuple(fragments), tuple(references), findings=findings)


def write_parameters(query: StoredQuery, row: Query | None) -> str:
    """The Slots of a query with the prefix ``rim``. row: says which parameters are written as lists."""
    many = row.many | MANY_EVERYWHERE if row else frozenset[str]()
    return "".join(
        _write_slot(name, values, name in many) for name, groups in query.parameters.items() for values in groups
    )


_TAIL = b"</rim:RegistryObjectList></query:AdhocQueryResponse>"


def _head(status: str, findings: tuple[Finding, ...]) -> bytes:
    errors = write_errors(findings, Answering.QUERY)
    return (
        f'<query:AdhocQueryResponse xmlns:query="{QUERY}" xmlns:rs="{RS}" xmlns:rim="{RIM}" status="{status}">'
        f"{errors}<rim:RegistryObjectList>"
    ).encode()


def _write_references(object_refs: Iterable[str], home: str) -> bytes:
    at = f' home="{escape(home)}"' if home else ""
    return "".join(f'<rim:ObjectRef id="{escape(each)}"{at}/>' for each in object_refs).encode()


def _read_return_type(request: etree._Element, findings: list[Finding]) -> bool:
    option = request.find(_OPTION)
    return_type = "" if option is None else (option.get("returnType") or "").strip()
    if return_type not in _RETURN_TYPES:
        detail = "ResponseOption/@returnType has to be LeafClass or ObjectRef."
        findings.append(Finding(Reason.REGISTRY_ERROR, detail, "ResponseOption/@returnType"))
    return _RETURN_TYPES.get(return_type, True)


def read_parameters(asked: etree._Element, findings: list[Finding]) -> dict[str, tuple[tuple[str, ...], ...]]:
    """The parameters of an AdhocQuery element as ``StoredQuery`` has them. findings: grows by what is wrong."""
    parameters: dict[str, list[tuple[str, ...]]] = {}
    for slot in asked.iterchildren(_SLOT):
        name = (slot.get("name") or "").strip()
        parameter = PARAMETERS.get(name, Parameter(name, ""))
        values: list[str] = []
        for value_list in slot.iterchildren(_VALUE_LIST):
            for value in value_list.iterchildren(_VALUE):
                values += _read_values(parameter, value.text or "", findings)
        if parameter.kind is Kind.STATUS:
            values = [status for status in map(long_status, values) if status in (APPROVED, DEPRECATED)]
        if values:
            parameters.setdefault(name, []).append(tuple(values))
    return {name: tuple(slots) for name, slots in parameters.items()}


def _read_values(parameter: Parameter, text: str, findings: list[Finding]) -> list[str]:
    """The values in one Value element. What can not be taken apart is kept as one value, beside a finding."""
    whole = text.strip()
    if len(whole) > _MOST_READ:
        findings.append(_wrong(parameter.name, f"has to be spread over Value elements of {_MAX_VALUE} characters"))
        return [""]
    is_list = whole.startswith("(") and whole.endswith(")")
    inside = whole[1:-1].strip() if is_list else whole
    values, at, expects = [], 0, bool(inside)
    while expects:
        item = _ITEM.match(inside, at)
        if item is None or (item[3] and not is_list):
            findings.append(_wrong(parameter.name, "has to be a quoted text, or a list of them in parentheses"))
            return [whole]
        if item[2] is not None and parameter.kind not in _BARE:
            findings.append(_wrong(parameter.name, "has to stand in single quotes"))
        values.append((item[2] if item[1] is None else item[1].replace("''", "'")).strip())
        at, expects = item.end(), bool(item[3])
    return values


def check(query: Query, parameters: dict[str, tuple[tuple[str, ...], ...]]) -> Iterator[Finding]:
    """The rules of the table: what has to come, what may come, how often, and how its values are spelled."""
    for name in query.required:
        if name not in parameters:
            yield Finding(Reason.QUERY_PARAMETER_MISSING, f"{name} is missing; {query.name} needs it.", name)
    yield from _check_alternatives(query, parameters)
    for name, slots in parameters.items():
        if name not in query.names | EVERYWHERE:
            yield _wrong(name, f"is no parameter of {query.name}")
            continue
        parameter = PARAMETERS[name]
        if name not in query.many | MANY_EVERYWHERE:
            if sum(map(len, slots)) > 1:
                detail = f"{name} takes a single value in {query.name}."
                yield Finding(Reason.QUERY_PARAMETER_NUMBER, detail, name)
        elif len(slots) > 1 and not parameter.repeatable:
            yield _wrong(name, "has to come in one Slot; several Slots would ask for several values of one attribute")
        yield from (_wrong(name, said) for values in slots for value in values if (said := _spelling(parameter, value)))


def _check_alternatives(query: Query, parameters: dict[str, tuple[tuple[str, ...], ...]]) -> Iterator[Finding]:
    given = [name for name in query.one_of if name in parameters]
    names = " or ".join(query.one_of or query.at_least_one_of)
    if len(given) > 1:
        detail = f"{query.name} takes one of {names}."
        yield Finding(Reason.QUERY_PARAMETER_NUMBER, detail, given[1])
    elif query.one_of and not given:
        yield Finding(Reason.QUERY_PARAMETER_MISSING, f"{query.name} needs {names}.", query.one_of[0])
    elif query.at_least_one_of and not any(name in parameters for name in query.at_least_one_of):
        detail = f"{query.name} needs one of {names}."
        yield Finding(Reason.QUERY_PARAMETER_MISSING, detail, query.at_least_one_of[0])


def _spelling(parameter: Parameter, value: str) -> str:
    """What is wrong with one value of a parameter, or ""."""
    if parameter.kind is Kind.CODE:
        parts = value.split("^")
        good = len(parts) == 3 and bool(parts[0]) and not parts[1] and bool(parts[2])
        return "" if good else "has to be written 'code^^coding scheme'"
    if parameter.kind is Kind.PATIENT_ID:
        return cx(value)
    if parameter.kind in _TIMES:
        return dtm(value)
    if parameter.kind is Kind.LEVEL:
        return "" if value in ("1", "2") else "has to be 1 or 2"
    return "" if value else "has to have a value between its quotes"


def _wrong(name: str, sentence: str) -> Finding:
    return Finding(Reason.REGISTRY_ERROR, f"{name[:128]} {sentence}.", name[:128])


def _write_slot(name: str, values: tuple[str, ...], many: bool) -> str:
    kind = PARAMETERS[name].kind if name in PARAMETERS else Kind.TEXT
    texts = [value if kind in _BARE else "'" + value.replace("'", "''") + "'" for value in values]
    written = _lists(texts) if many else texts
    inside = "".join(f"<rim:Value>{escape(text)}</rim:Value>" for text in written)
    return f'<rim:Slot name="{escape(name)}"><rim:ValueList>{inside}</rim:ValueList></rim:Slot>'


def _lists(texts: list[str]) -> Iterator[str]:
    """The texts in parentheses, as many at a time as a Value element holds."""
    group: list[str] = []
    for text in texts:
        if group and sum(map(len, group)) + len(group) + len(text) + 2 > _MAX_VALUE:
            yield f"({','.join(group)})"
            group = []
        group.append(text)
    if group:
        yield f"({','.join(group)})"
