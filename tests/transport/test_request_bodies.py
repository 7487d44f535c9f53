"""Bodies of requests under WSGI: their length, their end, their limit."""

from __future__ import annotations

import io

import pytest

from hie.transport.request_bodies import chunked_bodies, pieces_of
from hie.values.errors import ExchangeError, Reason

CHUNKED = {"HTTP_TRANSFER_ENCODING": "chunked"}
TERMINATED = CHUNKED | {"wsgi.input_terminated": True}

WHOLE = [
    ({"CONTENT_LENGTH": "5"}, b"hello next request", b"hello"),
    ({"CONTENT_LENGTH": ""}, b"", b""),
    ({}, b"of nobody", b""),
    (TERMINATED, b"hello", b"hello"),
    (TERMINATED | {"CONTENT_LENGTH": "2"}, b"hello", b"hello"),
    ({"CONTENT_LENGTH": "10"}, b"x" * 10, b"x" * 10),
    (TERMINATED, b"x" * 10, b"x" * 10),
]


@pytest.mark.parametrize(("environ", "sent", "expected"), WHOLE)
def test_whole_body(environ, sent, expected):
    assert b"".join(pieces_of(environ | {"wsgi.input": io.BytesIO(sent)}, 10)) == expected


REFUSED = [
    ({"CONTENT_LENGTH": "11"}, b"x" * 11, Reason.TOO_LARGE),
    (TERMINATED, b"x" * 11, Reason.TOO_LARGE),
    ({"CONTENT_LENGTH": "9"}, b"x" * 8, Reason.UNREADABLE),
    ({"CONTENT_LENGTH": "-1"}, b"x", Reason.UNREADABLE),
    ({"CONTENT_LENGTH": "1e3"}, b"x", Reason.UNREADABLE),
    (CHUNKED, b"5\r\nhello\r\n0\r\n\r\n", Reason.UNREADABLE),
]


@pytest.mark.parametrize(("environ", "sent", "reason"), REFUSED)
def test_refused_body(environ, sent, reason):
    with pytest.raises(ExchangeError) as caught:
        list(pieces_of(environ | {"wsgi.input": io.BytesIO(sent)}, 10))
    assert caught.value.reason is reason


class Broken(io.BytesIO):
    """What a web server shows of a connection that was cut."""

    def read(self, *_arguments):
        raise ConnectionResetError


def test_cut_connection():
    with pytest.raises(ExchangeError) as caught:
        list(pieces_of({"CONTENT_LENGTH": "9", "wsgi.input": Broken()}, 10))
    assert caught.value.reason is Reason.UNREADABLE


def behind(environ, sent):
    """What an application behind ``chunked_bodies`` sees, and the status where it is not asked."""
    seen, statuses = [], []

    def application(environ, start_response):
        seen.append((environ["CONTENT_LENGTH"], environ["wsgi.input"].read(), "HTTP_TRANSFER_ENCODING" in environ))
        return []

    spooled = chunked_bodies(application, 1_000_000)
    list(spooled(environ | {"wsgi.input": io.BytesIO(sent)}, lambda status, headers: statuses.append(status)))
    return seen, statuses


@pytest.mark.parametrize("size", [0, 5, 700_000])
def test_chunked_body_gets_a_length(size):
    assert behind(TERMINATED, b"x" * size) == ([(str(size), b"x" * size, False)], [])


def test_body_with_a_length_is_left_alone():
    assert behind({"CONTENT_LENGTH": "2"}, b"ab") == ([("2", b"ab", False)], [])


def test_chunked_body_above_the_limit_never_reaches_the_application():
    assert behind(TERMINATED, b"x" * 1_000_001) == ([], ["413 Request Entity Too Large"])
