"""The WSGI application: the SOAP door in front, people's pages by Django behind it."""

import os
from collections.abc import Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hie.settings")

# Django has to be set up before anything that stands on its settings is imported.
_pages = get_wsgi_application()

from django.conf import settings  # noqa: E402

from hie.transport.request_bodies import chunked_bodies  # noqa: E402
from hie.transport.soap_server import PREFIX, soap_application  # noqa: E402

_people = chunked_bodies(_pages, settings.MAX_MESSAGE_BYTES)


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Machines that speak SOAP never meet Django's request machinery; everybody else does."""
    if environ.get("PATH_INFO", "").startswith(PREFIX):
        return soap_application(environ, start_response)
    return _people(environ, start_response)
