"""What every command imports and compiles sooner or later, for the process that tests fork commands from."""

import gc
from dataclasses import replace
from importlib import import_module

from hydra.core.plugins import Plugins

from experiments.live.reference_life import simulate_policy, warmed_up
from experiments.live.reference_policies import Greedy
from experiments.main import COMMANDS
from sim.hidden.tree import load_tree
from sim.hidden.world import World
from sim.random import RandomStream
from tests.sim.people import TINY

# Before the other imports: workers of pytest-xdist compile the same if they need it before it is in the cache.
_stream = RandomStream(0, "preloaded")
simulate_policy(warmed_up(World(replace(TINY, num_users=20), 0), _stream), Greedy, 1, _stream)
for _command in COMMANDS:
    import_module(f"experiments.{_command.replace('-', '_')}.command")
import_module("transformers.models.auto.modeling_auto")
Plugins.instance()  # imports all of Hydra's plugins, among them launchers and sweepers
load_tree(24, "", 1.0)  # reads the files of every world; kept for whoever asks with the same arguments, as a world does
gc.collect()
gc.freeze()  # no command has to look through all this for garbage, or to copy its pages
