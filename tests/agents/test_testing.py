"""The tests that authors inherit: ours pass them, and each fault fails the test that is meant to find it."""

import sys

import numpy as np
import pytest

from agents import check_contract
from agents.base import Recommendations
from agents.check_contract import agent_config, planner_config
from agents.check_days import lived
from agents.novel_choice import choose_novel
from agents.planners import RandomNovelPlanner
from agents.random import RandomAgent, uniform_slate
from sim.errors import InvalidInput
from sim.log import OWN, PRIOR, PRODUCTION
from tests.agents.planted import STREAM
from tests.agents.test_check import (
    BadlyTrained,
    BatchBound,
    DeadAfterUpdate,
    Forgetful,
    GlobalNumpy,
    Moody,
    MutatingByTorch,
    NoFit,
    NoSlates,
    Overconfident,
    ReachingInSecret,
    Repeats,
    Scribbler,
)

OWN_SOURCE = """
import pytest
from agents.testing import AgentContractTests, PlannerContractTests

"""


class ShowsExcluded(RandomAgent):
    def recommend(self, requests, rng):
        good = super().recommend(requests, rng)
        items = good.items.copy()
        alive = self.platform.catalog.alive(self.platform.day)
        for row, excluded in enumerate(requests.exclude):
            seen = excluded[(excluded >= 0) & alive[excluded]]
            items[row, 0] = seen[0] if len(seen) else items[row, 0]
        return Recommendations(items, good.propensity)


class Unlikely(RandomAgent):
    def recommend(self, requests, rng):
        good = super().recommend(requests, rng)
        return Recommendations(good.items, np.full(good.items.shape, np.nan, np.float32))


class CountsDays(RandomAgent):
    def fit(self, platform, log, rng):
        super().fit(platform, log, rng)
        np.bincount(log.day)


def test_an_agent_that_takes_days_for_indices_fails():
    log = check_contract.contract_platform().log
    assert set(log.source[log.day < 0].tolist()) == {PRIOR}
    assert set(log.source[log.day == log.day.max()].tolist()) == {PRODUCTION, OWN}
    assert (np.isnan(log.propensity) == (log.source != PRODUCTION)).all()
    config = {"_target_": f"{__name__}.CountsDays", "_partial_": True}
    finding = check_contract.Examined(lambda: config, "counts_days", 2).findings["trains"]
    assert finding.verdict == "fail"
    assert "negative" in finding.message


class PlansNowhere(RandomAgent):
    def recommend(self, requests, rng):
        good = super().recommend(requests, rng)
        return Recommendations(good.items, good.propensity, np.full(good.items.shape, -1))


class NarrowPlanner(RandomNovelPlanner):
    def propose(self, requests, rng):
        return super().propose(requests, rng)[:, :-1]


class FloatPlanner(RandomNovelPlanner):
    def propose(self, requests, rng):
        return super().propose(requests, rng) + np.nan


class SilentPlanner(RandomNovelPlanner):
    """Leaves slots open where the user has no novel cluster left."""

    def propose(self, requests, rng):
        plan = super().propose(requests, rng)
        consumed = self.platform.consumed_clusters(requests.user)
        return np.where(np.take_along_axis(consumed, plan, axis=1), -1, plan)


class StubbornPlanner(RandomNovelPlanner):
    def propose(self, requests, rng):
        return np.repeat(super().propose(requests, rng)[:, :1], requests.num_slots, axis=1)


class FamiliarPlanner(RandomNovelPlanner):
    """Plans any clusters."""

    def propose(self, requests, rng):
        num_clusters = self.platform.clusters.num_clusters
        keys = rng.uniform(requests.user, num_clusters)
        return np.argsort(keys, axis=1)[:, : requests.num_slots].astype(np.int32)


class KeepsLiveItems(RandomAgent):
    """Recommends what was alive when it was fitted."""

    def fit(self, platform, log, rng):
        super().fit(platform, log, rng)
        self.live = platform.live_items()

    def load(self, folder, platform):
        self.fit(platform, None, None)

    def recommend(self, requests, rng):
        return uniform_slate(self.live, requests, rng)

    def probability(self, requests, items, above, rng):
        return None


class CountsItems:
    """Counts items in an array that does not grow with the catalog."""

    def fit(self, platform, log, rng):
        super().fit(platform, log, rng)
        self.count = np.zeros(platform.catalog.num_items)

    def load(self, folder, platform):
        self.fit(platform, None, None)

    def update(self, log, rng):
        np.add.at(self.count, log.item, 1)


class KeepsItsSize(CountsItems, RandomAgent):
    pass


class KeepsConsumed(RandomNovelPlanner):
    """Plans clusters that were new to the user when it was fitted."""

    def fit(self, platform, log, rng):
        super().fit(platform, log, rng)
        self.consumed = platform.consumed_clusters(np.arange(platform.num_users))

    def load(self, folder, platform):
        self.fit(platform, None, None)

    def propose(self, requests, rng):
        nothing = np.empty((len(requests), 0), np.int32)
        return choose_novel(nothing, self.consumed[requests.user], requests.num_slots, rng, requests.user)


class KeepsItsSizePlanner(CountsItems, RandomNovelPlanner):
    pass


class SomeUsersPlanner(RandomNovelPlanner):
    """Knows users 0 to 49 only."""

    def propose(self, requests, rng):
        plan = super().propose(requests, rng)
        plan[requests.user >= 50] = np.arange(requests.num_slots)
        return plan


class WritingPlanner(RandomNovelPlanner):
    def propose(self, requests, rng):
        requests.exclude[:] = -1
        return super().propose(requests, rng)


class FailingAgent(RandomAgent):
    def recommend(self, requests, rng):
        raise KeyError("no table")


class FailingPlanner(RandomNovelPlanner):
    def propose(self, requests, rng):
        raise KeyError("no table")


class ExitingPlanner(RandomNovelPlanner):
    def propose(self, requests, rng):
        raise SystemExit(3)


class UnfitPlanner(RandomNovelPlanner):
    def fit(self, platform, log, rng):
        raise OSError("no weights")


class BatchPlanner(RandomNovelPlanner):
    def propose(self, requests, rng):
        return super().propose(requests, rng.at(len(requests)))


class MoodyPlanner(RandomNovelPlanner):
    calls = 0

    def propose(self, requests, rng):
        MoodyPlanner.calls += 1
        return super().propose(requests, rng.at(MoodyPlanner.calls))


class ForgetfulPlanner(RandomNovelPlanner):
    days = 0

    def fit(self, platform, log, rng):
        super().fit(platform, log, rng)
        self.days = 1

    def propose(self, requests, rng):
        return super().propose(requests, rng.at(self.days))


class UnteachablePlanner(RandomNovelPlanner):
    days = 0

    def update(self, log, rng):
        self.days += 1

    def propose(self, requests, rng):
        return super().propose(requests, rng.at(self.days))


AGENTS = {
    NoFit: "test_it_is_made_and_fitted",
    NoSlates: "test_slates_have_the_right_shape_and_type",
    DeadAfterUpdate: "test_items_exist_and_are_alive",
    Repeats: "test_no_item_is_twice_on_a_slate",
    ShowsExcluded: "test_excluded_items_are_never_recommended",
    Unlikely: "test_propensities_are_probabilities",
    PlansNowhere: "test_planned_clusters_exist",
    MutatingByTorch: "test_inputs_are_left_unchanged",
    GlobalNumpy: "test_global_random_generators_are_not_used",
    Moody: "test_the_same_seed_gives_the_same_slates",
    BatchBound: "test_slates_do_not_depend_on_the_batch",
    Forgetful: "test_a_loaded_agent_gives_the_same_slates",
    BadlyTrained: "test_a_loaded_agent_learns_the_same",
    Scribbler: "test_a_loaded_agent_learns_the_same",
    Overconfident: "test_propensities_are_the_frequencies_of_what_is_drawn",
    ReachingInSecret: "test_nothing_hidden_is_reached_for",
    FailingAgent: "test_slates_are_valid",
    KeepsLiveItems: "test_items_exist_and_are_alive",
    KeepsItsSize: "test_it_goes_on_as_days_pass",
}
PLANNERS = {
    UnfitPlanner: "test_it_is_made_and_fitted",
    FailingPlanner: "test_plans_are_valid",
    ExitingPlanner: "test_plans_are_valid",
    WritingPlanner: "test_inputs_are_left_unchanged",
    KeepsConsumed: "test_novel_clusters_come_first",
    SomeUsersPlanner: "test_novel_clusters_come_first",
    KeepsItsSizePlanner: "test_it_goes_on_as_days_pass",
    NarrowPlanner: "test_plans_have_the_right_shape_and_type",
    FloatPlanner: "test_plans_have_the_right_shape_and_type",
    SilentPlanner: "test_planned_clusters_exist",
    StubbornPlanner: "test_a_user_gets_different_clusters",
    FamiliarPlanner: "test_novel_clusters_come_first",
    BatchPlanner: "test_plans_do_not_depend_on_the_batch",
    MoodyPlanner: "test_the_same_seed_gives_the_same_plans",
    ForgetfulPlanner: "test_a_loaded_planner_gives_the_same_plans",
    UnteachablePlanner: "test_a_loaded_planner_learns_the_same",
}
WHOLE = {"test_slates_are_valid", "test_plans_are_valid", "test_it_goes_on_as_days_pass"}
"""Also fail where a single rule for slates or plans is broken."""


class Outcomes:
    """A plugin of an inner run of pytest: what came out of each test."""

    def __init__(self):
        self.of = {}

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.outcome != "passed":
            _, name, test = report.nodeid.split("::")
            text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr or "")
            self.of.setdefault(name, {})[test] = (report.outcome, text)


def run(folder, source):
    """Run a file of tests within this process; class -> test -> (outcome, message)."""
    path = folder / "test_inherited.py"
    path.write_text(OWN_SOURCE + source)
    outcomes = Outcomes()
    pytest.main(
        [
            "-q",
            "--capture=no",
            "-W",
            "error::pytest.PytestDeprecationWarning",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            "-c",
            str(folder / "pytest.ini"),
            str(path),
        ],
        plugins=[outcomes],
    )
    sys.modules.pop("test_inherited", None)
    return outcomes.of


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """All faulty agents and planners, and some that keep the contract, in one inner run."""
    folder = tmp_path_factory.mktemp("inherited")
    (folder / "pytest.ini").write_text("[pytest]\n")
    lines = []
    for kind, base, faulty in (("agent", "AgentContractTests", AGENTS), ("planner", "PlannerContractTests", PLANNERS)):
        for fault in faulty:
            lines.append(f"class Test{fault.__name__}({base}):\n    {kind} = '{fault.__module__}:{fault.__name__}'\n")
            if kind == "agent":
                lines.append("    num_draws = 50\n")
    lines.append("class TestCounts(PlannerContractTests):\n    planner = 'counts'\n    settings = {'smoothing': 3.0}\n")
    lines.append("class TestHcb(PlannerContractTests):\n    planner = 'hcb'\n    plans_novel = False\n")
    lines.append("class TestPopular(AgentContractTests):\n    agent = 'popular'\n    num_draws = 200\n")
    lines.append("class TestNobody(PlannerContractTests):\n    planner = 'nobody'\n")
    return run(folder, "".join(lines))


@pytest.mark.slow  # sixteen seconds for all that looks at this inner run
@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
@pytest.mark.parametrize("fault", [*AGENTS, *PLANNERS], ids=lambda fault: fault.__name__)
def test_a_fault_fails_the_test_that_is_meant_to_find_it_and_no_other(fault, outcomes):
    expected = (AGENTS | PLANNERS)[fault]
    found = outcomes[f"Test{fault.__name__}"]
    failed = {test for test, (outcome, _) in found.items() if outcome == "failed"}
    assert expected in failed
    assert failed - WHOLE - {"test_its_source_imports_nothing_hidden"} <= {expected, SAME_CAUSE.get(fault, expected)}
    assert "\n" not in found[expected][1].strip()


SAME_CAUSE = {
    DeadAfterUpdate: "test_no_item_is_twice_on_a_slate",
    SilentPlanner: "test_a_user_gets_different_clusters",
}
"""Faults that another test must find too: the dead item is everywhere; -1 stands twice."""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["TestCounts", "TestHcb", "TestPopular"])
def test_ours_pass(name, outcomes):
    other = {test: outcome for test, outcome in outcomes[name].items() if outcome[0] != "passed"}
    assert list(other) == (["test_novel_clusters_come_first"] if name == "TestHcb" else [])  # it promises no novelty
    assert len(outcomes[name]) in (15, 18)


@pytest.mark.slow
def test_messages_say_how_to_mend_it(outcomes):
    message = outcomes["TestFamiliarPlanner"]["test_novel_clusters_come_first"][1]
    assert message.startswith("planner FamiliarPlanner=[")
    assert "choose_novel" in message
    assert "no table" in outcomes["TestFailingPlanner"]["test_plans_are_valid"][1]
    message = outcomes["TestKeepsLiveItems"]["test_items_exist_and_are_alive"][1]
    assert "this item is not alive today; use platform.live_items(), at every request" in message
    message = outcomes["TestKeepsItsSize"]["test_it_goes_on_as_days_pass"][1]
    assert " is out of bounds for axis 0 with size 240': update must not raise an error" in message
    assert message.endswith(
        "on day 3: since fit 24 items were uploaded, 24 expired, and users consumed from more clusters"
    )
    skipped = outcomes["TestNoFit"]["test_slates_are_valid"]
    assert skipped[0] == "skipped"
    assert "cannot tell before trains is mended" in skipped[1]


@pytest.mark.slow
def test_a_name_nobody_has_fails_one_test_in_one_line(outcomes):
    actual = outcomes["TestNobody"]
    assert [test for test, (outcome, _) in actual.items() if outcome == "failed"] == ["test_it_is_made_and_fitted"]
    assert {outcome for outcome, _ in actual.values()} == {"failed", "skipped"}
    assert actual["test_it_is_made_and_fitted"][1].strip() == (
        "agent='nobody': must be the name of an installed agent, or module:Class; install yours: pip install -e ."
    )


def test_a_name_nobody_has_is_one_line():
    with pytest.raises(InvalidInput, match="agent='nobody': must be the name of an installed agent, or module:Class"):
        agent_config("nobody", {})
    with pytest.raises(InvalidInput, match="planner='popular': must be an agent whose config has a planner"):
        planner_config("popular", {})


def test_settings_reach_the_config():
    config = planner_config("counts", {"smoothing": 3.0})
    assert config["planner"]["smoothing"] == 3.0
    assert agent_config("counts", {"planner.smoothing": 4.0})["planner"]["smoothing"] == 4.0
    assert agent_config("a.b:C", {"x": 1}) == {"_target_": "a.b.C", "x": 1}


class Noting(RandomAgent):
    def update(self, log, rng):
        self.log = log


def test_days_pass_on_the_platform():
    small = check_contract.contract_platform()
    platform, agent = small.platform, Noting()
    agent.fit(platform, small.log, STREAM)
    before, alive = platform.consumed_clusters(np.arange(60)), platform.live_items()
    shown = np.empty((60, 5))
    for number, (requests, slates) in enumerate(lived(small, agent, Noting(), STREAM, 3)):
        assert len(requests) == 60
        assert requests.day == platform.day == 3 + number // 2
        assert requests.num_slots == slates.items.shape[1] == 5
        assert platform.catalog.num_items == 240 + 24 * (1 + number // 2)
        if number % 2:  # the last consumed is the second of the agent's items in the request before
            assert (requests.items[:, -1] == shown[:, 1]).all()
            assert (requests.positive[:, -1] == (requests.user % 2 == 0)).all()
        shown = slates.items
    after = platform.consumed_clusters(np.arange(60))
    assert (after >= before).all()
    assert (after.sum(axis=1) > before.sum(axis=1))[2:].all()
    assert set(platform.live_items()) == set(alive[alive >= 96]) | set(range(240, 312))
    assert len(agent.log) == 60 * 2 * 6
    assert (agent.log.day == 5).all()
    assert set(agent.log.item[agent.log.source == PRODUCTION]) == set(range(288, 312))  # the last day's uploads
    assert (agent.log.consumed.sum(), agent.log.positive.sum()) == (60 * 2 * 3, 30 * 2 * 3)


def test_the_platform_leaves_novel_clusters_to_most_users_and_none_to_one():
    small = check_contract.contract_platform()
    left = (~small.platform.consumed_clusters(np.arange(24))).sum(axis=1)
    assert left[:2].tolist() == [0, 2]
    assert (left[2:] >= 8).all()
