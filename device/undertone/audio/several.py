"""Several live sources at once, in one thread: what has arrived from each, in turn."""

import time
from collections.abc import Callable, Iterator, Sequence

from undertone.audio.block import SourceItem
from undertone.audio.microphone import Microphone
from undertone.audio.portaudio import CHUNK_S
from undertone.events import CaughtUp, Idle


class Several:
    """Iterating it yields ``(name, item)`` without end, as each Microphone yields its items.

    Sound waits in the queues of the microphones until it is taken.  One that is lost, or whose
    server hangs, delays none of the others.
    """

    def __init__(
        self, microphones: Sequence[Microphone], sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Take over ``microphones``, whose ``poll_s`` and ``patience_s`` are 0."""
        self._microphones = microphones
        self._sleep = sleep

    def __iter__(self) -> Iterator[tuple[str, SourceItem]]:
        """What they deliver; only once, since the end closes them.

        ``CaughtUp`` comes when all that has arrived from any of them was taken, and ``Idle`` only
        from one that is lost.
        """
        sources = [(microphone, iter(microphone)) for microphone in self._microphones]
        try:
            while True:
                something = False
                waiting = sources
                while waiting:
                    later = []
                    for microphone, items in waiting:
                        item = next(items)
                        nothing = isinstance(item, CaughtUp | Idle)
                        if not nothing or (microphone.is_lost and isinstance(item, Idle)):
                            yield microphone.name, item
                        something |= not nothing
                        if not nothing or microphone.waiting_s:
                            later.append((microphone, items))
                    waiting = later
                yield self._microphones[0].name, CaughtUp()
                if not something:
                    self._sleep(CHUNK_S)
        finally:
            for microphone, _ in sources:
                microphone.close()
            for _, items in sources:
                items.close()
