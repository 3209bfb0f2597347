"""``python -m experiments.portrait``."""

from experiments.command import run_command

run_command("portrait")
