"""Verilog, configuration files, estimates and data."""
