"""A page to look at: what the server knows, in a browser. It shows, and changes nothing.

What reads (`experiments`, `log`), what decides (`sessions`, `log_parts`, `log_numbers`, `curves`) and what draws
(`frame`, `tables`, `chart` and the `..._view` modules) know nothing of HTTP; `endpoints` does.
"""
