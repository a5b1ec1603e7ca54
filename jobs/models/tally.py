"""What happened in each minute, hour and day: the history that the console's charts show."""

from django.db import models

from jobs.fields import JSONTextField


class Span(models.TextChoices):
    """How long the time of a tally is."""

    PART = "part"  # a minute, of one process
    MINUTE = "minute"  # of all processes
    HOUR = "hour"
    DAY = "day"


class Tally(models.Model):
    """What one process did for one vendor in one minute, or what all did in a longer time.

    A row has one owner, who writes the whole of it: the process, or the leader of the sweep. So a
    write that is repeated changes nothing, and no two processes compete for a row.
    """

    id = models.CharField(primary_key=True, max_length=120, db_column="_id", editable=False)
    vendor = models.CharField(max_length=50, blank=True)  # '': of no vendor; '*': of all together
    span = models.CharField(max_length=6, choices=Span.choices)
    at = models.DateTimeField()  # when the time begins
    process = models.CharField(max_length=20, blank=True)  # of a part
    counts = JSONTextField()  # jobs.tallies.counts.Counts

    class Meta:
        default_permissions = ()
        verbose_name_plural = "tallies"
        indexes = [
            models.Index(fields=["span", "at", "vendor"], name="tally_at"),
            models.Index(fields=["vendor", "span", "at"], name="tally_of_vendor"),
        ]

    def __str__(self) -> str:
        return self.id


class TallyMark(models.Model):
    """Until when tallies are folded into those of this span. Readers read longer spans before the
    mark and shorter ones after it, so that a fold appears to happen in one step.
    """

    id = models.CharField(primary_key=True, max_length=6, db_column="_id")  # a Span
    at = models.DateTimeField()
    counts = JSONTextField(null=True)  # of hours: all that was counted before `at`, by vendor

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.id
