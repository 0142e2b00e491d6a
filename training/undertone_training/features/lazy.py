"""A sequence whose items are made when they are asked for."""

from collections.abc import Callable, Sequence
from typing import TypeVar, overload

T = TypeVar("T")


class Lazy(Sequence[T]):
    """The results of a function, which is called anew whenever one is asked for."""

    def __init__(self, item: Callable[[int], T], numbers: Sequence[int]) -> None:
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


def joined(first: Sequence[T], second: Sequence[T]) -> Sequence[T]:
    """The items of both, one sequence after the other."""
    n = len(first)
    return Lazy(lambda i: first[i] if i < n else second[i - n], range(n + len(second)))
