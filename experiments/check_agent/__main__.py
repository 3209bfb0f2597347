"""``python -m experiments.check_agent``."""

from experiments.command import run_command

run_command("check-agent")
