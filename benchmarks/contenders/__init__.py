"""What is compared. Each runs in a process of its own, `worker`, that is told what to do and says how long it took.

Nothing here may import the project but `this` and `generated`: `old` runs in an environment of its own.
"""
