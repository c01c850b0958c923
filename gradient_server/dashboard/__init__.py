"""The dashboard: pages that show experiments, their logs and their metrics in a browser. It changes nothing.

`data` reads experiments and logs, `charts` draws metrics, `views` renders both, `app` serves the result.
"""
