# Makes the copy of the host and then holds it: pid 1 of the new namespaces, started by keeper.rs with a name for the host and, optionally, the
# jailctl to put on its PATH and a directory of the host to show at some path. Says `ready PID` when the copy stands, and ends, with everything in it, when its input ends: so also when the test dies.
set -eu
shopt -s inherit_errexit
umask 022
hostname=$1
jailctl=$2
directory=$3
place=$4

# /proc is still the host's, so this is the pid by which the outside knows us.
read -r pid _ </proc/self/stat
mapfile -t mounts </proc/self/mountinfo
resolver=
if [ -r /etc/resolv.conf ]; then resolver=$(</etc/resolv.conf); fi

# /run is fresh in the copy anyway; until then it holds the layers. They live as long as the overlays that use them.
mount -t tmpfs -o mode=0755 disposable /run
mkdir /run/copy /run/layers
copy=/run/copy
layers=0
cover() {
    layers=$((layers + 1))
    mkdir -p "/run/layers/$layers/upper" "/run/layers/$layers/work"
    mount -t overlay -o "lowerdir=${1//:/\\:},upperdir=/run/layers/$layers/upper,workdir=/run/layers/$layers/work,xino=on" overlay "$copy$1" 2>/dev/null
}
cover / || { echo "an overlay over / with a tmpfs above cannot be mounted" >&2; exit 1; }
chmod --reference=/ "$copy"

# An overlay does not see what is mounted below its lower directory: each such mount gets its own, or stays readable where that cannot be.
declare -A seen=([/]=1)
for line in "${mounts[@]}"; do
    read -r _ _ _ _ at _ <<<"${line//\\/\\\\}"
    printf -v at '%b' "$at"
    case $at in /proc | /proc/* | /sys | /sys/* | /dev | /dev/* | /run | /run/* | /srv | /srv/*) continue ;; esac
    if [ -n "${seen[$at]:-}" ]; then continue; fi
    seen[$at]=1
    if [ -d "$at" ] && [ -d "$copy$at" ]; then
        cover "$at" || mount --bind -o ro "$at" "$copy$at"
    elif [ -f "$at" ]; then
        cp --preserve=mode,ownership -- "$at" "$copy$at"
    fi
done

mount -t tmpfs -o mode=0755 tmpfs $copy/srv
if [ -n "$directory" ]; then
    mkdir -p "$copy$place"
    mount --bind "$directory" "$copy$place"
fi
mount -t proc proc $copy/proc
mount -t sysfs -o ro sysfs $copy/sys
if [ -d /sys/fs/cgroup ]; then mount --rbind /sys/fs/cgroup $copy/sys/fs/cgroup; fi

# Nodes of our own, so that nothing done to them reaches the host's /dev.
mount -t tmpfs -o mode=0755,nosuid tmpfs $copy/dev
mkdir $copy/dev/pts $copy/dev/shm $copy/dev/net
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty $copy/dev/
mknod -m 0666 $copy/dev/net/tun c 10 200 2>/dev/null || : # not every kernel and container has it
mount -t devpts -o newinstance,gid=5,mode=0620,ptmxmode=0666 devpts $copy/dev/pts
mount -t tmpfs -o mode=1777 tmpfs $copy/dev/shm
ln -s pts/ptmx $copy/dev/ptmx
ln -s /proc/self/fd $copy/dev/fd
ln -s fd/0 $copy/dev/stdin
ln -s fd/1 $copy/dev/stdout
ln -s fd/2 $copy/dev/stderr

if [ -n "$jailctl" ]; then
    : >$copy/usr/local/sbin/jailctl
    mount --bind -o ro "$jailctl" $copy/usr/local/sbin/jailctl
fi

cd $copy
pivot_root . run
cd /
umount --lazy /run
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir -p -m 1777 /run/lock

echo "$hostname" >/proc/sys/kernel/hostname
echo "$hostname" >/etc/hostname
printf '127.0.0.1 localhost %s\n::1 localhost\n' "$hostname" >/etc/hosts
# A link into the host's /run would lead nowhere.
rm -f /etc/resolv.conf
if [ -n "$resolver" ]; then printf '%s\n' "$resolver" >/etc/resolv.conf; fi
# `ip link set lo up` for hosts without iproute2: SIOCSIFFLAGS with IFF_UP and IFF_RUNNING. perl-base is essential on Debian.
perl -e 'my $up = pack("a16 s x22", "lo", 0x41); socket(S, 2, 2, 0) && ioctl(S, 0x8914, $up) or die "lo: $!\n"'

# Where commands start.
cd /root
echo "ready $pid"
while read -r _; do :; done
