"""``interestlab COMMAND [overrides]``: the same as ``python -m experiments.COMMAND``."""

import sys

from experiments.command import COMMANDS, run_command


def main() -> None:
    """Dispatch to a command; the console script ``interestlab``."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: interestlab COMMAND [overrides]; interestlab COMMAND --help\n\ncommands:")
        for name, command in COMMANDS.items():
            print(f"  {name:12} {command.title}")
        return
    name = arguments[0]
    if name not in COMMANDS:
        print(f"interestlab: unknown command {name!r}; known are {', '.join(COMMANDS)}", file=sys.stderr)
        raise SystemExit(2)
    sys.argv = [f"interestlab {name}", *arguments[1:]]
    run_command(name)


if __name__ == "__main__":
    main()
