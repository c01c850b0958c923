"""Secrets and control characters are kept out of what people see."""

import copy
import html
import json
import pickle
import traceback

import pytest

from gradient_ext.redaction import Secret, escape_control_characters, redact, redact_body, redact_json


@pytest.mark.parametrize(
    ("address", "redacted"),
    [
        ("https://me:sesame@h/r.git", "https://me:********@h/r.git"),
        ("https://me:p@sesame@h/r.git", "https://me:********@h/r.git"),
        ("https://sesame@h/r.git", "https://********@h/r.git"),
        ('https://me:se"same@h/r.git', "https://me:********@h/r.git"),
        ("HTTPS://sesame:@h/r.git", "HTTPS://********@h/r.git"),
        ("https://sesame:x-oauth-basic@h/r.git", "https://********@h/r.git"),
        ("git+https://:sesame@h/r.git", "git+https://:********@h/r.git"),
        ("ssh://git@h:22/r.git", "ssh://git@h:22/r.git"),
        ("git@h:me/r.git", "git@h:me/r.git"),
        ("https://h:8080/me@x", "https://h:8080/me@x"),
        ('{"a":"https://h:80","b":"me@x"}', '{"a":"https://h:80","b":"me@x"}'),
    ],
)
def test_passwords_and_tokens_of_addresses_are_masked(address, redacted):
    assert redact(address) == redacted
    assert redact_json({"address": [address]}) == {"address": [redacted]}


@pytest.mark.parametrize(
    ("text", "secrets", "redacted"),
    [
        ("sesame-open", ["sesame", "sesame-open"], "********"),
        ('"sesame\\"open"', ['sesame"open'], '"********"'),
        ("secret: sesame", ["secret"], "********: sesame"),
        ("Experiment data error", ["data"], "Experiment data error"),
        ("a short secret", ["short"], "a short secret"),  # five characters: found in ordinary words
    ],
)
def test_secrets_are_masked_in_whatever_form_and_short_ones_are_not(text, secrets, redacted):
    assert redact(text, secrets) == redacted


@pytest.mark.parametrize("secret", ["sesame'\"é", "sesame'é", 'sesame"\\é', "sesame\\'\"\n日", "<sesame>&'\""])
@pytest.mark.parametrize(
    "write",
    [
        str,
        repr,
        ascii,
        lambda text: repr(f"{text} '"),
        lambda text: repr(f'{text} "'),
        lambda text: ascii(f"{text} '\""),
        json.dumps,
        lambda text: json.dumps(text, ensure_ascii=False),
        html.escape,
    ],
)
def test_a_secret_is_masked_however_a_body_that_is_no_json_writes_it(secret, write):
    redacted = redact_body(f"no JSON: {write(secret)} is wrong", [secret])
    assert "********" in redacted
    assert "sesame" not in redacted


@pytest.mark.parametrize(
    ("body", "redacted"),
    [
        ('{"error": "open\\/sesame is wrong"}', '{"error": "******** is wrong"}'),
        ('{"open/sesame": [20261126, 7]}', '{"********": ["********", 7]}'),
        ("no JSON: open/sesame", "no JSON: ********"),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_secrets_are_masked_in_json_bodies_as_names_numbers_and_texts(body, redacted):
    assert redact_body(body, ["open/sesame", "20261126"]) == redacted


def test_control_characters_are_escaped():
    assert escape_control_characters("\x1b]0;gone\x07 one\r\n\u202e\ud800") == r"\x1b]0;gone\x07 one\r\n\u202e\ud800"
    assert escape_control_characters("日本\tone\r\n\x1b[2J", multiline=True) == "日本  one\n\\x1b[2J"


def test_a_secret_is_its_text_but_does_not_show_in_tracebacks_with_variables():
    secret = Secret("sesame")
    for same in (secret, copy.deepcopy(secret), pickle.loads(pickle.dumps(secret))):
        assert same == "sesame"
        assert repr([same]) == "['********']"
    held = {"key": secret}
    try:
        raise KeyError(held)
    except KeyError as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "held = {'key': '********'}" in shown
