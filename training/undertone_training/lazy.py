"""Sequences whose items are made when they are asked for, so that only numbers are in memory."""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise, starmap
from operator import eq, le
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

Numbers = Sequence[int] | NDArray[np.integer[Any]]


class Lazy(Sequence[T]):
    """The results of a function, which is called anew whenever one is asked for."""

    def __init__(self, item: Callable[[int], T], numbers: Numbers) -> None:
        """``item`` of each of ``numbers``."""
        self._item = item
        self._numbers = numbers

    def __len__(self) -> int:
        """How many there are."""
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> "Lazy[T]": ...

    def __getitem__(self, index: int | slice) -> "T | Lazy[T]":
        """One item, or a sequence of some, which are not made yet."""
        if isinstance(index, slice):
            return Lazy(self._item, self._numbers[index])
        return self._item(self._numbers[index])

    def __eq__(self, other: object) -> bool:
        """Whether the other is a sequence of the same items."""
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[type[tuple[T, ...]], tuple[tuple[T, ...]]]:
        """As a pickle: a tuple of the items."""
        return tuple, (tuple(self),)


def mapped(function: Callable[[T], T], items: Sequence[T]) -> Sequence[T]:
    """The results of a function for each of the items."""
    return Lazy(lambda number: function(items[number]), range(len(items)))


def joined(first: Sequence[T], second: Sequence[T]) -> Sequence[T]:
    """The items of both, one sequence after the other."""
    n = len(first)
    return Lazy(lambda i: first[i] if i < n else second[i - n], range(n + len(second)))


def where(items: Sequence[T], wanted: Callable[[T], bool]) -> Sequence[T]:
    """The ``wanted`` ones of ``items``."""
    return _some(items, (number for number, item in enumerate(items) if wanted(item)))


def ordered(items: Sequence[T], key: Callable[[T], Any]) -> Sequence[T]:
    """The items in the order of their keys, equal ones in the order that they have."""
    if all(starmap(le, pairwise(map(key, items)))):
        return items  # without keeping their keys
    keys = [key(item) for item in items]
    return _some(items, sorted(range(len(keys)), key=keys.__getitem__))


def _some(items: Sequence[T], numbers: Iterable[int]) -> Sequence[T]:
    chosen = np.fromiter(numbers, np.uint32)
    if isinstance(items, Lazy):  # directly, not by way of another sequence
        return Lazy(items._item, np.asarray(items._numbers, np.uint32)[chosen])
    return Lazy(items.__getitem__, chosen)
