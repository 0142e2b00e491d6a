"""Addresses of sound on the network, and what of them may be shown."""

import re
from typing import Self
from urllib.parse import urlsplit

SCHEMES = ("http", "https", "rtsp", "rtsps")

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_LONGEST = 2048
"""Characters; FFmpeg's own buffers are not much longer."""


class NetworkAddress(str):
    """As text, the address without what may be secret in it; ``url`` is all of it.

    Left out are the user, the password, the query, and of the path all from the first part with
    "=" on: some cameras have a password there.  So it can be printed and stored.
    """

    url: str

    __slots__ = ("url",)

    def __new__(cls, url: str) -> Self:
        """Raise ValueError, which does not repeat ``url``, if it is not the address of a stream."""
        address = super().__new__(cls, _shown(url))
        scheme, rest = url.split(":", 1)
        address.url = f"{scheme.lower()}:{rest}"
        return address

    @property
    def has_secrets(self) -> bool:
        """Whether something is left out."""
        return self != self.url


def is_address(text: str) -> bool:
    """Whether ``text`` is meant as an address, and not as a path."""
    return _SCHEME.match(text) is not None


def _shown(url: str) -> str:
    if len(url) > _LONGEST:
        raise ValueError(f"an address has at most {_LONGEST} characters.")
    if not url.isprintable() or " " in url:
        raise ValueError("an address has no spaces or control characters: write a space as %20.")
    match = _SCHEME.match(url)
    scheme = match[1].lower() if match else ""
    if scheme == "file":
        raise ValueError("name a file by its path, without file://.")
    if scheme not in SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise ValueError(f"an address begins with one of {known}.")
    try:
        parts = urlsplit(url)
        host, port, name = parts.hostname, parts.port, parts.netloc.rpartition("@")[2]
    except ValueError:
        host, port = None, None
    if not host or port == 0 or "@" in url.split("://", 1)[1][len(parts.netloc) :]:
        raise ValueError(
            "an address is like rtsp://user:password@host:554/path; in the user and the password, "
            "write @ as %40, : as %3A, / as %2F, ? as %3F, # as %23 and % as %25."
        )
    public, secret, _ = re.split(r"(/[^/]*=|$)", parts.path, maxsplit=1)
    return f"{scheme}://{name}{public}{'/...' if secret else ''}"
