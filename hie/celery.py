"""Celery for production: the tasks of the apps, and the same schedule that the embedded worker reads.

celery -A hie worker --beat
"""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hie.settings")

app = Celery("hie")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.on_after_finalize.connect
def _schedule(sender: Celery, **_: object) -> None:
    from django.conf import settings

    for name, (task, seconds) in settings.SCHEDULE.items():
        sender.add_periodic_task(seconds, sender.signature(task), name=name, expires=seconds)
