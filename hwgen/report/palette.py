"""The colours of page and plots, one set for a light screen and one for a dark one.

Text keeps a contrast of 4.5 to 1 or more on page and panel, shapes 3 to 1 (WCAG 2.2, levels AA of
success criteria 1.4.3 and 1.4.11); a test works both out. No two colours of the light set are
equal, since a plot is drawn in them and a colour's name is found from it.
"""

from __future__ import annotations

__all__ = ["DARK", "LIGHT", "MARKS", "TEXTS", "stylesheet"]

LIGHT = {
    "page": "#ffffff",
    "panel": "#f3f5f8",
    "line": "#cdd4dc",
    "ink": "#15191e",
    "muted": "#525b66",
    "link": "#0a54b0",
    "chosen": "#08734a",
    "front": "#0f5fc2",
    "baseline": "#974900",
    "other": "#77818d",
    "refused": "#b02350",
    "a": "#2a6bcf",
    "b": "#0c8585",
    "products": "#7548c2",
    "sums": "#b85c0b",
}
DARK = {
    "page": "#11151a",
    "panel": "#1a2027",
    "line": "#3a4450",
    "ink": "#e9edf2",
    "muted": "#a7b1bd",
    "link": "#8abaff",
    "chosen": "#4fd69c",
    "front": "#7db1ff",
    "baseline": "#f3a860",
    "other": "#8a96a4",
    "refused": "#ff8fae",
    "a": "#6fa9ff",
    "b": "#43c9c9",
    "products": "#ba9cf8",
    "sums": "#f4a55f",
}

# What is written in and what shapes are drawn in; the rest is ground and rules.
TEXTS = ("ink", "muted", "link", "chosen", "front", "baseline", "refused")
MARKS = ("chosen", "front", "baseline", "other", "refused", "a", "b", "products", "sums")


def stylesheet() -> str:
    """Return the CSS that names the colours, for both kinds of screen."""
    light, dark = (
        "".join(f"--{name}:{value};" for name, value in colours.items())
        for colours in (LIGHT, DARK)
    )
    return (
        f":root{{color-scheme:light dark;{light}}}"
        f"@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"
    )
