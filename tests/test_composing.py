"""What is set in a copy is what Hydra composes."""

import pytest
from hydra.errors import HydraException
from omegaconf import open_dict

import experiments.paper.command  # noqa: F401  the resolver that its config takes
from tests.composing import by_hydra, compose

CASES = [
    ("compare", []),
    ("compare", ["world=tiny", "world.num_users=7", "llm=tiny", "experiment.arms=[control,llm]", "+agents.llm.x=1"]),
    ("compare", ["agent@production=popular", "+agent@agents.two=popular", "~agents.hcb", "agents.two.exploration=0.3"]),
    ("offline", ["~offline.top_k", "++offline.colour=blue", "seed=3"]),
    ("paper", ["world=tiny", "paper.variants={main:{}}", "agents={}"]),
    ("compare", ["tracker=wandb", "tracker.mode=loud", "hydra.run.dir=x"]),
    (None, ["+agent=llm_best_of_n", "agent.planner.table=here"]),
]


@pytest.mark.slow
@pytest.mark.parametrize(("command", "overrides"), CASES)
def test_it_is_what_hydra_composes(command, overrides):
    known = by_hydra(command, overrides)
    for _ in range(2):  # the second time from what the first has left
        actual = compose(command, overrides)
        assert actual == known
        assert actual._metadata.flags == known._metadata.flags
        with open_dict(actual):
            actual.clear()  # changes no later one


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [["nothing=3"], ["world=nowhere"], ["~seeds"], ["+seed=3"], ["seed=1,2"]])
def test_what_hydra_refuses_is_refused(overrides):
    for composing in (by_hydra, compose):
        with pytest.raises(HydraException):
            composing("compare", overrides)
