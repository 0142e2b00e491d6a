"""What the shards of a folder contain."""

from collections.abc import Callable
from pathlib import Path

from undertone_training import object_storage
from undertone_training.features.shards import (
    SUFFIX,
    DamagedShardError,
    FileState,
    manifest,
    storing,
)

Place = tuple[int, int]
"""The number of a shard in ``Index.shards``, and a row in it."""


class Index:
    """The manifests of all shards in ``folder``.

    shards: their files; one that is damaged is removed.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        """Read the manifests; ``say`` is told of damage.  Raises RunError."""
        self.shards: list[Path] = []
        self._digests: dict[FileState, bytes] = {}
        self._places: dict[tuple[bytes, str], Place] = {}
        object_storage.bring(folder)
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            try:
                self.add(path)
            except DamagedShardError:
                say(f"{path} is damaged: what was in it is computed again")
                with storing(folder):
                    object_storage.remove(path)

    def __bool__(self) -> bool:
        """Whether there are any features."""
        return bool(self._places)

    def add(self, path: Path) -> None:
        """Read one more; raises DamagedShardError."""
        object_storage.fetch([path])
        for row, known in enumerate(manifest(path)):
            self._digests[known.file] = known.digest
            if known.here:
                self._places[known.digest, known.alike] = len(self.shards), row
        self.shards.append(path)

    def with_content(self, digest: bytes, alike: str) -> Place | None:
        """Where the features of a recording with this content are."""
        return self._places.get((digest, alike))

    def of_file(self, file: FileState, alike: str) -> Place | None:
        """Where the features of a recording are, which is not read; None if it is not known."""
        digest = self._digests.get(file)
        return None if digest is None else self.with_content(digest, alike)
