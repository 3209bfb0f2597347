"""Worker processes that end with who started them."""

import os
from multiprocessing import parent_process
from threading import Thread


def end_with_parent() -> None:
    """Initialiser of a worker: end it when its parent has ended, however that was.

    A pool's workers outlive a parent that is killed: they would finish what they were at, hours of it, for nobody.
    """
    parent = parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)  # not sys.exit, which would end this thread alone

    Thread(target=wait, daemon=True).start()
