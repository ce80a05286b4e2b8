"""Figures, not tests: `make bench` runs them and writes the table."""
