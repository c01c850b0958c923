"""Fault injection: errors, delays and broken responses on demand."""
