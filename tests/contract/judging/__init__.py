"""The contract as the contract tests of the client read it, values made from it, and validators.

Nothing here uses the server of this project, which reads and validates in its own way.
"""
