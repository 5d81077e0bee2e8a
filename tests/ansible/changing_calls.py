"""Prints the calls in a trace of strace that change a file outside of temporary files.

Ends with status 1 if there are any. The temporary files are those of Ansible (`/root/.ansible/tmp`
and what its names are), pipes and `/dev/null`; jailctl queries sshd in a private mount namespace.
"""

import re
import sys

CHANGING = re.compile(
    r"(unlink|unlinkat|rename|renameat|renameat2|mkdir|mkdirat|rmdir|chmod|fchmodat|chown|lchown"
    r"|fchownat|link|linkat|symlink|symlinkat|mknod|mknodat|truncate|creat|utime|utimensat"
    r"|setxattr|lsetxattr)\("
)
OPENED = re.compile(r"(open|openat|openat2)\(.*O_(WRONLY|RDWR|CREAT|TRUNC)")
RESULT = re.compile(r"= -1 E[A-Z]+")
TEMPORARY = re.compile(
    r'["<](/root/\.ansible(/[^"]*)?|/dev/null|/dev/tty|/dev/log|/proc/self/[^"]*|/proc/[0-9]+/[^"]*'
    r'|/tmp/ansible[^"]*|/tmp/[a-z0-9_]{8}|/var/tmp/[a-z0-9_]{8}|/usr/tmp/[a-z0-9_]{8})[">]'
)

found = []
count = 0
with open(sys.argv[1], errors="replace") as trace:
    for line in trace:
        count += 1
        call = line.split(None, 1)[-1]
        if RESULT.search(call) or not (CHANGING.match(call) or OPENED.match(call)):
            continue
        if not TEMPORARY.search(call):
            found.append(line.rstrip())
print("%d calls were traced" % count)
for line in found[:40]:
    print(line)
sys.exit(1 if found or count < 1000 else 0)
