"""Sequences whose items are made when they are asked for."""

import pickle

from hypothesis import given
from hypothesis import strategies as st

from undertone_training.lazy import Lazy, joined, ordered, where

items = st.lists(st.integers(0, 9))


@given(one=items, other=items)
def test_parts_of_sequences_are_those_of_lists(one: list[int], other: list[int]) -> None:
    assert list(joined(one, other)) == one + other
    assert list(where(one, lambda item: item % 2 == 0)) == [item for item in one if item % 2 == 0]
    tens = ordered([f"{item}{place}" for place, item in enumerate(one)], lambda text: text[0])
    assert list(tens) == sorted(tens, key=lambda text: text[0])
    assert [int(text[1:]) for text in tens if text[0] == "3"] == [
        place for place, item in enumerate(one) if item == 3
    ]  # equal ones keep their order
    assert (joined(one, ()) == joined(other, ())) == (one == other)
    assert joined(one, ())[1:] == one[1:]


def test_an_item_is_made_when_it_is_asked_for_and_never_kept() -> None:
    made: list[int] = []

    def item(number: int) -> int:
        made.append(number)
        return number * number

    squares = Lazy(item, range(5))
    assert not made
    assert squares[3] == squares[3] == 9
    assert made == [3, 3]
    assert list(squares[3:]) == [9, 16]


def test_another_process_gets_the_items() -> None:
    squares = Lazy(lambda number: number * number, range(4))
    assert pickle.loads(pickle.dumps(squares)) == (0, 1, 4, 9)
