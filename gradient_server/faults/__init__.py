"""Faults on demand: what goes wrong on purpose."""
