"""The client of everything."""

from gradient import SdkClient

__all__ = ["SdkClient"]
