"""SS-MIX2 storages of the facilities: roots, every file found in them, what was found wrong, and the scans.

Names and paths are kept in the escaped form of ``hie.wire.ssmix.names.path_text``, which loses no byte and which every
database takes. Nothing here holds what a file says of a patient but its name; the storage itself is never written to.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.network.models import Facility
from hie.wire.ssmix.rules import RULES


class StorageKind(models.TextChoices):
    STANDARD = "standard", _("Standardised storage")
    EXTENDED = "extended", _("Extended storage")
    TRANSACTION = "transaction", _("Transaction storage")


class StorageRoot(models.Model):
    """One folder tree of one facility; a facility may have several, in the order they are read.

    Roots of the same facility and kind are one family: a key may have versions in several of them.
    """

    facility = models.ForeignKey(
        Facility, on_delete=models.PROTECT, related_name="storages", verbose_name=_("facility")
    )
    kind = models.CharField(_("kind"), max_length=12, choices=StorageKind, default=StorageKind.STANDARD)
    name = models.CharField(_("name"), max_length=100, help_text=_("Volume label, for example STD01."))
    path = models.CharField(
        _("path"), max_length=1000, help_text=_("Folder that holds the first three characters of the patient IDs.")
    )
    position = models.PositiveSmallIntegerField(_("read order"), default=0)
    enabled = models.BooleanField(_("enabled"), default=True)
    trust_folder = models.BooleanField(
        _("trust the folder"),
        default=False,
        help_text=_("Take a file for its folder's patient even where PID-3 names another. For test data only."),
    )
    quiet_seconds = models.PositiveIntegerField(
        _("quiet seconds"),
        default=10,
        help_text=_("A file is read when it has rested this long; a disappeared version counts after the same time."),
    )
    full_hours = models.PositiveIntegerField(
        _("hours between full scans"),
        default=24,
        help_text=_("A full scan compares every file's size and time; the others look at what changed."),
    )
    scan_requested = models.BooleanField(_("scan requested"), default=False)
    full_requested = models.BooleanField(_("full scan requested"), default=False)
    last_scan_at = models.DateTimeField(_("last scan"), null=True, blank=True, editable=False)
    last_full_at = models.DateTimeField(_("last full scan"), null=True, blank=True, editable=False)
    last_problem = models.CharField(_("last problem"), max_length=500, blank=True, editable=False)
    lock_token = models.CharField(max_length=100, blank=True, editable=False)
    lock_until = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("storage")
        verbose_name_plural = _("storages")
        ordering = ("facility__code", "kind", "position", "id")
        constraints = [
            models.UniqueConstraint(fields=("path", "kind"), name="ssmix_root_path_once"),
        ]

    def __str__(self) -> str:
        return f"{self.facility.name} {self.name}"

    def clean(self) -> None:
        """Refuse a path that is not absolute."""
        if not self.path.startswith("/"):
            raise ValidationError({"path": _("The path has to be absolute.")})


class Directory(models.Model):
    """The fingerprint of one folder that holds files: as long as it is the same, its files are not listed again.

    branch: the first two levels of the path, by which a scan proceeds. mtime_ns: 0 where the folder has to be listed
    again. names: digest of the sorted names. files: how many (content folders, in an extended storage).
    """

    root = models.ForeignKey(StorageRoot, on_delete=models.CASCADE, related_name="directories")
    branch = models.CharField(max_length=200)
    path = models.CharField(max_length=1000)
    mtime_ns = models.BigIntegerField(default=0)
    names = models.CharField(max_length=32, blank=True)
    files = models.PositiveIntegerField(default=0)
    has_folders = models.BooleanField(default=False)

    class Meta:
        verbose_name = _("folder")
        verbose_name_plural = _("folders")
        constraints = [models.UniqueConstraint(fields=("root", "path"), name="ssmix_directory_once")]
        indexes = [models.Index(fields=("root", "branch"), name="ssmix_directory_branch")]

    def __str__(self) -> str:
        return str(self.pk)


class State(models.TextChoices):
    """What became of a file. Every file is in exactly one state."""

    FOUND = "found", _("found, to be read")
    CURRENT = "current", _("current")  # registered, or fed to the patient index
    HISTORY = "history", _("superseded")
    DELETED = "deleted", _("deleted")
    CANCEL = "cancel", _("cancellation")
    EXCLUDED = "excluded", _("not registered by its type")
    PENDING = "pending", _("patient not yet known")
    UNSETTLED = "unsettled", _("being written")
    QUARANTINED = "quarantined", _("quarantined")
    REJECTED = "rejected", _("kept out for good")
    FOREIGN = "foreign", _("not of the storage")
    MISSING = "missing", _("missing")


class StoredFile(models.Model):
    """One file of a standard storage, or one content folder of an extended one.

    The key columns are the parts of the name; order_number is padded as the key has it. rules: ids of all rules that
    the file breaks, between blanks. live: its document is approved in the registry, or its demographics were the last
    ones fed. generation counts how often a deprecated document came back. recheck: looked at in every scan.
    files: how many files it stands for. last_seen: when a scan last had to look at it.
    """

    # Both foreign keys begin an index below: none of their own.
    root = models.ForeignKey(
        StorageRoot, on_delete=models.CASCADE, related_name="files", verbose_name=_("storage"), db_index=False
    )
    directory = models.ForeignKey(Directory, on_delete=models.CASCADE, related_name="stored_files", db_index=False)
    name = models.CharField(_("file name"), max_length=1000)
    patient_id = models.CharField(_("patient ID"), max_length=64, blank=True)
    care_date = models.CharField(_("care date"), max_length=16, blank=True)
    data_type = models.CharField(_("data type"), max_length=255, blank=True)
    order_number = models.CharField(_("order number"), max_length=255, blank=True)
    written_at = models.CharField(_("written at"), max_length=17, blank=True)
    department = models.CharField(_("department"), max_length=64, blank=True)
    flag = models.CharField(_("flag"), max_length=8, blank=True)
    size = models.BigIntegerField(_("size"), default=0)
    mtime_ns = models.BigIntegerField(default=0)
    inode = models.BigIntegerField(default=0)
    sha256 = models.CharField("SHA-256", max_length=64, blank=True)
    sha1 = models.CharField("SHA-1", max_length=40, blank=True)
    state = models.CharField(_("state"), max_length=12, choices=State)
    rules = models.CharField(_("rules"), max_length=500, blank=True)
    cancels = models.BooleanField(default=False)
    entry_uuid = models.CharField("entryUUID", max_length=45, blank=True)
    unique_id = models.CharField("uniqueId", max_length=128, blank=True)
    live = models.BooleanField(default=False)
    generation = models.PositiveSmallIntegerField(default=0)
    recheck = models.BooleanField(default=False)
    accepted = models.BooleanField(_("accepted"), default=False)
    files = models.PositiveIntegerField(default=1)
    first_seen = models.DateTimeField(_("first seen"))
    last_seen = models.DateTimeField(_("last seen"))

    class Meta:
        verbose_name = _("stored file")
        verbose_name_plural = _("stored files")
        constraints = [models.UniqueConstraint(fields=("directory", "name"), name="ssmix_file_once")]
        indexes = [
            models.Index(fields=("root", "state", "patient_id"), name="ssmix_file_state"),
            models.Index(fields=("root", "patient_id", "data_type"), name="ssmix_file_patient"),
            models.Index(fields=("unique_id",), condition=~models.Q(unique_id=""), name="ssmix_file_unique_id"),
            models.Index(fields=("root",), condition=models.Q(recheck=True), name="ssmix_file_recheck"),
        ]

    def __str__(self) -> str:
        return f"{self.data_type} {self.pk}"


class QuarantineDecision(models.Model):
    """What a person decided about one quarantined file, and why. rules: those that it broke then."""

    class Verdict(models.TextChoices):
        RETRY = "retry", _("read again")
        ACCEPT = "accept", _("accept")
        REJECT = "reject", _("keep out for good")

    stored_file = models.ForeignKey(StoredFile, on_delete=models.CASCADE, related_name="decisions")
    verdict = models.CharField(_("decision"), max_length=6, choices=Verdict)
    rules = models.CharField(_("rules"), max_length=500, blank=True)
    reason = models.CharField(_("reason"), max_length=500, blank=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True)
    decided_at = models.DateTimeField(_("decided at"), auto_now_add=True)

    class Meta:
        verbose_name = _("decision about a quarantined file")
        verbose_name_plural = _("decisions about quarantined files")
        ordering = ("-decided_at",)

    def __str__(self) -> str:
        return f"{self.verdict} {self.stored_file_id}"


class Part(models.Model):
    """One file of a registered content folder: the main document and its companions, each a document of its own."""

    stored_file = models.ForeignKey(StoredFile, on_delete=models.CASCADE, related_name="parts")
    path = models.CharField(max_length=1000)
    size = models.BigIntegerField()
    sha1 = models.CharField(max_length=40)
    sha256 = models.CharField(max_length=64)
    main = models.BooleanField(default=False)
    entry_uuid = models.CharField(max_length=45, blank=True)

    class Meta:
        verbose_name = _("file of a content folder")
        verbose_name_plural = _("files of content folders")
        constraints = [models.UniqueConstraint(fields=("stored_file", "path"), name="ssmix_part_once")]

    def __str__(self) -> str:
        return str(self.pk)


class Tally(models.Model):
    """How many files of a root break a rule, by data type and month; up to three examples: {"path": …, "place": …}."""

    root = models.ForeignKey(StorageRoot, on_delete=models.CASCADE, related_name="tallies", verbose_name=_("storage"))
    rule = models.CharField(_("rule"), max_length=8)
    data_type = models.CharField(_("data type"), max_length=255, blank=True)
    month = models.CharField(_("month"), max_length=6, blank=True)
    count = models.IntegerField(_("files"), default=0)
    examples = models.JSONField(_("examples"), default=list)

    class Meta:
        verbose_name = _("finding")
        verbose_name_plural = _("findings")
        constraints = [
            models.UniqueConstraint(fields=("root", "rule", "data_type", "month"), name="ssmix_tally_once"),
        ]

    def __str__(self) -> str:
        return f"{self.rule} {self.data_type} {self.month}"


class AcceptedDeviation(models.Model):
    """A deviation that a facility and the network agreed to live with: it is counted and alarms nobody."""

    facility = models.ForeignKey(
        Facility, on_delete=models.CASCADE, related_name="accepted_deviations", verbose_name=_("facility")
    )
    rule = models.CharField(_("rule"), max_length=8)
    data_type = models.CharField(_("data type"), max_length=255, blank=True, help_text=_("Empty: all data types."))
    reason = models.CharField(_("reason"), max_length=500)
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, editable=False, verbose_name=_("accepted by")
    )
    accepted_at = models.DateTimeField(_("accepted at"), auto_now_add=True)

    class Meta:
        verbose_name = _("accepted deviation")
        verbose_name_plural = _("accepted deviations")
        constraints = [
            models.UniqueConstraint(fields=("facility", "rule", "data_type"), name="ssmix_accepted_once"),
        ]

    def __str__(self) -> str:
        return f"{self.rule} {self.data_type}"

    def clean(self) -> None:
        """Refuse a rule that there is not."""
        if self.rule not in RULES:
            raise ValidationError({"rule": _("There is no such rule.")})


class Scan(models.Model):
    """One scan of one root. cursor: the last branch that was finished, where an interrupted full scan goes on.

    counts: found, new, renamed, changed, missing, restored, registered, replaced, deprecated, fed, errors.
    share: the part of the storage that is settled, 0 to 1. seconds: how long it took until then.
    """

    root = models.ForeignKey(StorageRoot, on_delete=models.CASCADE, related_name="scans", verbose_name=_("storage"))
    full = models.BooleanField(_("full"), default=False)
    started_at = models.DateTimeField(_("started"))
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    cursor = models.CharField(max_length=200, blank=True)
    counts: models.JSONField[Any, Any] = models.JSONField(_("figures"), default=dict)
    problem = models.CharField(_("problem"), max_length=500, blank=True)
    share = models.FloatField(_("part done"), default=0.0)
    seconds = models.PositiveIntegerField(_("seconds"), default=0)

    class Meta:
        verbose_name = _("scan")
        verbose_name_plural = _("scans")
        ordering = ("-started_at",)
        indexes = [models.Index(fields=("root", "-started_at"), name="ssmix_scan_root")]

    def __str__(self) -> str:
        return f"{self.root_id} {self.started_at:%Y-%m-%d %H:%M}"
