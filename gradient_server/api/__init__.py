"""The operations of the contract over HTTP."""
