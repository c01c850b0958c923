"""Metrics: the numbers of a run. `rows` finds them in log rows, `series` keeps them, `index` reads them of a run."""
