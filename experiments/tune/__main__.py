"""``python -m experiments.tune``."""

from experiments.command import run_command

run_command("tune")
