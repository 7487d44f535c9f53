"""What tells that two charts are one human: rules, keys, decisions, statements, and the cases that wait for a clerk."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.pix.models.persons import LocalIdentifier


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
