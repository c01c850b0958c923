"""The formats of the contract that schemathesis cannot know, as hypothesis strategies."""

import base64

import schemathesis
from hypothesis import strategies as st

schemathesis.openapi.format(
    "base64-text", st.text(min_size=1).map(lambda text: base64.b64encode(text.encode("utf-8")).decode("ascii"))
)
