"""Addresses and keys: what is refused, and that a key is sent to the endpoint alone."""

import logging

import pytest

from agents.llm.endpoint import retry_after
from sim.errors import InvalidInput
from tests.agents.llm.endpoint_server import echo, engine_for, fails, says
from tests.agents.llm.reference import complete

KEY = "sk-very-secret-0123456789"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("7", 7.0), ("-1", 0.0), ("Mon, 01 Jan 2001 00:00:00 GMT", 0.0), ("soon", None)],
)
def test_retry_after_reads_seconds_and_dates(header, seconds):
    assert retry_after(header) == seconds


def test_the_key_goes_to_the_endpoint_and_nowhere_else(serve, monkeypatch, caplog, capfd):
    monkeypatch.setenv("MY_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    server = serve(echo)
    engine = engine_for(server, key_variable="MY_KEY")
    complete(engine, ["a"], 5)
    assert server.seen[0][1]["Authorization"] == f"Bearer {KEY}"
    actual = [str(engine.description), repr(engine), repr(vars(engine).get("cost"))]
    for status in (400, 401, 500):
        rude = serve(fails(status, {"error": {"message": f"the key Bearer {KEY} is not liked"}}))
        with pytest.raises(InvalidInput) as caught:
            complete(engine_for(rude, key_variable="MY_KEY", retries=1), ["a"], 5)
        actual.append(str(caught.value))
        if status == 401:
            assert "the key sent is that of the environment variable MY_KEY" in str(caught.value)
    repeated = complete(engine_for(serve(says(f"you sent {KEY}")), key_variable="MY_KEY"), ["a"], 5)
    actual += [*repeated, caplog.text, *capfd.readouterr()]
    assert repeated == ["you sent ***"]
    assert "HTTP Request" in caplog.text  # the log was on
    assert not any(KEY in text for text in actual)


def test_short_fillers_for_a_key_do_not_touch_answers(serve, monkeypatch):
    monkeypatch.setenv("MY_KEY", "EMPTY")
    assert complete(engine_for(serve(says("EMPTY nest")), key_variable="MY_KEY"), ["a"], 5) == ["EMPTY nest"]


@pytest.mark.parametrize("value", [None, "", "  ", f"{KEY}\nX-Other: 1", "schlüssel"])
def test_a_key_that_cannot_be_sent(value, monkeypatch):
    monkeypatch.delenv("MY_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("MY_KEY", value)
    with pytest.raises(InvalidInput, match=r"llm\.key_variable='MY_KEY': (is not set|must hold printable)") as caught:
        engine_for("http://127.0.0.1:1/v1", key_variable="MY_KEY")
    assert KEY not in str(caught.value)


def test_a_key_in_the_place_of_its_variable_is_not_repeated():
    with pytest.raises(InvalidInput, match="name of an environment variable") as caught:
        engine_for("http://127.0.0.1:1/v1", key_variable=KEY)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [f"http://me:{KEY}@host/v1", f"https://host/v1?key={KEY}", f"https://{KEY}@host", f"http://h/v1#{KEY}"],
)
def test_addresses_with_credentials_are_refused_without_repeating_them(url):
    with pytest.raises(InvalidInput, match="must hold no user, password or query") as caught:
        engine_for(url)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["", "host:8000/v1", "ftp://host/v1", "http://", "http://host:port/v1", "http://[::1/v1"]
)
def test_addresses_that_are_none(url):
    with pytest.raises(InvalidInput, match="must be an address such as"):
        engine_for(url)
