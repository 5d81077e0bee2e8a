# Hosts of the tests of the collection, as functions for bash: disposable roots with a network
# namespace of their own each, an sshd, and one bridge to the controller.
#
# To be sourced by a process in new network, pid and mount namespaces, with $work as a directory of
# its own: everything that is started here ends with that process.

network=10.88.0
declare -A pid_of fd_of

# The network of the controller.
start_network() {
    mount --make-rprivate /
    mount -t proc proc /proc
    ip link set lo up
    ip link add jails type bridge
    ip address add $network.1/24 dev jails
    ip link set jails up
    ssh-keygen -q -t ed25519 -N '' -C controller -f "$work/key"
}

# start_host NAME NUMBER ROOT: a disposable copy of ROOT with the address $network.NUMBER.
start_host() {
    local name=$1 number=$2 root=$3 script pid
    local -a enter=()
    script=$(<"$repository/tests/disposable/src/init.sh")
    if [ "$root" != / ]; then
        mount --bind "$root" "$root"
        mount --bind /proc "$root/proc"
        mount --rbind /sys "$root/sys"
        enter=(chroot "$root")
    fi
    mkfifo "$work/$name.in" "$work/$name.out"
    unshare --mount --net --pid --uts --ipc --fork --kill-child \
        "${enter[@]}" bash -c "$script" keeper "$name" "" "" "" \
        <"$work/$name.in" >"$work/$name.out" 2>"$work/$name.err" &
    # The host ends when its input does.
    exec {fd_of[$name]}>"$work/$name.in"
    read -r _ pid <"$work/$name.out" || { cat "$work/$name.err" >&2; return 1; }
    pid_of[$name]=$pid
    ip link add "veth$number" type veth peer name eth0 netns "$pid"
    ip link set "veth$number" master jails up
    in_host "$name" ip address add "$network.$number/24" dev eth0
    in_host "$name" ip link set eth0 up
    in_host "$name" sh -c 'mkdir -p -m 700 /root/.ssh && cat >/root/.ssh/authorized_keys' <"$work/key.pub"
    start_sshd "$name"
}

# stop_host NAME: as a machine without power.
stop_host() {
    kill -KILL "${pid_of[$1]}"
    ip link delete "veth$2" 2>/dev/null || :
}

start_sshd() {
    in_host "$1" sh -euc '
        mkdir -p /run/sshd
        ssh-keygen -q -A
        options=-oPerSourcePenalties=no
        /usr/sbin/sshd -t $options 2>/dev/null || options=
        /usr/sbin/sshd -E /run/sshd.log $options
        until [ -s /run/sshd.pid ]; do sleep 0.02; done'
}

# in_host NAME COMMAND...: runs a command as root in the host.
in_host() {
    local pid=${pid_of[$1]}
    shift
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root USER=root \
        LANG=C.UTF-8 TERM=dumb \
        nsenter --target "$pid" --mount --pid --uts --ipc --net --root --wd -- "$@"
}
