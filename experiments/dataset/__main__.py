"""``python -m experiments.dataset``."""

from experiments.command import run_command

run_command("dataset")
