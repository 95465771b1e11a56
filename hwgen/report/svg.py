"""Plots as SVG: fit for a page that changes its colours, and as files that stand alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree import ElementTree

from hwgen.report.palette import LIGHT

__all__ = ["Link", "Picture", "inline", "standalone"]

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_NAMES = {value: name for name, value in LIGHT.items()}
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_FONT = re.compile(r"font-family:[^;]*;? ?")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What a group of a plot leads to."""

    target: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One plot, drawn for wide and for narrow screens.

    Parameters
    ----------
    name : str
        Of its file, and in its ids.
    title : str
    label : str
        What it shows, in words, for those who do not see it.
    wide, narrow : str
        SVG, 760 and 360 units wide.
    links : mapping of str to Link
        By the id of the group that becomes a link.
    """

    name: str
    title: str
    label: str
    wide: str
    narrow: str
    links: Mapping[str, Link] = field(default_factory=dict)


def inline(picture: Picture) -> str:
    """Return the markup of both sizes for a page; style sheets show the one that fits."""
    return "".join(
        _inline(text, picture, size)
        for size, text in (("wide", picture.wide), ("narrow", picture.narrow))
    )


def _inline(text: str, picture: Picture, size: str) -> str:
    root = _parse(text)
    _add_links(root, picture.links)
    # Ids are unique on a page: those that are referred to get a prefix, the others go.
    used = {name for node in root.iter() for name in _references(node)}
    prefix = f"{picture.name}-{size}-"
    for node in root.iter():
        node.tag = node.tag.removeprefix(f"{{{_SVG}}}")
        old = node.attrib.pop("id", None)
        if old in used:
            node.set("id", prefix + old)
        href = node.attrib.pop(f"{{{_XLINK}}}href", None)
        if href is not None:
            node.set("href", f"#{prefix}{href.removeprefix('#')}")
        for key, value in node.attrib.items():
            changed = _REFERENCE.sub(rf"url(#{prefix}\1)", value)
            node.set(key, _COLOUR.sub(_variable, changed) if key == "style" else changed)
    root.set("class", f"plot {size}")
    root.set("role", "group" if picture.links else "img")
    root.set("aria-label", f"{picture.title}. {picture.label}")
    return ElementTree.tostring(root, encoding="unicode")


def standalone(picture: Picture) -> str:
    """Return the wide size as a file of its own, in fixed colours on white."""
    root = _parse(picture.wide)
    root.set("role", "img")
    for tag, text in (("desc", picture.label), ("title", picture.title)):
        node = ElementTree.Element(f"{{{_SVG}}}{tag}")
        node.text = text
        root.insert(0, node)
    root.set("font-family", "system-ui, sans-serif")
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _parse(text: str) -> ElementTree.Element:
    """Read what Matplotlib wrote, less what a page has no use for."""
    root = ElementTree.fromstring(text)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)
    for node in root.iter():
        if node.text is not None and not node.text.strip():
            node.text = None
        node.tail = None
        style = node.get("style")
        if style is not None:
            node.set("style", _FONT.sub("", style).strip())
        if node.get("d"):
            node.set("d", " ".join(node.get("d").split()))
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    return root


def _add_links(root: ElementTree.Element, links: Mapping[str, Link]) -> None:
    for node in root.iter(f"{{{_SVG}}}g"):
        link = links.get(node.get("id", ""))
        if link is not None:
            node.tag = "a"
            node.set("href", f"#{link.target}")
            node.set("aria-label", link.label)


def _references(node: ElementTree.Element) -> list[str]:
    found = [name for value in node.attrib.values() for name in _REFERENCE.findall(value)]
    href = node.get(f"{{{_XLINK}}}href")
    return found if href is None else [*found, href.removeprefix("#")]


def _variable(match: re.Match[str]) -> str:
    name = _NAMES.get(match.group())
    return match.group() if name is None else f"var(--{name})"
