"""The circuits, in Amaranth: from :class:`hwgen.rtl.core.Core` down to one processing element."""
