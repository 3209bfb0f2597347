"""What every command imports sooner or later, for the process that tests fork commands from."""

import gc
from importlib import import_module

from hydra.core.plugins import Plugins
from numba import njit

from experiments.main import COMMANDS
from sim.hidden.tree import load_tree

for _command in COMMANDS:
    import_module(f"experiments.{_command.replace('-', '_')}.command")
import_module("transformers.models.auto.modeling_auto")
Plugins.instance()  # imports all of Hydra's plugins, among them launchers and sweepers
load_tree(24, "", 1.0)  # reads the files of every world; kept for whoever asks with the same arguments, as a world does
njit(lambda: None)()  # readies numba, which takes as long for functions from its cache
gc.collect()
gc.freeze()  # no command has to look through all this for garbage, or to copy its pages
