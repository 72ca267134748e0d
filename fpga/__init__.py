"""Implementation with the embedded open tools."""
