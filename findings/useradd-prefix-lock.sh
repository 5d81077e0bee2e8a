#!/usr/bin/env bash
# useradd(8) with --prefix does not take the lock of the account files that it changes, systemd-sysusers(8) with --root does: the two do not exclude each
# other on one directory.
#
# Software: passwd 1:4.13+dfsg1-1+deb12u2 (shadow 4.13) and systemd 252.39-1~deb12u2, of Debian 12. Needs root, apt-get, dpkg-deb and python3.
#
# lckpwdf(3) is the lock of passwd(5) and its like: a write lock of fcntl(2) on etc/.pwd.lock. While somebody holds DIR/etc/.pwd.lock,
#   systemd-sysusers --root DIR        waits for it, and changes nothing meanwhile;
#   useradd --prefix DIR ann           does not wait, and writes DIR/etc/passwd at once. It takes links named passwd.lock and so on, which the other does not know.
# Seen:
#   systemd-sysusers: still waiting after 5 seconds, passwd unchanged
#   useradd: ended with 0 while the lock was held, ann is in passwd
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
for package in passwd=1:4.13+dfsg1-1+deb12u2 systemd=252.39-1~deb12u2 libsystemd-shared=252.39-1~deb12u2; do
    apt-get download -qq -o APT::Sandbox::User=root "$package" 2>/dev/null
done
for file in *.deb; do
    echo "software: $(dpkg-deb -W --showformat='${Package} ${Version}' "$file")"
    dpkg-deb -x "$file" tools
done

mkdir -p host/etc host/usr/lib/sysusers.d
printf 'root:x:0:0:root:/root:/bin/sh\n' >host/etc/passwd
printf 'root:*:19000:0:99999:7:::\n' >host/etc/shadow
printf 'root:x:0:\nusers:x:100:\n' >host/etc/group
printf 'root:*::\nusers:!::\n' >host/etc/gshadow
printf 'u bob 2001 "Bob" /\n' >host/usr/lib/sysusers.d/bob.conf
cat >hold.py <<'PYTHON'
import fcntl, os, sys, time
lock = open("host/etc/.pwd.lock", "w")
fcntl.lockf(lock, fcntl.LOCK_EX)
open("held", "w").close()
time.sleep(30)
PYTHON
python3 hold.py &
holder=$!
trap 'kill $holder 2>/dev/null || true; rm -rf "$work"' EXIT
for _ in {1..100}; do [ -e held ] && break; sleep 0.05; done

failed=0
before=$(cat host/etc/passwd)
status=0
LD_LIBRARY_PATH=$(dirname "$(find tools -name 'libsystemd-shared-*.so')") timeout 5 \
    "$(find tools -name systemd-sysusers -type f)" --root="$work/host" >/dev/null 2>&1 || status=$?
[ "$status" = 124 ] && [ "$(cat host/etc/passwd)" = "$before" ] || failed=1
echo "systemd-sysusers: status $status after 5 seconds (124: still waiting), passwd $([ "$(cat host/etc/passwd)" = "$before" ] && echo unchanged || echo changed)"

status=0
timeout 5 tools/usr/sbin/useradd --prefix "$work/host" --no-create-home --no-user-group ann || status=$?
kill -0 $holder
[ "$status" = 0 ] && grep -q '^ann:' host/etc/passwd || failed=1
echo "useradd: status $status while the lock is held, ann is$(grep -q '^ann:' host/etc/passwd || echo " not") in passwd"
exit $failed
