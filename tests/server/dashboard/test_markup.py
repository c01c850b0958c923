"""HTML that is written by functions: no text gets out of its place."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradient_server.dashboard.markup import tag


class Parsed(HTMLParser):
    """What a browser makes of it: elements with their attributes, and texts."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, name, attributes):
        self.elements.append((name, attributes))

    def handle_data(self, text):
        self.texts.append(text)


HARD = st.text(st.sampled_from("<>\"'&;= ax/!-")) | st.text().filter(lambda text: text.isprintable())


@given(HARD, HARD)
def test_texts_and_attributes_are_what_they_were(text, value):
    """Whatever is in them: a browser reads one element, with one attribute, and the text."""
    parsed = Parsed(tag("td", text, title=value))
    assert parsed.elements == [("td", [("title", value)])]
    assert "".join(parsed.texts) == text


@pytest.mark.parametrize("value", ['" onload="alert(1)', "' onload='alert(1)", "><script>"])
def test_nothing_is_added_by_an_attribute(value):
    """Not by either kind of quotation mark, nor by the end of an element."""
    assert Parsed(tag("a", href=value)).elements == [("a", [("href", value)])]
