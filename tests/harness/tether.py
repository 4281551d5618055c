"""`python tether.py SIGNAL PARENT USER COMMAND…`: become COMMAND, as USER, and get SIGNAL when PARENT dies.

Run as a script of its own, because code between fork and exec (`preexec_fn`) may deadlock under threads and
warns since Python 3.12. It imports nothing but the standard library and adds some 20 ms to a start. Where the
system has no such signal (not Linux), the command simply runs.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Set up what the arguments say and exec; exit code 1 when the parent is gone already."""
    signal_number, parent, user, *command = sys.argv[1:]
    if user:
        account = pwd.getpwnam(user)
        os.initgroups(user, account.pw_gid)
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
    if sys.platform == "linux":  # after setuid, which would clear it
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(int(signal_number)), 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - becoming another program is the purpose


if __name__ == "__main__":
    main()
