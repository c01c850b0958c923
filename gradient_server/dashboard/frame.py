"""What all pages have in common."""

from __future__ import annotations

from gradient_server.dashboard.markup import Child, Html, joined, tag

FILES = "/page/files/"
SIGN_OUT = "/page/logout"


def framed(title: str, *content: Child, signed_in: bool = True, reload_seconds: int | None = None) -> Html:
    """Write a whole page.

    :param str title: what the window is called
    :param content: what is in it
    :param bool signed_in: whether there is a session that could be ended
    :param int reload_seconds: how often to load it anew where there is no JavaScript
    """
    reload = tag("meta", http_equiv="refresh", content=str(reload_seconds)) if reload_seconds else None
    leave = tag("form", tag("button", "Log out"), method="post", action=SIGN_OUT) if signed_in else None
    return joined(
        (
            Html("<!doctype html>\n"),
            tag(
                "html",
                tag(
                    "head",
                    tag("meta", charset="utf-8"),
                    tag("title", title),
                    tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
                    tag("link", rel="icon", href=f"{FILES}icon.svg", type="image/svg+xml"),
                    tag("link", rel="stylesheet", href=f"{FILES}page.css"),
                    tag("script", src=f"{FILES}page.js", type="module"),
                    tag("noscript", reload) if reload else None,
                ),
                tag(
                    "body",
                    tag("header", tag("a", "Gradient Experiments", href="/"), leave),
                    tag("main", *content),
                ),
                lang="en",
            ),
        )
    )


def message_page(title: str, *text: Child) -> Html:
    """Write a page that says one thing."""
    return framed(title, tag("h1", title), tag("p", *text), signed_in=False)


def login_page(to: str, problem: str | None = None) -> Html:
    """Ask for the key.

    :param str to: which page to show then
    :param str problem: what is wrong with what was given
    """
    return framed(
        "Log in",
        tag(
            "form",
            tag("h1", "Gradient Experiments"),
            tag("label", "API key of this server", for_="key"),
            tag(
                "input",
                id="key",
                name="key",
                type="password",
                required=True,
                autofocus=True,
                autocomplete="current-password",
                aria_describedby="hint",
            ),
            tag("p", problem, class_="problem", role="alert") if problem else None,
            tag("p", "The one that clients give it: in PAPERSPACE_API_KEY, for instance.", id="hint"),
            tag("input", type="hidden", name="to", value=to),
            tag("button", "Log in"),
            method="post",
            action="/page/login",
            class_="login",
        ),
        signed_in=False,
    )
