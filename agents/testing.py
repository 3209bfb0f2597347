"""Tests of the contract, which the author of an agent or a planner inherits.

    from agents.testing import AgentContractTests


    class TestMine(AgentContractTests):
        agent = "mine"

pytest then runs every test below on that agent. The checks are those of ``interestlab check-agent``
(``agents.check``); here they run on a small platform without a simulator: 60 users, 240 items, 24 clusters. Then three
days pass (``agents.check_days``). All checks run once a class, before its first test; each test reports one point of
the contract.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest

from agents import check_slates, planner
from agents.check_contract import Examined, agent_config, check_novel, planner_config
from agents.check_propensity import NUM_DRAWS


class AgentContractTests:
    """The contract of ``agents.base.Agent``: one test for each point. Inherit it and set ``agent``.

    Attributes:
        agent: the name of an installed agent or of one of ours, or ``module:Class``.
        settings: entries of the agent's config that differ, or the class's arguments; ``{"planner.alpha": 0.3}``
            sets an entry within another.
        num_draws: how often the same requests are repeated to compare propensities with frequencies.
    """

    agent: ClassVar[str]
    settings: ClassVar[Mapping[str, Any]] = {}
    num_draws: ClassVar[int] = NUM_DRAWS

    @pytest.fixture
    def examined(self) -> Examined:
        """All checks of the agent, done once."""
        return _once(type(self), lambda: agent_config(self.agent, self.settings), self.agent, self.num_draws)

    def test_its_source_imports_nothing_hidden(self, examined: Examined) -> None:
        """The code imports only what recommenders may import."""
        examined.expect("source")

    def test_it_is_made_and_fitted(self, examined: Examined) -> None:
        """The constructor, ``bind`` and ``fit`` run."""
        examined.expect("trains")

    def test_slates_have_the_right_shape_and_type(self, examined: Examined) -> None:
        """``recommend`` returns ``Recommendations`` with (B, S) integer items."""
        examined.expect_rule(check_slates.check_form)

    def test_items_exist_and_are_alive(self, examined: Examined) -> None:
        """Items are among ``platform.live_items()``."""
        examined.expect_rule(check_slates.check_alive)

    def test_no_item_is_twice_on_a_slate(self, examined: Examined) -> None:
        """A slate's items differ."""
        examined.expect_rule(check_slates.check_distinct)

    def test_excluded_items_are_never_recommended(self, examined: Examined) -> None:
        """No item is in ``requests.exclude``."""
        examined.expect_rule(check_slates.check_excluded)

    def test_propensities_are_probabilities(self, examined: Examined) -> None:
        """Propensities are (B, S) numbers in (0, 1], or None."""
        examined.expect_rule(check_slates.check_propensity)

    def test_planned_clusters_exist(self, examined: Examined) -> None:
        """Planned clusters are (B, S) level-2 clusters, or None."""
        examined.expect_rule(check_slates.check_cluster)

    def test_slates_are_valid(self, examined: Examined) -> None:
        """``recommend`` and ``update`` run, and all rules for slates hold before and after an update."""
        examined.expect("slates")

    def test_it_goes_on_as_days_pass(self, examined: Examined) -> None:
        """The same for all users on later days: items are uploaded and expire, and users consume more."""
        examined.expect("days")

    def test_inputs_are_left_unchanged(self, examined: Examined) -> None:
        """Requests, log and catalog are not written to."""
        examined.expect("inputs")

    def test_global_random_generators_are_not_used(self, examined: Examined) -> None:
        """``random``, ``numpy.random`` and torch's global generator keep their state."""
        examined.expect("generators")

    def test_the_same_seed_gives_the_same_slates(self, examined: Examined) -> None:
        """Asked again, and trained again, with the same stream."""
        examined.expect("seed")

    def test_slates_do_not_depend_on_the_batch(self, examined: Examined) -> None:
        """Users get the same slates alone, by sevens, and all at once."""
        examined.expect("batch")

    def test_a_loaded_agent_gives_the_same_slates(self, examined: Examined) -> None:
        """``save`` and ``load`` keep all that ``recommend`` uses."""
        examined.expect("storage")

    def test_a_loaded_agent_learns_the_same(self, examined: Examined) -> None:
        """``save`` and ``load`` keep all that ``update`` uses and teaches."""
        examined.expect("learning")

    def test_propensities_are_the_frequencies_of_what_is_drawn(self, examined: Examined) -> None:
        """Chi-square test over repeated draws; skipped if the agent gives no propensities."""
        examined.expect("propensities")

    def test_nothing_hidden_is_reached_for(self, examined: Examined) -> None:
        """While it runs, the agent asks for nothing behind the wall."""
        examined.expect("wall")


class PlannerContractTests:
    """The contract of ``agents.planner.Planner``: one test for each point. Inherit it and set ``planner``.

    The planner runs in a ``HierarchicalAgent`` whose ranker draws items of the planned clusters at random.

    Attributes:
        planner: the name of an installed agent whose config has a ``planner``, or ``module:Class``.
        settings: entries of the planner's config that differ, or the class's arguments.
        plans_novel: whether the planner promises novel clusters wherever the user has any left.
    """

    planner: ClassVar[str]
    settings: ClassVar[Mapping[str, Any]] = {}
    plans_novel: ClassVar[bool] = True

    @pytest.fixture
    def examined(self) -> Examined:
        """All checks of the planner, done once."""
        return _once(type(self), lambda: planner_config(self.planner, self.settings), self.planner, num_draws=2)

    def test_its_source_imports_nothing_hidden(self, examined: Examined) -> None:
        """The code imports only what recommenders may import."""
        examined.expect("source")

    def test_it_is_made_and_fitted(self, examined: Examined) -> None:
        """The constructor and ``fit`` run."""
        examined.expect("trains")

    def test_plans_have_the_right_shape_and_type(self, examined: Examined) -> None:
        """``propose`` returns a (B, S) integer array."""
        examined.expect_rule(planner.check_form)

    def test_planned_clusters_exist(self, examined: Examined) -> None:
        """Clusters are in 0 .. M - 1; no slot is left at -1."""
        examined.expect_rule(planner.check_range)

    def test_a_user_gets_different_clusters(self, examined: Examined) -> None:
        """A user's clusters differ."""
        examined.expect_rule(planner.check_distinct)

    def test_novel_clusters_come_first(self, examined: Examined) -> None:
        """Clusters are novel wherever the user has any left, on later days too; skipped if ``plans_novel`` is False."""
        if not self.plans_novel:
            pytest.skip("plans_novel is False: the planner may plan any cluster")
        examined.expect_rule(check_novel)

    def test_plans_are_valid(self, examined: Examined) -> None:
        """``propose`` and ``update`` run, and plans are valid before and after an update."""
        examined.expect("slates")

    def test_it_goes_on_as_days_pass(self, examined: Examined) -> None:
        """The same for all users on later days: items are uploaded and expire, and users consume more."""
        examined.expect("days")

    def test_inputs_are_left_unchanged(self, examined: Examined) -> None:
        """Requests, log and catalog are not written to."""
        examined.expect("inputs")

    def test_global_random_generators_are_not_used(self, examined: Examined) -> None:
        """``random``, ``numpy.random`` and torch's global generator keep their state."""
        examined.expect("generators")

    def test_the_same_seed_gives_the_same_plans(self, examined: Examined) -> None:
        """Asked again, and trained again, with the same stream."""
        examined.expect("seed")

    def test_plans_do_not_depend_on_the_batch(self, examined: Examined) -> None:
        """Users get the same plans alone, by sevens, and all at once."""
        examined.expect("batch")

    def test_a_loaded_planner_gives_the_same_plans(self, examined: Examined) -> None:
        """``save`` and ``load`` keep all that ``propose`` uses."""
        examined.expect("storage")

    def test_a_loaded_planner_learns_the_same(self, examined: Examined) -> None:
        """``save`` and ``load`` keep all that ``update`` uses and teaches."""
        examined.expect("learning")

    def test_nothing_hidden_is_reached_for(self, examined: Examined) -> None:
        """While it runs, the planner asks for nothing behind the wall."""
        examined.expect("wall")


_EXAMINED: dict[type, Examined] = {}
"""By class of tests. From pytest 10 on, no class-scoped fixture may be a method that is given an instance."""


def _once(tests: type, config: Callable[[], dict[str, Any]], name: str, num_draws: int) -> Examined:
    if tests not in _EXAMINED:
        _EXAMINED[tests] = Examined(config, name, num_draws)
    return _EXAMINED[tests]
