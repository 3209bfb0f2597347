"""Base of planners that read hidden truth: the experiment gives them the world."""

from agents.base import Agent
from agents.hierarchical import HierarchicalAgent
from agents.planner import Planner
from agents.wall import Walled
from sim.errors import InvalidInput
from sim.hidden.world import World


class PrivilegedPlanner(Planner):
    """A planner that reads latent state, which no recommender may.

    The experiment hands it the world (``reveal``); it finds no way there by itself, and refuses to plan
    until then. It learns nothing, and nothing of it is saved, the world least of all.
    """

    name: str
    """The arm's, for messages."""

    _world: World | None = None

    def reveal(self, world: World) -> None:
        """Let the planner see the world; it reads the state of the day on which it is asked."""
        self._world = world

    @property
    def world(self) -> World:
        """What was revealed.

        Raises:
            InvalidInput: nothing was.
        """
        if self._world is None:
            expected = "must be shown the world before it plans; call reveal(world)"
            raise InvalidInput(f"agent {self.name}", None, expected)
        return self._world


def reveal(agent: Agent | None, world: World) -> None:
    """Show the world to an agent whose planner is one of ours that may see it; nothing happens to any other."""
    inner = agent.inner if isinstance(agent, Walled) else agent
    if isinstance(inner, HierarchicalAgent) and isinstance(inner.planner, PrivilegedPlanner):
        inner.planner.reveal(world)
