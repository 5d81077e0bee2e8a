# The controller of the tests of the collection, as functions for bash: see hosts.sh, which this
# reads. Expects $repository, $work, $jailctl and $trixie.

. "$repository/tests/ansible/hosts.sh"

hosts=(one two three)
declare -A address=([one]=$network.11 [two]=$network.12 [three]=$network.13)
hash='$6$saltsalt$WPGJRAYDAbAIrz1zw4ONIkuKwEPkvZmS1n5iQsRNnOBCXOyMz3/Jc8g8dlrQ6QsYq2ibDuJdVaJNQO3ZVRZ4Y0'

# Two copies of this Debian, and one Debian 13.
start_fleet() {
    start_network
    start_host one 11 /
    start_host two 12 /
    start_host three 13 "$trixie"
    {
        echo '[jails]'
        for host in "${hosts[@]}"; do echo "$host ansible_host=${address[$host]}"; done
        echo '[jails:vars]'
        echo 'ansible_user=root'
        echo "ansible_ssh_private_key_file=$work/key"
        echo 'ansible_ssh_common_args=-F/dev/null -oUserKnownHostsFile=/dev/null -oLogLevel=ERROR'
        echo "jailctl_install=binary"
        echo "jailctl_binary=$jailctl"
    } >"$work/inventory"
    ssh-keygen -q -t ed25519 -N '' -C customer -f "$work/customer"
    ssh-keygen -q -t ed25519 -N '' -C rotated -f "$work/rotated"
}

# customers NUMBER [KEY]: NUMBER specs as variables of a playbook. The second has the key KEY.
customers() {
    local number=$1 other=${2:-$work/customer} key i
    echo 'customers:'
    for ((i = 1; i <= number; i++)); do
        key=$work/customer
        [ "$i" != 2 ] || key=$other
        cat <<YAML
  - name: customer$i
    templates: [sftp]
    user:
      - name: user$i
        authorized_keys: ["$(<"$key.pub")"]
        password: "$hash"
        expires: 2099-01-31
    file:
      - target: /welcome.txt
        content: "Customer $i\n"
    dir:
      - path: /upload
        owner: user$i
        mode: "0750"
YAML
    done
}

# play NAME ARGUMENT...: runs a playbook with all of its output in $work/NAME.log.
play() {
    local name=$1 start=$EPOCHREALTIME status=0
    shift
    ansible-playbook -i "$work/inventory" "$@" >"$work/$name.log" 2>&1 || status=$?
    printf '   %s: %.1f s, status %d\n' "$name" "$(seconds_since "$start")" "$status"
    return $status
}

# Seconds since a time of EPOCHREALTIME.
seconds_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }'; }

# recap NAME: the lines of the recap as HOST KEY=VALUE...
recap() { sed -n '/^PLAY RECAP/,$p' "$work/$1.log" | sed -n 's/ *: ok=/ ok=/p'; }

failures=0
check() { echo "ok: $1"; }
fail() {
    echo "FAILED: $1"
    failures=$((failures + 1))
    [ -z "${2:-}" ] || tail -n 40 "$work/$2.log"
}

# expect WHAT COMMAND...: the command must succeed.
expect() {
    local what=$1
    shift
    if "$@"; then check "$what"; else fail "$what"; fi
}
