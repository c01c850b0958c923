"""What schemathesis cannot know of the contract by itself: its formats, and hosts of single operations."""

import base64
from urllib.parse import urlsplit

import schemathesis
from hypothesis import strategies as st

schemathesis.openapi.format(
    "base64-text", st.text(min_size=1).map(lambda text: base64.b64encode(text.encode("utf-8")).decode("ascii"))
)


@schemathesis.hook
def before_init_operation(context: schemathesis.HookContext, operation: schemathesis.schemas.APIOperation) -> None:
    """Keep the path of a host that an operation has for itself: `--url` would put that of all others in its place."""
    own = operation.definition.raw.get("servers")
    if own and operation.base_url:
        operation.base_url = urlsplit(operation.base_url)._replace(path=urlsplit(own[0]["url"]).path).geturl()
