"""Who is let in, to the interface and to the page, and what the page shows."""

from fault import PAGE, SERVER, Fault

FAULTS = (
    # Which requests are looked at, and with which key.
    Fault(
        "any name may be resolved to the server",
        f"{SERVER}/foreign_requests.py",
        "if place is not None and not names.have(place):",
        "if place is not None and not place:",
    ),
    Fault(
        "pages of any origin may ask",
        f"{SERVER}/foreign_requests.py",
        "not same_origin(value, place)",
        'value == "null"',
    ),
    Fault(
        "on this machine every address is its own",
        f"{SERVER}/own_names.py",
        "(on_loopback and given.is_loopback)",
        "on_loopback",
    ),
    Fault(
        "another port is the same origin",
        f"{SERVER}/own_names.py",
        "int(to[2] or default))",
        "came_from[1])",
    ),
    Fault(
        "the time of a comparison says how much was right",
        f"{SERVER}/key_check.py",
        "secrets.compare_digest(encoded, self._right)",
        "encoded == self._right",
    ),
    Fault(
        "who guesses locks the owner out",
        f"{SERVER}/key_check.py",
        "if is_right and (not wait or peer == OWN_MACHINE):",
        "if is_right and not wait:",
    ),
    Fault(
        "one more wrong key is looked at",
        f"{SERVER}/wrong_keys.py",
        "return max(0, moments[0] + PERIOD - self._clock())",
        "return max(0, moments[1] + PERIOD - self._clock())",
    ),
    Fault(
        "the group may read keys",
        f"{SERVER}/private_files.py",
        "_OTHERS = 0o077",
        "_OTHERS = 0o007",
    ),
    Fault(
        "real runs may be exposed in silence",
        f"{SERVER}/exposure.py",
        "if runner_is_real and not expose and not is_loopback(host):",
        "if runner_is_real and not expose and not host:",
    ),
    # The sessions of the page.
    Fault(
        "a logout leaves the session",
        f"{PAGE}/endpoints.py",
        '        self._sessions.end(request.cookies.get(_cookie(request), ""))\n',
        "",
    ),
    Fault(
        "scripts can read the cookie",
        f"{PAGE}/endpoints.py",
        'self._sessions.begin(), path="/", httponly=True,',
        'self._sessions.begin(), path="/", httponly=False,',
    ),
    Fault("the login leads anywhere", f"{PAGE}/endpoints.py", "_HERE.fullmatch(to)", "_HERE.match(to)"),
    Fault(
        "curves are there for everybody",
        f"{PAGE}/endpoints.py",
        "self._inside(self._curves, in_background=True)",
        "_safe(self._curves)",
    ),
    Fault(
        "forms of strangers may be of any size",
        f"{PAGE}/endpoints.py",
        "        if len(body) > _MOST_BYTES:\n            return {}\n",
        "",
    ),
    # What it shows.
    Fault("texts are not escaped", f"{PAGE}/markup.py", "return escape(child)", "return child"),
    Fault(
        "quotation marks end attributes",
        f"{PAGE}/markup.py",
        "{escape(str(value))}",
        "{escape(str(value), quote=False)}",
    ),
    Fault("rows are shown with their secrets", f"{PAGE}/log_view.py", "cells[-1].text", 'row["message"]'),
    Fault(
        "there is a page after the last row",
        f"{PAGE}/log_view.py",
        "if log.after + lines < last else None",
        "if log.after + lines <= last else None",
    ),
    Fault(
        "the marker of a log counts as a row", f"{PAGE}/news.py", "sum(ends.values()) - markers", "sum(ends.values())"
    ),
    Fault(
        "a step that stands still goes on",
        f"{PAGE}/curves.py",
        "before.steps[step] < after.steps[step]",
        "before.steps[step] <= after.steps[step]",
    ),
    Fault(
        "rows that were skipped leave the others",
        f"{PAGE}/page.js",
        "if (news.skipped) this.rows.replaceChildren();",
        "",
    ),
    Fault(
        "rows on a page grow without end",
        f"{PAGE}/page.js",
        "    while (this.rows.rows.length > this.most) this.rows.rows[0].remove();\n",
        "",
    ),
)
