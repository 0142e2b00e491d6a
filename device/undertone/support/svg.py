"""Writes SVG pictures without a plotting library.

matplotlib would cost a Pi 100 MB of its card and seconds at each start, for a few rectangles.
"""

from xml.etree import ElementTree

Element = ElementTree.Element


def picture(width: int, height: int) -> Element:
    """An empty white picture, its text in the reader's sans-serif type."""
    root = Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width} {height}",
            "width": str(width),
            "height": str(height),
            "font-family": "sans-serif",
            "font-size": "13",
        },
    )
    add(root, "rect", width=width, height=height, fill="white")
    return root


def add(parent: Element, tag: str, text: str | None = None, **attributes: object) -> Element:
    """Add a child element; underscores in the names of ``attributes`` become hyphens."""
    values = {name.replace("_", "-"): str(value) for name, value in attributes.items()}
    child = ElementTree.SubElement(parent, tag, values)
    child.text = text
    return child


def written(root: Element) -> str:
    """The picture as the text of a file."""
    return ElementTree.tostring(root, encoding="unicode") + "\n"
