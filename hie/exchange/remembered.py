"""Small tables that every message asks for, remembered in the process for a few seconds.

Facilities, nodes and codes change a few times a year and are read with every message. A remembered answer is at
most ``seconds`` old; the process that changes a table forgets at once (``forget``), the others after that time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

AT_MOST = 4096
_ALL: list[Remembered] = []


class Remembered(Generic[P, R]):
    """A function of hashable positional arguments whose answers, None included, are kept for some seconds."""

    def __init__(self, function: Callable[P, R], seconds: float) -> None:
        self._function = function
        self._seconds = seconds
        self._kept: dict[tuple[object, ...], tuple[float, R]] = {}
        self.__doc__ = function.__doc__
        _ALL.append(self)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        now = time.monotonic()
        kept = self._kept.get(args)
        if kept is not None and kept[0] > now:
            return kept[1]
        answer = self._function(*args, **kwargs)
        if len(self._kept) >= AT_MOST:
            self._kept = {}
        self._kept[args] = (now + self._seconds, answer)
        return answer

    def forget(self) -> None:
        """Forget every answer, so that the next call asks again."""
        self._kept = {}


def remembered(seconds: float) -> Callable[[Callable[P, R]], Remembered[P, R]]:
    """Decorate a query of a small table: its answers may be this old. Arguments are given by position."""
    return lambda function: Remembered(function, seconds)


def forget_all() -> None:
    """Forget everything that this process remembers."""
    for each in _ALL:
        each.forget()
