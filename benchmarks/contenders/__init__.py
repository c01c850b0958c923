"""The clients that are compared. Each runs in a process of its own, `worker`.

Only `this` and `generated` may import the project: `old` runs in an environment of its own.
"""
