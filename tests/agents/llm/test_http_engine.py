import threading
import time
from email.utils import formatdate

import pytest

import agents.llm.http_engine
from agents.llm.engines import Cost
from agents.llm.http_engine import HttpEngine
from sim.errors import InvalidInput
from tests.agents.llm.endpoint_server import (
    chat_completion,
    completion,
    cuts_off,
    echo,
    engine_for,
    fails,
    gives,
    says,
    send,
)
from tests.agents.llm.reference import complete


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Retries after hundredths of a second."""
    monkeypatch.setattr(agents.llm.http_engine, "_FIRST_DELAY", 0.01)


def test_completions_come_in_order_and_are_counted(serve):
    def slow_first(handler, body):
        time.sleep(0.3 if body["prompt"] == "p0" else 0)
        echo(handler, body)

    server = serve(slow_first)
    engine = engine_for(server)
    prompts = [f"p{i}" for i in range(9)]
    assert complete(engine, prompts, 12) == prompts
    assert engine.cost == Cost(prompt_tokens=63, completion_tokens=27, requests=9, retries=0)
    path, headers, body = server.seen[0]
    assert path == "/v1/completions"
    assert set(body) == {"model", "prompt", "max_tokens", "temperature"}
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("small", 12, 0)
    assert "Authorization" not in headers


def test_answers_come_as_they_are_ready(serve):
    server = serve(
        lambda handler, body: (server.release.wait(5) if body["prompt"] == "slow" else 0, echo(handler, body))
    )
    answers = engine_for(server).answers(["slow", "quick"], 5)
    assert next(answers).number == 1
    server.release.set()
    assert next(answers).number == 0


def test_chat_puts_the_prompt_into_a_message(serve):
    server = serve(gives(chat_completion("  tofu\n")))
    assert complete(engine_for(server, chat=True), ["hello"], 5) == ["  tofu\n"]
    path, _, body = server.seen[0]
    assert path == "/v1/chat/completions"
    assert body["messages"] == [{"role": "user", "content": "hello"}]
    assert "prompt" not in body


def test_a_model_that_only_thought_said_nothing(serve):
    server = serve(gives(chat_completion(None)))
    engine = engine_for(server, chat=True)
    assert complete(engine, ["hello"], 5) == [""]
    assert engine.cost.retries == 1  # once more, in case


@pytest.mark.parametrize(
    "failure",
    [
        fails(500, b"Internal Server Error"),
        fails(503, {"detail": "loading"}),
        fails(429, {"error": {"message": "slow down"}}),
        gives(b'{"choices": [{"text": "hal'),
        gives(b""),
        gives({"error": {"message": "upstream is overloaded", "code": 502}}),
        gives(completion("")),
        cuts_off,
    ],
)
def test_temporary_failures_are_tried_again(serve, failure):
    server = serve(failure, echo)
    engine = engine_for(server)
    assert complete(engine, ["a"], 5) == ["a"]
    assert (engine.cost.requests, engine.cost.retries) == (2, 1)


@pytest.mark.parametrize(
    ("failure", "says", "requests"),
    [
        (fails(500, b"Internal Server Error"), r"answered 500 \(Internal Server Error\); tried 3 times", 3),
        (fails(502, b"<html><h1>Bad gateway</h1></html>"), r"answered 502; tried 3 times", 3),
        (fails(429, {"error": {"message": "slow down"}}), r"answered 429 \(slow down\); tried 3 times", 3),
        (gives(b'{"choices": [{"te'), r"broken JSON .*tried 3 times", 3),
        (gives({"error": "no memory"}), r"answered with an error \(no memory\); tried 3 times", 3),
        (fails(404, {"error": {"message": "no model 'small'"}}), r"answered 404 \(no model 'small'\)", 1),
        (fails(400, {"detail": "prompt must be a string."}), r"answered 400 \(prompt must be a string", 1),
        (fails(307, b"", [("Location", "/elsewhere")]), r"answered 307", 1),
        (fails(401, {"error": {"message": "who?"}}), r"answered 401 \(who\?\); no key was sent: llm\.key_variable", 1),
        (gives(b"<!doctype html><title>Hello"), r"a web page: is this the API's address", 1),
        (gives([1, 2]), r"JSON that is no object", 1),
        (gives({"usage": {}}), r"gave no choices where one was asked for", 1),
        (gives({"choices": []}), r"gave 0 choices", 1),
        (gives({"choices": [{"text": "a"}, {"text": "b"}]}), r"gave 2 choices", 1),
        (gives({"choices": [{"message": {"content": "a"}}]}), r"a choice without text: is llm\.chat right", 1),
        (gives({"choices": ["a"]}), r"a choice without text", 1),
        (gives(b"x" * 2_000_000), r"more than 1,048,576 bytes", 1),
    ],
)
def test_permanent_failures_are_reported_in_one_line(serve, failure, says, requests):
    server = serve(failure)
    with pytest.raises(InvalidInput, match=says) as caught:
        complete(engine_for(server, retries=2), ["a"], 5)
    assert str(caught.value).startswith(f"llm.url='{server.url}/completions': ")
    assert "\n" not in str(caught.value)
    assert len(server.seen) == requests


def test_a_hanging_server_is_given_up_after_the_timeout(serve):
    server = serve(lambda handler, body: server.release.wait(10))
    start = time.monotonic()
    with pytest.raises(InvalidInput, match=r"has not answered within 0\.2 s; tried 2 times"):
        complete(engine_for(server, timeout=0.2, retries=1), ["a"], 5)
    assert time.monotonic() - start < 10


def test_a_trickle_is_no_answer(serve):
    def drops(handler, body):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        while not server.release.wait(0.05):
            try:
                handler.wfile.write(b" ")
                handler.wfile.flush()
            except OSError:
                return

    server = serve(drops)
    with pytest.raises(InvalidInput, match=r"has not answered within 0\.3 s"):
        complete(engine_for(server, timeout=0.3, retries=0), ["a"], 5)


def test_no_server_at_the_address(serve):
    server = serve(echo)
    server.close()
    with pytest.raises(InvalidInput, match=r"cannot be reached or broke off .*refused.*; tried 3 times"):
        complete(engine_for(server, retries=2), ["a"], 5)


@pytest.mark.parametrize("header", ["0.4", formatdate(time.time() + 86400, usegmt=True)], ids=["seconds", "date"])
def test_retry_after_is_respected_or_too_long(serve, header):
    server = serve(fails(429, b"{}", [("Retry-After", header)]), echo)
    start = time.monotonic()
    if header == "0.4":
        assert complete(engine_for(server), ["a"], 5) == ["a"]
        assert time.monotonic() - start >= 0.4
    else:
        with pytest.raises(InvalidInput, match=r"asks to be left alone for 8[56]\d\d\d s"):
            complete(engine_for(server), ["a"], 5)


def test_retry_after_holds_everybody_back(serve):
    times = []

    def noted(handler, body):
        times.append(time.monotonic())
        time.sleep(0.1)
        echo(handler, body)

    server = serve(fails(503, b"{}", [("Retry-After", "0.5")]), noted)
    start = time.monotonic()
    assert complete(engine_for(server, requests_in_flight=2), list("abcd"), 5) == list("abcd")
    assert len(times) == 4
    assert sum(t - start < 0.5 for t in times) <= 1  # only the one that was in flight already


def test_no_more_requests_a_minute_than_allowed(serve):
    start = time.monotonic()
    complete(engine_for(serve(echo), requests_per_minute=600), list("abcdef"), 5)
    assert 0.5 <= time.monotonic() - start < 10


def test_as_many_requests_in_flight_as_allowed_and_no_more(serve):
    lock, now, most, three = threading.Lock(), [0], [0], threading.Barrier(3)

    def counted(handler, body):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        three.wait(20)  # breaks unless three come together
        with lock:
            now[0] -= 1
        echo(handler, body)

    assert complete(engine_for(serve(counted), requests_in_flight=3), list("abcdefghi"), 5) == list("abcdefghi")
    assert most[0] == 3


def test_answers_in_flight_are_not_lost(serve, monkeypatch):
    all_begun, failed = threading.Barrier(4), threading.Event()
    complain = HttpEngine._as_invalid_input
    monkeypatch.setattr(HttpEngine, "_as_invalid_input", lambda *seen: (failed.set(), complain(*seen))[1])

    def one_fails(handler, body):
        all_begun.wait(60)
        if body["prompt"] == "bad":
            send(handler, 400, {"detail": "bad"})
        else:
            failed.wait(60)
            time.sleep(0.4)  # until nothing new is begun
            echo(handler, body)

    server = serve(one_fails)
    answered = []

    def ask():
        for answer in engine_for(server, timeout=60.0).answers(["a", "b", "bad", "c", *"defghij"], 5):
            answered.append(answer.number)

    with pytest.raises(InvalidInput, match="answered 400"):
        ask()
    assert sorted(answered) == [0, 1, 3]
    assert len(server.seen) == 4  # nothing was begun after the failure


def test_an_endpoint_with_nothing_to_say_is_noticed(serve):
    server = serve(says(" \n"))
    with pytest.raises(InvalidInput, match=r"gave 20 empty texts and no other: llm\.chat must be"):
        complete(engine_for(server), ["a"] * 100, 5)
    assert len(server.seen) < 60
    mostly = serve(says("something"), says(""))
    assert complete(engine_for(mostly, requests_in_flight=1), ["a"] * 50, 5).count("") == 49


def test_a_slash_at_the_end_does_not_matter(serve):
    server = serve(echo)
    engine = engine_for(server.url + "/")
    complete(engine, ["a"], 5)
    assert server.seen[0][0] == "/v1/completions"
    assert engine.description == {"engine": "http", "url": server.url, "model": "small", "chat": False}
