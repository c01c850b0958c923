"""Login links."""


def login_link(url: str, api_key: str) -> str:
    """Return a link."""
    return url
