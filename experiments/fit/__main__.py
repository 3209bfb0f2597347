"""``python -m experiments.fit``."""

from experiments.command import run_command

run_command("fit")
