"""Fault injection: what clients meet on bad networks, on demand."""
