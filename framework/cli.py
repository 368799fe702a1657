"""The command ``anomaly-ov``: arguments in, an exit status out. A user's mistake is one line and status 2."""

from __future__ import annotations

import errno
import os
import re
import sys

from framework import provenance
from framework.errors import UserError
from framework.parsing import parsed
from framework.verbs import VERBS

INTERRUPTED = 130  # what shells expect after Ctrl-C
DISK = (  # faults of the place written to, not of the program
    *(errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EIO),
    *(errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG),
)


def main(argv: list[str] | None = None) -> int:
    """Parse and run.

    Returns:
        0; 1 where a check found problems or an expectation was missed; 2 for a mistake, told in one line; 130 after
        Ctrl-C.
    """
    try:
        given = sys.argv[1:] if argv is None else argv
        arguments = parsed(VERBS, given)
        with provenance.typed(given):
            return int(arguments.run(arguments) or 0)
    except UserError as error:
        print(f"anomaly-ov: {one_line(error)}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in DISK:
            raise
        where = error.filename or "while writing"
        print(f"anomaly-ov: {where}: {error.strerror}. Mend that; nothing half-written counts.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("anomaly-ov: interrupted; run the same command again to go on.", file=sys.stderr)
        return INTERRUPTED


def one_line(error: UserError) -> str:
    """The user's line, also where a worker process wrapped it in its traceback."""
    last = str(error).strip().splitlines()[-1]
    return re.sub(r"^framework\.errors\.\w+: ", "", last)


if __name__ == "__main__":
    sys.exit(main())
