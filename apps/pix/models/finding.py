"""Finding people (PDQ). Keys are written by ``services.charts`` and asked by ``queries.conditions``.

PostgreSQL compares them byte by byte (varchar_pattern_ops), as SQLite always does, so that a beginning is one range of
the index. Like ``MatchKey`` they are written with their chart alone, and the database checks nothing of them.
"""

from __future__ import annotations

from django.db import models

from apps.pix.models.persons import LocalIdentifier

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
