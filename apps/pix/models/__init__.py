"""Persons, the identifiers facilities know them by, and the history of who was linked to whom.

A ``LocalIdentifier`` is one chart of one facility with what that facility says of the patient. Charts of one human
stand under one ``Person``, which carries the regional id. ``MatchKey`` finds charts worth comparing, ``MatchDecision``
keeps what the machine decided of two by its ``MatchRules``, ``Assertion`` what was stated of them (a hospital's merge,
a clerk's decision), ``ReviewCase`` waits for a clerk, ``LinkEvent`` keeps every change for ever.

``NameKey``, ``TelephoneKey`` and ``AddressKey`` find charts by what is asked of a person (PDQ); ``Encounter`` and
``Movement`` are the stays that facilities tell of (PAM); ``KeptAnswer`` pages a long answer; ``Subscription`` and
``Notification`` are who is told of changed links, and what is still to be told.

persons   persons, charts, and the history of links
deciding  rules, keys, decisions, statements, cases
feeding   messages, lists of patients, what insurances show
finding   keys by which people are found, and long answers
stays     encounters and their movements
telling   subscriptions and notifications
"""

from __future__ import annotations

from apps.pix.models.deciding import Assertion, AwaitedLink, MatchDecision, MatchKey, MatchRules, ReviewCase, RulesRun
from apps.pix.models.feeding import CoverageFinding, FeedMessage, PatientLoad
from apps.pix.models.finding import AddressKey, KeptAnswer, NameKey, TelephoneKey
from apps.pix.models.persons import (
    AppendOnly,
    LinkEvent,
    LocalIdentifier,
    Person,
    chart_renamed,
    links_changed,
    persons_joined,
    records_moved,
)
from apps.pix.models.stays import Encounter, EncounterDoctor, Movement
from apps.pix.models.telling import Notification, Subscription

__all__ = [
    "AddressKey",
    "AppendOnly",
    "Assertion",
    "AwaitedLink",
    "CoverageFinding",
    "Encounter",
    "EncounterDoctor",
    "FeedMessage",
    "KeptAnswer",
    "LinkEvent",
    "LocalIdentifier",
    "MatchDecision",
    "MatchKey",
    "MatchRules",
    "Movement",
    "NameKey",
    "Notification",
    "PatientLoad",
    "Person",
    "ReviewCase",
    "RulesRun",
    "Subscription",
    "TelephoneKey",
    "chart_renamed",
    "links_changed",
    "persons_joined",
    "records_moved",
]
