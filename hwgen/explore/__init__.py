"""Choosing a design: how wide an accumulator must be, and which design is the cheapest."""

from __future__ import annotations

from hwgen.explore.sizing import Ranges, Sizing, error_bound, magnitude_text, size_window

__all__ = ["Ranges", "Sizing", "error_bound", "magnitude_text", "size_window"]
