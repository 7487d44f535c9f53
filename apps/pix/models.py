"""Persons, the identifiers facilities know them by, and the history of who was linked to whom.

A ``LocalIdentifier`` is one chart of one facility with what that facility says of the patient. Charts of one human
stand under one ``Person``, which carries the regional id. ``MatchKey`` finds charts worth comparing, ``MatchDecision``
keeps what the machine decided of two by its ``MatchRules``, ``Assertion`` what was stated of them (a hospital's merge,
a clerk's decision), ``ReviewCase`` waits for a clerk, ``LinkEvent`` keeps every change for ever.

``NameKey``, ``TelephoneKey`` and ``AddressKey`` find charts by what is asked of a person (PDQ); ``Encounter`` and
``Movement`` are the stays that facilities tell of (PAM); ``KeptAnswer`` pages a long answer; ``Subscription`` and
``Notification`` are who is told of changed links, and what is still to be told.
"""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from django.db import models
from django.dispatch import Signal
from django.utils.translation import gettext_lazy as _

from hie.values.identifiers import masked

# Two persons turned out to be one. Sent with (subsumed: str, surviving: str), regional ids, inside the transaction.
persons_joined = Signal()
# Charts went from one person to another that stays a different person (a link was undone). Sent with
# (identifiers: tuple[Identifier, ...], previous: str, current: str, submitted: bool), regional ids, inside the
# transaction. submitted: what was submitted under the previous id goes along; else only what the index filed there.
records_moved = Signal()
# Identifiers changed their person, number or state. Sent with (events: Sequence[LinkEvent]), inside the transaction.
links_changed = Signal()


class AppendOnly(models.QuerySet["Any"]):
    """Rows that are written once."""

    def delete(self) -> NoReturn:
        raise TypeError("The history of links is kept; rows are never deleted.")

    def update(self, **kwargs: Any) -> NoReturn:
        raise TypeError("The history of links is kept; rows are never changed.")

    def bulk_create(self, objs: Any, *args: Any, **kwargs: Any) -> Any:
        """Add rows and tell of them (``links_changed``): whoever writes history tells it."""
        written = super().bulk_create(objs, *args, **kwargs)
        if written:
            links_changed.send(sender=self.model, events=written)
        return written


class Person(models.Model):
    """One human as the network knows them, under one regional id (``apps.ids``)."""

    class Status(models.TextChoices):
        ACTIVE = "active", _("active")
        SUBSUMED = "subsumed", _("joined with another")
        REISSUED = "reissued", _("has a new regional id")

    regional = models.OneToOneField(
        "ids.RegionalIdentifier",
        verbose_name=_("regional id"),
        to_field="value",
        db_column="regional_id",
        on_delete=models.PROTECT,
        related_name="person",
    )
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.ACTIVE)
    surviving = models.ForeignKey(
        "self",
        verbose_name=_("joined with"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="joined",
        db_index=False,
    )
    created_at = models.DateTimeField(_("first known"), auto_now_add=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta:
        verbose_name = _("person")
        verbose_name_plural = _("persons")
        indexes = (models.Index(name="pix_joined", fields=("surviving",), condition=models.Q(surviving__isnull=False)),)

    def __str__(self) -> str:
        return masked(self.regional_id)


class LocalIdentifier(models.Model):
    """One chart number of one facility and what the facility says of its patient.

    addresses, telephones, insurances: as ``hie.values.people`` has them, written as JSON. kanji_key and kana_key:
    the names as matching compares them. past_insurances: ``[{"insurance": …, "since": date, "until": date}]``, what the
    facility told before (ISO 8601, until what day); null where it never told another. A chart merged into another keeps
    its row; its number is not free again.
    """

    class Status(models.TextChoices):
        ACTIVE = "active", _("active")
        MERGED = "merged", _("merged into another")

    authority_oid = models.CharField(_("assigning authority"), max_length=64)
    value = models.CharField(_("identifier"), max_length=64)
    type_code = models.CharField(_("identifier type"), max_length=5, blank=True)
    facility_code = models.CharField(_("facility"), max_length=10)
    person = models.ForeignKey(Person, verbose_name=_("person"), on_delete=models.PROTECT, related_name="identifiers")
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.ACTIVE)
    merged_into = models.ForeignKey(
        "self",
        verbose_name=_("merged into"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="merged",
        db_index=False,
    )
    ideographic_family = models.CharField(_("family name"), max_length=120, blank=True)
    ideographic_given = models.CharField(_("given name"), max_length=120, blank=True)
    phonetic_family = models.CharField(_("family name (kana)"), max_length=120, blank=True)
    phonetic_given = models.CharField(_("given name (kana)"), max_length=120, blank=True)
    alphabetic_family = models.CharField(_("family name (Latin)"), max_length=120, blank=True)
    alphabetic_given = models.CharField(_("given name (Latin)"), max_length=120, blank=True)
    birth_date = models.CharField(_("birth date"), max_length=26, blank=True)
    sex = models.CharField(_("sex"), max_length=1, blank=True)
    addresses = models.JSONField(_("addresses"), default=list, blank=True)
    telephones = models.JSONField(_("telephones"), default=list, blank=True)
    insurances = models.JSONField(_("insurances"), default=list, blank=True)
    insurances_since = models.DateField(_("insurances told since"), null=True, blank=True)
    past_insurances = models.JSONField(_("insurances told before"), null=True, blank=True)
    death_time = models.CharField(_("time of death"), max_length=26, blank=True)
    kanji_key = models.CharField(max_length=240, blank=True, editable=False)
    kana_key = models.CharField(max_length=240, blank=True, editable=False)
    first_seen = models.DateTimeField(_("first seen"), auto_now_add=True)
    last_seen = models.DateTimeField(_("last seen"))

    class Meta:
        verbose_name = _("local identifier")
        verbose_name_plural = _("local identifiers")
        constraints = (
            models.UniqueConstraint(name="pix_one_row_per_identifier", fields=("authority_oid", "value")),
            models.CheckConstraint(
                name="pix_merged_names_survivor",
                condition=models.Q(status="merged", merged_into__isnull=False)
                | models.Q(status="active", merged_into__isnull=True),
            ),
        )
        indexes = (
            models.Index(name="pix_born", fields=("birth_date",), opclasses=("varchar_pattern_ops",)),
            models.Index(name="pix_facility", fields=("facility_code",)),
            models.Index(name="pix_kanji", fields=("kanji_key",), opclasses=("varchar_pattern_ops",)),
            models.Index(name="pix_kana", fields=("kana_key",), opclasses=("varchar_pattern_ops",)),
            models.Index(name="pix_merged", fields=("merged_into",), condition=models.Q(merged_into__isnull=False)),
        )

    def __str__(self) -> str:
        return self.value


class MatchRules(models.Model):
    """One version of the weights and thresholds by which the machine decides. It stays as it is for good.

    rules: ``matching.RuleVersion.as_json()``. in_force: exactly one is, once the first chart has come.
    """

    name = models.CharField(_("name"), max_length=40, unique=True)
    rules = models.JSONField(_("weights and thresholds"))
    created_at = models.DateTimeField(_("made"), auto_now_add=True)
    created_by = models.CharField(_("made by"), max_length=150, blank=True)
    note = models.CharField(_("note"), max_length=200, blank=True)
    in_force = models.BooleanField(_("in force"), default=False)
    adopted_at = models.DateTimeField(_("adopted"), null=True, blank=True)
    adopted_by = models.CharField(_("adopted by"), max_length=150, blank=True)

    class Meta:
        verbose_name = _("matching rules")
        verbose_name_plural = _("matching rules")
        constraints = (
            models.UniqueConstraint(name="pix_one_in_force", fields=("in_force",), condition=models.Q(in_force=True)),
        )

    def __str__(self) -> str:
        return self.name


class RulesRun(models.Model):
    """A version of the rules to be tried on, or decided by, the whole population; it is worked off in the background.

    total, done: charts. result: of a trial what would change (``services.trials``). claimed_until: a worker is at it.
    """

    class Kind(models.TextChoices):
        TRIAL = "trial", _("what if")
        ADOPTION = "adoption", _("adoption")

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        RUNNING = "running", _("running")
        DONE = "done", _("finished")
        FAILED = "failed", _("failed")

    rules = models.ForeignKey(
        MatchRules, verbose_name=_("matching rules"), on_delete=models.PROTECT, related_name="runs"
    )
    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices)
    state = models.CharField(_("state"), max_length=7, choices=State.choices, default=State.WAITING)
    asked_by = models.CharField(_("asked by"), max_length=150)
    asked_at = models.DateTimeField(_("asked"), auto_now_add=True)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    total = models.PositiveIntegerField(_("charts"), default=0)
    done = models.PositiveIntegerField(_("charts done"), default=0)
    result = models.JSONField(default=dict)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("run of matching rules")
        verbose_name_plural = _("runs of matching rules")
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                name="pix_one_run_waits", fields=("rules", "kind"), condition=models.Q(ended_at__isnull=True)
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.rules_id}"


class MatchKey(models.Model):
    """One candidate key of one chart (``matching.keys``): charts that share one are worth comparing.

    A dozen rows of each chart, so a row is no more than the key itself, and the database checks nothing of it: keys are
    written with their chart alone, and charts are never deleted.
    """

    pk = models.CompositePrimaryKey("value", "record_id")
    value = models.BigIntegerField()
    record = models.ForeignKey(
        LocalIdentifier, on_delete=models.CASCADE, related_name="match_keys", db_constraint=False
    )

    def __str__(self) -> str:
        return str(self.value)


class MatchDecision(models.Model):
    """What the machine decided of two charts, first < second; a pair without a row is separate.

    rule: "score" or a name of ``matching.HARD_RULES``. vector: level of each field (``matching.FIELDS``). version:
    name of the ``MatchRules`` that decided.
    """

    first = models.ForeignKey(LocalIdentifier, on_delete=models.CASCADE, related_name="+", db_index=False)
    second = models.ForeignKey(LocalIdentifier, on_delete=models.CASCADE, related_name="+")
    outcome = models.CharField(max_length=8)
    score = models.FloatField()
    rule = models.CharField(max_length=20)
    vector = models.JSONField()
    version = models.CharField(max_length=40)

    class Meta:
        constraints = (models.UniqueConstraint(name="pix_decided_once", fields=("first", "second")),)

    def __str__(self) -> str:
        return f"{self.first_id} {self.outcome} {self.second_id}"


class Assertion(models.Model):
    """What somebody who knows stated of two charts, first < second; it outweighs the machine.

    one_human: whether they are of one human, or of two. by: account of the clerk, "" where a facility's message said
    it. A later statement of the same pair ends the earlier one, which is kept.
    """

    class Basis(models.TextChoices):
        MERGE = "merge", _("merged by the facility")
        ONE_MESSAGE = "one message", _("sent together as one patient")
        CLERK = "clerk", _("decided by a clerk")
        LINK = "link", _("linked by the facility")
        UNLINK = "unlink", _("unlinked by the facility")

    first = models.ForeignKey(LocalIdentifier, on_delete=models.PROTECT, related_name="+", db_index=False)
    second = models.ForeignKey(LocalIdentifier, on_delete=models.PROTECT, related_name="+")
    one_human = models.BooleanField(_("one human"), default=True)
    basis = models.CharField(_("basis"), max_length=20, choices=Basis.choices)
    facility_code = models.CharField(_("facility"), max_length=10, blank=True)
    by = models.CharField(_("decided by"), max_length=150, blank=True)
    at = models.DateTimeField(_("time"), auto_now_add=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta:
        verbose_name = _("statement")
        verbose_name_plural = _("statements")
        constraints = (
            models.UniqueConstraint(
                name="pix_asserted_once", fields=("first", "second"), condition=models.Q(ended_at__isnull=True)
            ),
        )
        indexes = (models.Index(name="pix_asserted_first", fields=("first",)),)

    def __str__(self) -> str:
        return f"{self.first_id} {'=' if self.one_human else '≠'} {self.second_id}"


class AwaitedLink(models.Model):
    """A link that a facility stated (ITI TF-2: 3.30.6.6) and that waits for a chart not known yet, by its identifier.

    other_*: the identifier it is linked with. Where both are unknown there is a row for each.
    """

    authority_oid = models.CharField(max_length=64)
    value = models.CharField(max_length=64)
    other_authority_oid = models.CharField(max_length=64)
    other_value = models.CharField(max_length=64)
    facility_code = models.CharField(max_length=10)
    at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                name="pix_awaited_once", fields=("authority_oid", "value", "other_authority_oid", "other_value")
            ),
        )
        indexes = (models.Index(name="pix_awaited_with", fields=("other_authority_oid", "other_value")),)

    def __str__(self) -> str:
        return str(self.pk)


class ReviewCase(models.Model):
    """Two persons that may be one, shown by the two charts that say so; first < second. It waits for a clerk.

    There is one open case for two persons, however many of their charts are alike. It closes by itself when the charts
    change so that the question is gone. score, rule: of the decision that asks.
    """

    class State(models.TextChoices):
        OPEN = "open", _("to decide")
        POSTPONED = "postponed", _("postponed")
        LINKED = "linked", _("linked")
        APART = "apart", _("kept apart")
        CLOSED = "closed", _("the question is gone")

    first = models.ForeignKey(LocalIdentifier, on_delete=models.PROTECT, related_name="+", db_index=False)
    second = models.ForeignKey(LocalIdentifier, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.OPEN)
    score = models.FloatField(_("score"))
    rule = models.CharField(_("rule"), max_length=20)
    note = models.TextField(_("note"), blank=True)
    opened_at = models.DateTimeField(_("waiting since"))
    decided_by = models.CharField(_("decided by"), max_length=150, blank=True)
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)

    class Meta:
        verbose_name = _("review case")
        verbose_name_plural = _("review cases")
        permissions = (("decide_reviewcase", _("Can decide review cases")),)
        constraints = (models.UniqueConstraint(name="pix_case_once", fields=("first", "second")),)
        indexes = (models.Index(name="pix_case_queue", fields=("state", "opened_at")),)

    def __str__(self) -> str:
        return str(self.pk)


class LinkEvent(models.Model):
    """One change of one identifier's person, written once: who was linked to whom on any past day, and why.

    authority_oid and value: the identifier as it was then. person: whom it belonged to from then on; none after
    it was merged away or renamed. rule: name and version of the rule that decided, or what the sender stated.
    evidence: chart rows (ids) and fields that agreed; no patient data.
    """

    class Kind(models.TextChoices):
        REGISTERED = "registered", _("registered")
        LINKED = "linked", _("linked")
        UNLINKED = "unlinked", _("link undone")
        JOINED = "joined", _("persons joined")
        MERGED = "merged", _("merged away")
        CHANGED = "changed", _("identifier changed")
        REISSUED = "reissued", _("regional id issued anew")

    record = models.ForeignKey(
        LocalIdentifier, verbose_name=_("local identifier"), on_delete=models.PROTECT, related_name="events"
    )
    kind = models.CharField(_("event"), max_length=10, choices=Kind.choices)
    authority_oid = models.CharField(_("assigning authority"), max_length=64)
    value = models.CharField(_("identifier"), max_length=64)
    person = models.ForeignKey(
        Person, verbose_name=_("person"), null=True, on_delete=models.PROTECT, related_name="events"
    )
    previous_person = models.ForeignKey(
        Person, verbose_name=_("previous person"), null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    rule = models.CharField(_("rule"), max_length=60)
    evidence = models.JSONField(_("evidence"), default=dict)
    facility_code = models.CharField(_("sender"), max_length=10)
    message_id = models.CharField(_("message"), max_length=199, blank=True)
    at = models.DateTimeField(_("time"), db_index=True)

    objects: ClassVar[Any] = AppendOnly.as_manager()

    class Meta:
        verbose_name = _("link event")
        verbose_name_plural = _("link events")
        ordering = ("-id",)
        indexes = (
            models.Index(name="pix_event_of", fields=("authority_oid", "value", "at")),
            models.Index(
                name="pix_left", fields=("previous_person",), condition=models.Q(previous_person__isnull=False)
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.value}"


class PatientLoad(models.Model):
    """How far a list of a facility's patients has come into the index, so that it can go on after a stop.

    source: SHA-256 of the list. position: entries of it that are done, in their order; it changes in the database
    transaction that does them. entered, updated, unchanged, refused: what became of them.
    """

    facility_code = models.CharField(_("facility"), max_length=10)
    source = models.CharField(max_length=64)
    position = models.PositiveBigIntegerField(_("entries done"), default=0)
    entered = models.PositiveBigIntegerField(_("new charts"), default=0)
    updated = models.PositiveBigIntegerField(_("changed charts"), default=0)
    unchanged = models.PositiveBigIntegerField(_("unchanged charts"), default=0)
    refused = models.PositiveBigIntegerField(_("refused"), default=0)
    started_at = models.DateTimeField(_("begun"), auto_now_add=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        verbose_name = _("list of patients")
        verbose_name_plural = _("lists of patients")
        constraints = (models.UniqueConstraint(name="pix_loaded_once", fields=("facility_code", "source")),)

    def __str__(self) -> str:
        return f"{self.facility_code} {self.position}"


class CoverageFinding(models.Model):
    """Two charts whose insurances cannot both be right, for an administrator to look at (``services.coverage``)."""

    class Kind(models.TextChoices):
        TWO_CARDS = "two cards", _("one person, two insurances at one time")
        ONE_CARD = "one card", _("one insured person's number, two persons")

    kind = models.CharField(_("finding"), max_length=10, choices=Kind.choices)
    first = models.ForeignKey(LocalIdentifier, on_delete=models.PROTECT, related_name="+")
    second = models.ForeignKey(LocalIdentifier, on_delete=models.PROTECT, related_name="+")
    found_at = models.DateTimeField(_("found"))
    gone_at = models.DateTimeField(_("gone"), null=True, blank=True)
    settled_by = models.CharField(_("settled by"), max_length=150, blank=True)
    settled_at = models.DateTimeField(_("settled"), null=True, blank=True)

    class Meta:
        verbose_name = _("insurance finding")
        verbose_name_plural = _("insurance findings")
        constraints = (models.UniqueConstraint(name="pix_coverage_once", fields=("kind", "first", "second")),)
        indexes = (models.Index(name="pix_coverage_open", fields=("gone_at", "settled_at", "found_at")),)

    def __str__(self) -> str:
        return str(self.pk)


class FeedMessage(models.Model):
    """A feed that was carried out, so that the same message sent again does nothing twice.

    key: SHA-256 of sender, message id and content. Forgotten after ``services.REMEMBERED`` (tasks.py).
    """

    key = models.CharField(max_length=64, unique=True)
    received_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.key[:8]


# --- finding people (PDQ). Keys are written by ``services.charts`` and asked by ``queries.people``; PostgreSQL compares
# them byte by byte (varchar_pattern_ops), as SQLite always does, so that a beginning is one range of the index. Like
# ``MatchKey`` they are written with their chart alone, and the database checks nothing of them.

_BY_BYTES = ("varchar_pattern_ops",)


class NameKey(models.Model):
    """One representation of a chart's name as a search compares it (``queries.spelling``).

    whole: family and given name without a gap. sound: what ``whole`` sounds like, across kana and Latin letters.
    """

    record = models.ForeignKey(LocalIdentifier, on_delete=models.CASCADE, related_name="name_keys", db_constraint=False)
    representation = models.CharField(max_length=11)
    whole = models.CharField(max_length=255)
    family = models.CharField(max_length=255)
    given = models.CharField(max_length=255)
    sound = models.CharField(max_length=255)

    class Meta:
        indexes = (
            models.Index(name="pix_name_whole", fields=("whole",), opclasses=_BY_BYTES),
            models.Index(name="pix_name_given", fields=("given",), opclasses=_BY_BYTES),
            models.Index(name="pix_name_sound", fields=("sound",), opclasses=_BY_BYTES),
        )

    def __str__(self) -> str:
        return self.representation


class TelephoneKey(models.Model):
    """One telephone number of a chart, digits alone."""

    record = models.ForeignKey(
        LocalIdentifier, on_delete=models.CASCADE, related_name="telephone_keys", db_constraint=False
    )
    number = models.CharField(max_length=20)

    class Meta:
        indexes = (models.Index(name="pix_telephone", fields=("number",), opclasses=_BY_BYTES),)

    def __str__(self) -> str:
        return str(self.pk)


class AddressKey(models.Model):
    """One address of a chart: postal code in digits, prefecture, city, and all that follows the prefecture."""

    record = models.ForeignKey(
        LocalIdentifier, on_delete=models.CASCADE, related_name="address_keys", db_constraint=False
    )
    postal = models.CharField(max_length=20)
    prefecture = models.CharField(max_length=40)
    city = models.CharField(max_length=120)
    place = models.CharField(max_length=255)
    country = models.CharField(max_length=20)

    class Meta:
        indexes = (
            models.Index(name="pix_postal", fields=("postal",), opclasses=_BY_BYTES),
            models.Index(name="pix_city", fields=("city",), opclasses=_BY_BYTES),
        )

    def __str__(self) -> str:
        return str(self.pk)


class KeptAnswer(models.Model):
    """An answer of more than one page: who was found, in their order, for the node that asked and no other.

    found: ``[regional id, chart row, score, [encounter rows]]`` of each person. position: how many the pages told so
    far hold. domains: OIDs asked for. cap: ``DemographicsResult.cap``.
    """

    token = models.CharField(max_length=43, unique=True)
    node_name = models.CharField(max_length=40)
    query_id = models.CharField(max_length=255, blank=True)
    query_raw = models.BinaryField()
    found = models.JSONField()
    domains = models.JSONField(default=list)
    identified_only = models.BooleanField()
    page_size = models.PositiveIntegerField()
    position = models.PositiveIntegerField()
    cap = models.PositiveIntegerField(default=0)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        indexes = (models.Index(name="pix_answer_of_query", fields=("query_id", "node_name")),)

    def __str__(self) -> str:
        return str(self.pk)


# --- stays (PAM, ITI-31)


class Encounter(models.Model):
    """One stay or visit of a chart, as it stands after the movements told so far.

    number and account: PV1-19 and PID-18 with the OID or namespace of their authority, "" where not told. visit: the
    whole PV1 (``hie.values.demographics_queries.Visit``) as JSON; the columns beside it are what can be asked for.
    """

    class State(models.TextChoices):
        PLANNED = "planned", _("planned")
        OPEN = "open", _("open")
        CLOSED = "closed", _("closed")
        CANCELLED = "cancelled", _("cancelled")

    record = models.ForeignKey(
        LocalIdentifier, verbose_name=_("local identifier"), on_delete=models.PROTECT, related_name="encounters"
    )
    state = models.CharField(_("state"), max_length=10, choices=State.choices)
    number = models.CharField(_("visit number"), max_length=64, blank=True)
    number_authority = models.CharField(max_length=64, blank=True)
    account = models.CharField(_("account"), max_length=64, blank=True, db_index=True)
    account_authority = models.CharField(max_length=64, blank=True)
    patient_class = models.CharField(_("patient class"), max_length=4, blank=True)
    ward = models.CharField(_("ward"), max_length=80, blank=True, db_index=True)
    room = models.CharField(_("room"), max_length=80, blank=True)
    bed = models.CharField(_("bed"), max_length=80, blank=True)
    place = models.CharField(_("facility of the location"), max_length=80, blank=True)
    hospital_service = models.CharField(_("hospital service"), max_length=80, blank=True)
    visit = models.JSONField(default=dict)
    admitted_at = models.CharField(_("admitted"), max_length=26, blank=True)
    discharged_at = models.CharField(_("discharged"), max_length=26, blank=True)
    changed_at = models.DateTimeField(_("last told"))

    class Meta:
        verbose_name = _("encounter")
        verbose_name_plural = _("encounters")
        indexes = (
            models.Index(name="pix_encounter_of", fields=("record", "state")),
            models.Index(name="pix_visit_number", fields=("number", "number_authority")),
        )

    def __str__(self) -> str:
        return self.number or str(self.pk)


class EncounterDoctor(models.Model):
    """One doctor of an encounter in one role (``attending referring consulting admitting``), to be asked for."""

    encounter = models.ForeignKey(Encounter, on_delete=models.CASCADE, related_name="doctors")
    role = models.CharField(max_length=10)
    code = models.CharField(max_length=80, blank=True)
    family = models.CharField(max_length=255, blank=True)
    given = models.CharField(max_length=255, blank=True)

    class Meta:
        indexes = (models.Index(name="pix_doctor", fields=("code", "role")),)

    def __str__(self) -> str:
        return self.role


class Movement(models.Model):
    """One movement within a stay. The newest that is in force is the current one; only it can be cancelled.

    number, number_authority: ZBE-1, "" without the Historic Movement option. before: the encounter's state, visit and
    times ahead of it, to which its cancellation returns. kind: name of ``EncounterKind``.
    """

    encounter = models.ForeignKey(Encounter, on_delete=models.CASCADE, related_name="movements")
    kind = models.CharField(_("kind"), max_length=20)
    number = models.CharField(_("movement id"), max_length=199, blank=True)
    number_authority = models.CharField(max_length=64, blank=True)
    starts_at = models.CharField(_("begins"), max_length=26, blank=True)
    ends_at = models.CharField(_("ends"), max_length=26, blank=True)
    ward = models.CharField(_("responsible ward"), max_length=80, blank=True)
    nursing_ward = models.CharField(_("nursing ward"), max_length=80, blank=True)
    cancelled = models.BooleanField(_("cancelled"), default=False)
    visit = models.JSONField(default=dict)
    before = models.JSONField(default=dict)
    facility_code = models.CharField(_("sender"), max_length=10)
    message_id = models.CharField(_("message"), max_length=199, blank=True)
    at = models.DateTimeField(_("told"))

    class Meta:
        verbose_name = _("movement")
        verbose_name_plural = _("movements")
        indexes = (models.Index(name="pix_movement_number", fields=("number", "number_authority")),)

    def __str__(self) -> str:
        return self.kind


# --- who is told of changed links (ITI-10, 46, 64)


class Subscription(models.Model):
    """A consumer that is told when links change, or a registry that is told where documents go.

    address: ``mllps://host:port`` (``mllp://`` on loopback) or the https URL of a SOAP endpoint. domains: OIDs of
    interest, empty for all. next_attempt_at: not before then; put off after each failure. claimed_until: a worker is
    at it.
    """

    class Kind(models.TextChoices):
        PIX_V2 = "ITI-10", _("PIX update notification, HL7 v2 (ITI-10)")
        PIX_V3 = "ITI-46", _("PIX update notification, HL7 v3 (ITI-46)")
        LINK_CHANGE = "ITI-64", _("XAD-PID link change to a registry (ITI-64)")

    node = models.ForeignKey(
        "network.Node", verbose_name=_("node"), on_delete=models.PROTECT, related_name="index_subscriptions"
    )
    kind = models.CharField(_("notification"), max_length=6, choices=Kind.choices)
    address = models.CharField(_("address"), max_length=500, help_text=_("mllps://host:port, or the https URL"))
    domains = models.JSONField(
        _("domains of interest"), default=list, blank=True, help_text=_("List of OIDs; empty for all domains.")
    )
    receiving_application = models.CharField(_("receiving application (MSH-5)"), max_length=180, blank=True)
    receiving_facility = models.CharField(_("receiving facility (MSH-6)"), max_length=180, blank=True)
    enabled = models.BooleanField(_("enabled"), default=True)
    failures = models.PositiveIntegerField(_("failures in a row"), default=0, editable=False)
    last_problem = models.CharField(_("last problem"), max_length=300, blank=True, editable=False)
    last_sent_at = models.DateTimeField(_("last acknowledged"), null=True, blank=True, editable=False)
    next_attempt_at = models.DateTimeField(_("next attempt"), auto_now_add=True, db_index=True, editable=False)
    claimed_until = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("subscription")
        verbose_name_plural = _("subscriptions")

    def __str__(self) -> str:
        return f"{self.kind} {self.node}"


class Notification(models.Model):
    """One thing that one subscriber is still to be told, or was; rows of one subscription are sent in their order.

    person: whose identifiers are told (ITI-10, 46). record, previous, subsumed_*: the chart whose documents move, the
    person it came from, and the chart number that was merged or renamed with it (ITI-64). What is told is read when
    it is sent, so a consumer that was away learns what holds now. A person who changes again before that needs no
    second row; from ``SENDING`` on they do.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        SENDING = "sending", _("being sent")
        SENT = "sent", _("acknowledged")
        NOTHING = "nothing", _("nothing to tell")
        DROPPED = "dropped", _("given up by an administrator")

    subscription = models.ForeignKey(
        Subscription, verbose_name=_("subscription"), on_delete=models.PROTECT, related_name="notifications"
    )
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.WAITING)
    person = models.ForeignKey(Person, verbose_name=_("person"), null=True, on_delete=models.PROTECT, related_name="+")
    record = models.ForeignKey(
        LocalIdentifier, verbose_name=_("local identifier"), null=True, on_delete=models.PROTECT, related_name="+"
    )
    previous = models.ForeignKey(
        Person, verbose_name=_("previous person"), null=True, on_delete=models.PROTECT, related_name="+"
    )
    subsumed_authority = models.CharField(max_length=64, blank=True)
    subsumed_value = models.CharField(_("merged number"), max_length=64, blank=True)
    message_id = models.CharField(_("message"), max_length=64)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    problem = models.CharField(_("last problem"), max_length=300, blank=True)
    changed_at = models.DateTimeField(_("changed"), db_index=True)
    done_at = models.DateTimeField(_("done"), null=True, blank=True)

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                name="pix_waiting_once", fields=("subscription", "person"), condition=models.Q(state="waiting")
            ),
        )
        indexes = (
            models.Index(name="pix_unsent", fields=("subscription", "id"), condition=models.Q(done_at__isnull=True)),
        )

    def __str__(self) -> str:
        return self.message_id
