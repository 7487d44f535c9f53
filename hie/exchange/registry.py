"""The table of contents: every transaction declared in an installed app's ``transactions`` package, by door."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from importlib.util import find_spec

from django.apps import apps

from hie.exchange.transaction import Mllp, Soap, Transaction


@cache
def transactions() -> tuple[Transaction, ...]:
    """All declared transactions, by number and door."""
    found = []
    for app in apps.get_app_configs():
        package_name = f"{app.name}.transactions"
        if not app.name.startswith("apps.") or find_spec(package_name) is None:
            continue
        package = import_module(package_name)
        for module_info in pkgutil.iter_modules(package.__path__):
            module = import_module(f"{package_name}.{module_info.name}")
            found += [value for value in vars(module).values() if isinstance(value, Transaction)]
    return tuple(sorted(set(found), key=lambda each: (int(each.number.split("-")[1]), str(each.door))))


@cache
def _by_trigger() -> dict[tuple[str, str], Transaction]:
    return {
        (trigger, each.door.version): each
        for each in transactions()
        if isinstance(each.door, Mllp)
        for trigger in each.door.triggers
    }


@cache
def _by_action() -> dict[tuple[str, str], Transaction]:
    return {(each.door.service, each.door.action): each for each in transactions() if isinstance(each.door, Soap)}


@cache
def message_types() -> frozenset[str]:
    """The HL7 v2 message types (MSH-9.1) that some door knows."""
    return frozenset(trigger.split("^")[0] for trigger, _ in _by_trigger())


def for_trigger(trigger: str, version: str) -> Transaction | None:
    """The transaction behind an HL7 v2 trigger such as ``ADT^A40``: of exactly this version, else of any."""
    return _by_trigger().get((trigger, version)) or _by_trigger().get((trigger, ""))


def for_action(service: str, action: str) -> Transaction | None:
    """The transaction behind a wsa:Action at a SOAP service."""
    return _by_action().get((service, action))


@cache
def services() -> frozenset[str]:
    """The SOAP services that have a door."""
    return frozenset(service for service, _ in _by_action())
