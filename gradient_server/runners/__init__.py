"""Runners: each module or package here runs experiments in its own way."""
