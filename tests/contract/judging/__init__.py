"""What the contract tests of the client share: the contract as they read it, values made from it, and judgements.

Nothing here uses the server of this project, which reads and validates in its own way.
"""
