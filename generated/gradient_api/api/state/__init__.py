# Generated from openapi/experiments.yaml by `make generate`. Do not edit.
"""Contains endpoint functions for accessing the API"""
