"""Text from outside (names of files, devices and models) as it may be shown."""


def printable(text: str) -> str:
    """``text`` with "�" for what would move a terminal's cursor or can't be encoded."""
    return "".join(character if character.isprintable() else "�" for character in text)
