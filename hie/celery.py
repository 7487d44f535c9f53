"""Celery for production: the tasks of the apps, and the same schedule that the embedded worker reads.

celery -A hie worker --beat
"""

import os
from collections.abc import Callable

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hie.settings")

app = Celery("hie")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.on_after_finalize.connect
def _schedule(sender: Celery, **_: object) -> None:
    from django.conf import settings

    for name, (path, seconds) in settings.SCHEDULE.items():
        task = sender.task(name=path)(_function(path))
        sender.add_periodic_task(seconds, task.s(), name=name, expires=seconds)


def _function(path: str) -> Callable[[], None]:
    """The plain function at a dotted path, looked up when it runs: the apps are not loaded yet."""

    def run() -> None:
        from django.utils.module_loading import import_string

        import_string(path)()

    return run
