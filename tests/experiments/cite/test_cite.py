import re

import pytest

from experiments.cite.command import OURS, citation, entries, main, papers
from experiments.plugins import choices
from sim.errors import InvalidInput
from tests.command_line import interestlab


def test_every_agent_says_what_to_cite_and_every_entry_is_used():
    assert set(papers()) == set(choices("agent"))
    used = {OURS, *(key for keys in papers().values() for key in keys)}
    assert used == set(entries())


def test_an_agents_papers_follow_the_testbed(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["interestlab cite", "agent=hcb"])
    main()
    actual = capsys.readouterr().out
    assert re.findall(r"^@\w+\{(\w+),$", actual, re.MULTILINE) == ["interestlab", "song2022show", "li2010contextual"]
    assert actual.count("{") == actual.count("}")


def test_entries_are_whole():
    for key, entry in entries().items():
        assert entry.count("{") == entry.count("}"), key
        assert {"title", "author", "year"} <= set(re.findall(r"^  (\w+) = \{.*\},$", entry, re.MULTILINE)), key


def test_an_unknown_agent_is_one_line():
    with pytest.raises(InvalidInput, match=r"agent='nobody': unknown agent; known are .*two_tower"):
        citation("nobody")
    done = interestlab("cite", "agent=nobody")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
