# Generated from openapi/experiments.yaml by `make generate`. Do not edit.

"""A client library for accessing Gradient Experiments API"""

from .client import AuthenticatedClient, Client

__all__ = (
    "AuthenticatedClient",
    "Client",
)
