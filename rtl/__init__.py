"""Amaranth components; each has a golden model of the same name."""
