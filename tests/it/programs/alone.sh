# Names each program of its input alone, and holds what it says and does in such a jail against what it says and does on the host, as the same user.
# In: a line for each program, its path. Argument: the file of tasks. Out: a line for each difference, and how many were tried.
#
# Runs in a mount namespace of its own: /tmp is fresh there, and while a program runs on the host the accounts are those of the jail.
set -uf
tasks=$1
work=$(mktemp -d /run/alone.XXXXXX)
chmod 755 "$work"
cd "$work"
mount -t tmpfs -o mode=1777 tmpfs /tmp

# Runs the rest of the words as the jail's user, below $root. Leaves what came of it in files that start with $1.
try() {
    local name=$1 root=$2
    shift 2
    rm -rf "$root"/tmp/*
    mkdir "$root/tmp/rmdir"
    : >"$root/tmp/rm" >"$root/tmp/unlink" >"$root/tmp/shred"
    chown -R "$uid:$gid" "$root/tmp/"
    chown root:root "$root/tmp"
    chmod 1777 "$root/tmp"
    env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin HOME=/home/probe USER=probe TERM=xterm-256color LANG=C.UTF-8 \
        timeout 20 chroot --userspec="$uid:$gid" --groups= "$root" "$@" </dev/null >"$name.out" 2>"$name.err"
    echo "status $?" >>"$name.err"
    (cd "$root/tmp" && find . \( -type f -exec sha256sum {} + \) -o \( ! -type d -printf '%p %y %l\n' \)) | sort >"$name.left"
}

# Runs the words in the jail and on the host. Prints the first difference, and fails if there is one.
same() {
    set +f
    try jail "$work/jail" "$@"
    mount --bind "$work/jail/etc/passwd" /etc/passwd
    mount --bind "$work/jail/etc/group" /etc/group
    try host / "$@"
    umount /etc/passwd /etc/group
    set -f
    if [ "${!#}" = --version ]; then
        # What a program was built with can depend on what it finds at run time.
        local place
        for place in jail host; do
            head -n 1 $place.out >first
            mv first $place.out
        done
    fi
    local part
    for part in err out left; do
        if ! cmp -s host.$part jail.$part; then
            echo "$path: \`$*\`: $(diff -a host.$part jail.$part | head -n 6 | tr '\n' ' ')"
            return 1
        fi
    done
}

# A program that races with its own child has two answers: scp(1) gets SIGPIPE or an end of file from
# an ssh that ends. So a difference counts if it stays.
compare() {
    same "$@" >first-difference || same "$@" >/dev/null || same "$@" >/dev/null || cat first-difference
}

count=0
while read -r path; do
    name=${path##*/}
    printf 'name = "alone"\nbinaries = ["%s"]\n\n[sshd]\nallow = ["sftp"]\n\n[[user]]\nname = "probe"\nauthorized_keys = []\n\n[[file]]\nsource = "/data"\n' "$path" >spec.toml
    rm -rf jail
    if ! jailctl build spec.toml --output jail >/dev/null 2>build.err; then
        echo "$path: could not be built: $(head -n 5 build.err | tr '\n' ' ')"
        continue
    fi
    IFS=: read -r _ _ uid gid _ < <(grep '^probe:' jail/etc/passwd)
    compare "$path" --version
    task=$(awk -v name="$name" '$1 == name { print; exit }' "$tasks")
    if [ -n "$task" ]; then
        # Without -r: a backslash keeps the space that follows it.
        read -a words <<<"$task"
        words[0]=$path
        compare "${words[@]}"
    elif ! grep -q -F -e "- $name:" "$tasks"; then
        echo "$path: no task"
    fi
    count=$((count + 1))
done
cd /
rm -rf "$work"
echo "done $count"
