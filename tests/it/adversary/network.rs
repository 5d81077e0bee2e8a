//! A4 and C10: a private network whose rules are deleted from the host during a session, and
//! link-local addresses.

use disposable::{DisposableHost, Login, Running};

use crate::session::harlequin;
use crate::session::network::{copy, jail_address, neighbour, networks, serve, serve_in, settle};
use crate::support::Spec;

/// What the jail `arkham` may do: a port in, two out.
const RULES: &str = "[network]\nallow_in = [\"tcp/80\"]\nallow_out = [\"tcp/443\", \"udp/53\"]\n";
/// As Debian's own nftables.conf, which nftables.service loads, begins and goes on.
const NFTABLES_CONF: &str = "#!/usr/sbin/nft -f\n\nflush ruleset\n\ntable inet filter {\n\tchain forward {\n\t\ttype filter hook forward priority filter;\n\t}\n}\n";
/// The table of the tests' own administrator, which a flush takes away as well.
const ADMIN: &str = "nft flush ruleset; nft 'table inet admin { chain input { type filter hook input priority 10; tcp dport 9 drop; }; }'";

/// A listener that notes everybody who comes in `/run/COUNT`.
fn listen(host: &DisposableHost, command: &str, count: &str) -> Running {
    serve(host, &format!("{command} /run/{count}"))
}

/// How many lines a listener has noted.
fn came(host: &DisposableHost, path: &str) -> usize {
    let text = host.sh(&format!("cat {path} 2>/dev/null || :"));
    text.stdout().lines().count()
}

/// The host's routing rules, and the routes that jails' networks have beside their interfaces'.
fn routing(host: &DisposableHost) -> String {
    let text = host.sh("ip rule; ip route show table all | grep -e 1784768876 -e 192.0.0.8 || :");
    text.ok().stdout().to_owned()
}

/// A second jail, `elba`, with selina in it: it may reach the first one's port, and would like to
/// reach another.
fn elba(host: &DisposableHost) -> Login<'_> {
    let key = host.key("selina");
    let mut elba = Spec::arkham(&key, &["wire"]);
    elba.name = "elba";
    elba.users = vec![("selina", vec![key.public.trim().to_owned()])];
    elba.more
        .push_str("[network]\nallow_in = [\"tcp/81\"]\nallow_out = [\"tcp/80\", \"tcp/8080\"]\n");
    elba.build(host).ok();
    host.login("selina", &key)
}

/// Another machine, which the neighbour would reach by way of the host.
fn second_neighbour(host: &DisposableHost) {
    host.sh("unshare --net sleep infinity </dev/null >/dev/null 2>&1 & echo $! >/run/second; until [ \"$(readlink /proc/$!/ns/net)\" != \"$(readlink /proc/self/ns/net)\" ]; do sleep 0.01; done
             ip link add kane0 type veth peer name kane1 netns $! && ip addr add 198.51.100.1/24 dev kane0 && ip link set kane0 up
             nsenter -t $! -n sh -c 'ip addr add 198.51.100.2/24 dev kane1 && ip link set kane1 up && ip route add default via 198.51.100.1'").ok();
}

/// Asks until it is answered.
#[track_caller]
fn works_again(ask: impl Fn() -> disposable::Output) {
    for _ in 0..30 {
        if ask().success() {
            return;
        }
    }
    ask().ok();
}

#[disposable::test]
fn a4_a_flush_of_nftables_opens_nothing() {
    let (host, _) = copy(RULES);
    let selina = elba(&host);
    second_neighbour(&host);
    host.write("/run/nftables.conf", NFTABLES_CONF);
    let before = (networks(&host), routing(&host));
    let _sshd = host.sshd();
    let harlequin = harlequin(&host);
    let arkham = jail_address(&host);
    let served = [
        serve_in(&harlequin, "wire serve tcp 80"),
        serve_in(&harlequin, "wire serve tcp 8080 /home/harlequin/count"),
        serve_in(&selina, "wire serve tcp 81"),
    ];
    // An address that the host gets during a session.
    host.sh("ip addr add 203.0.113.7/24 dev kane0").ok();

    // Those who are not to be reached note who comes.
    let listeners = [
        listen(&host, "wire serve tcp 443", "host-tcp"),
        listen(&host, "wire serve udp 53", "host-udp"),
        listen(&host, &neighbour("wire serve tcp 25"), "out-tcp"),
        listen(&host, &neighbour("wire serve udp 123"), "out-udp"),
        listen(
            &host,
            "nsenter -t $(</run/second) -n wire serve tcp 443",
            "second-tcp",
        ),
        serve(&host, &neighbour("wire serve tcp 443")),
    ];
    // Everybody asks all the while: the jails for what is forbidden to them, the neighbour for a
    // jail and for the second machine.
    let mut inside = harlequin.start([], "echo begun; while :; do
        for at in 192.0.2.1 203.0.113.7 192.0.2.255 127.0.0.1; do wire ask tcp $at 443; wire ask udp $at 53; done
        wire ask tcp 192.0.2.2 25; wire ask udp 192.0.2.2 123; done >/dev/null 2>&1");
    inside.hear("begun");
    let gateway = host_address(&arkham);
    let mut beside = selina.start([], &format!("echo begun; while :; do
        wire ask tcp {arkham} 8080; wire ask tcp {gateway} 8080; wire ask tcp 192.0.2.1 8080; done >/dev/null 2>&1"));
    beside.hear("begun");
    host.write("/run/outside", &format!("ip route add 10.213.0.0/16 via 192.0.2.1; echo begun; while :; do
        wire ask tcp 198.51.100.2 443; wire ask tcp {arkham} 8080; wire ask tcp 192.0.2.1 8080; done >/dev/null 2>&1"));
    let mut outside = host.spawn(["bash", "-c", &neighbour("bash /run/outside")]);
    outside.hear("begun");

    host.sh("for round in {1..200}; do nft flush ruleset; done; for round in {1..20}; do nft -f /run/nftables.conf; sleep 0.05; done").ok();
    // Sessions begin repeatedly in between.
    for _ in 0..4 {
        let mut flushes = host.spawn([
            "bash",
            "-c",
            "echo begun; for round in {1..50}; do nft flush ruleset; sleep 0.02; done",
        ]);
        flushes.hear("begun");
        let joined = harlequin.ssh("echo in; wire ask tcp 192.0.2.1 443; wire ask tcp 203.0.113.7 443; wire ask tcp 192.0.2.2 25");
        assert!(joined.stdout().starts_with("in\n"), "{joined:?}");
        assert!(!joined.stdout().contains("gotham"), "{joined:?}");
        flushes.finish();
    }
    for count in ["host-tcp", "host-udp", "out-tcp", "out-udp", "second-tcp"] {
        let noted = host.sh(&format!("cat /run/{count} 2>/dev/null || :"));
        assert_eq!(noted.stdout(), "", "{count}");
    }
    let inner = "/srv/jails/arkham/home/harlequin/count";
    assert_eq!(came(&host, inner), 0);
    let forwards = host.read("/proc/sys/net/ipv4/conf/wayne0/forwarding");
    assert_eq!(forwards, "1\n", "the control");

    // What is allowed works again, for who was in and for who comes.
    works_again(|| harlequin.ssh("wire ask tcp 192.0.2.2 443"));
    works_again(|| host.sh(&neighbour("wire ask tcp 192.0.2.1 80")));
    works_again(|| selina.ssh(&format!("wire ask tcp {arkham} 80")));
    works_again(|| selina.ssh("wire ask tcp 192.0.2.1 80"));
    works_again(|| host.jailctl(["check"]));
    // The listeners do note.
    host.sh("wire ask tcp 127.0.0.1 443; wire ask udp 127.0.0.1 53; wire ask tcp 192.0.2.2 25; wire ask udp 192.0.2.2 123; nsenter -t $(</run/second) -n ip link set lo up; nsenter -t $(</run/second) -n wire ask tcp 127.0.0.1 443").ok();
    harlequin.ssh("wire ask tcp 127.0.0.1 8080").ok();
    for count in [
        "/run/host-tcp",
        "/run/host-udp",
        "/run/out-tcp",
        "/run/out-udp",
        "/run/second-tcp",
        inner,
    ] {
        assert_eq!(came(&host, count), 1, "{count}");
    }

    drop((inside, beside, outside, listeners, served));
    host.sh("ip addr del 203.0.113.7/24 dev kane0").ok();
    settle(&host);
    host.until("[ -z \"$(ls -A /run/jailctl/net | sed /lock/d)\" ]");
    host.sh(ADMIN).ok();
    assert_eq!((networks(&host), routing(&host)), before);
}

/// The host's address in the network of a jail, by the jail's.
fn host_address(address: &str) -> String {
    let (head, last) = address.rsplit_once('.').expect("an address");
    let last: u8 = last.parse().expect("a number");
    format!("{head}.{}", last - 1)
}

/// A session whose pid 1 is stopped, so that only the command under test repairs the network.
fn kept_still<'host>(host: &'host DisposableHost, login: &Login<'host>) -> Running {
    let session = serve_in(login, "wire serve tcp 80");
    // It has loaded nothing any more when it waits.
    host.until("pgrep -x jailctl-keeper >/dev/null && jailctl check >/dev/null");
    host.sh("sleep 0.3; kill -STOP $(pgrep -x jailctl-keeper)")
        .ok();
    session
}

#[disposable::test]
fn a4_what_is_missing_is_said_and_mended() {
    let (host, spec) = copy(RULES);
    let _sshd = host.sshd();
    let harlequin = harlequin(&host);
    let session = kept_still(&host, &harlequin);
    let link = host
        .sh("ip -o link | grep -o 'jailctl[0-9]*' | head -1")
        .ok()
        .text()
        .to_owned();
    let in_jail = "nsenter -t $(pgrep -x jailctl-keeper) -n";
    let address = format!("ip addr flush dev {link}");
    let idle = format!("echo 0 >/proc/sys/net/ipv4/conf/{link}/forwarding");
    let changed = "nft insert rule ip jailctl-arkham from_jail accept".to_owned();
    let inner = format!("{in_jail} nft insert rule inet jailctl output accept");
    let flush = format!("{in_jail} nft flush ruleset");
    for (how, name, text) in [
        (
            "nft flush ruleset",
            "ip jailctl-arkham",
            "it is missing on the host: allowed packets do not pass",
        ),
        (
            &changed,
            "ip jailctl-arkham",
            "it was changed after it was loaded",
        ),
        (&inner, "inet jailctl", "it was changed after it was loaded"),
        (
            &flush,
            "inet jailctl",
            "it is missing in the jail's network namespace",
        ),
        (
            "ip addr add 203.0.113.7/24 dev wayne0",
            "inet jailctl",
            "its rules are older than the policy or the addresses of the host",
        ),
        (
            "ip rule del pref 2 iif wayne0",
            "wayne0",
            "its routing rules are missing: it forwards packets for others",
        ),
        (
            "ip route del blackhole default table 1784768876",
            "wayne0",
            "its routing rules are missing",
        ),
        (
            "echo 0 >/proc/sys/net/ipv4/conf/wayne0/forwarding",
            "wayne0",
            "`net.ipv4.conf.wayne0.forwarding` is 0",
        ),
        (&idle, &link, "allowed packets do not pass"),
        (&address, &link, "no packet passes"),
    ] {
        host.jailctl(["check"]).ok();
        host.sh(how).ok();
        let checked = host.jailctl(["check", "--json"]).exits(1);
        assert!(
            checked.stdout().contains("\"kind\":\"network\""),
            "{how}: {checked:?}"
        );
        let checked = host.jailctl(["check"]).exits(1);
        let line = format!("  {name}: ");
        assert!(
            checked.stdout().contains(&line) && checked.stdout().contains(text),
            "{how}: {checked:?}"
        );
        let diagnosis = host.jailctl(["doctor", "harlequin"]);
        assert!(
            format!("{diagnosis:?}").contains(text),
            "{how}: {diagnosis:?}"
        );
        let planned = host.jailctl(["plan", &spec.path()]).ok();
        assert!(planned.stdout().contains(text), "{how}: {planned:?}");
        spec.build(&host).ok();
        assert_eq!(
            spec.build(&host).ok().text(),
            "arkham: nothing to do",
            "{how}"
        );
    }
    host.sh("kill -CONT $(pgrep -x jailctl-keeper)").ok();
    drop(session);
    settle(&host);
}

#[disposable::test]
fn a4_who_joins_finds_the_rules_or_does_not_come_in() {
    let (host, _) = copy(RULES);
    let _sshd = host.sshd();
    let harlequin = harlequin(&host);
    let session = kept_still(&host, &harlequin);
    let _server = serve(&host, &neighbour("wire serve tcp 443"));
    let keeper = host.sh("pgrep -x jailctl-keeper").ok().text().to_owned();
    host.sh(&format!(
        "nft flush ruleset; nsenter -t {keeper} -n nft flush ruleset; ip rule del pref 2 iif wayne0 || :"
    ))
    .ok();
    harlequin.ssh("wire ask tcp 192.0.2.2 443").ok();
    let rules = host.sh(&format!(
        "nft list ruleset; nsenter -t {keeper} -n nft list ruleset; ip rule"
    ));
    for line in [
        "table ip jailctl-arkham",
        "table inet jailctl ",
        "2:\tfrom all iif wayne0",
    ] {
        assert!(rules.stdout().contains(line), "{line}: {rules:?}");
    }
    // Where they cannot be loaded, no session joins.
    host.sh(&format!(
        "mv /usr/sbin/nft /root/nft; nsenter -t {keeper} -n /root/nft flush ruleset"
    ))
    .ok();
    harlequin.ssh("true").fails();
    host.sh(&format!("mv /root/nft /usr/sbin/nft; kill -CONT {keeper}"))
        .ok();
    harlequin.ssh("true").ok();
    drop(session);
    settle(&host);
}

#[disposable::test]
fn c10_link_local_addresses_are_not_reached() {
    let rules = "[network]\nallow_out = [\"tcp/80\", \"tcp/53\"]\n";
    let (host, _) = copy(rules);
    // As the metadata service of a cloud, and its name server.
    host.sh(&neighbour("ip addr add 169.254.169.254/32 dev wayne1"))
        .ok();
    host.sh("ip route add 169.254.169.254/32 dev wayne0").ok();
    let _sshd = host.sshd();
    let bob = host.plain_user("bob");
    let harlequin = harlequin(&host);
    let _servers = [
        serve(&host, &neighbour("wire serve tcp 80")),
        serve(&host, &neighbour("wire serve tcp 53")),
    ];
    let ask = "wire ask tcp 169.254.169.254 80";
    assert!(
        bob.ssh(ask).ok().text().starts_with("80 of gotham"),
        "the control"
    );
    assert_eq!(harlequin.ssh(ask).text(), "nothing");
    let names = harlequin.ssh("wire ask tcp 169.254.169.254 53").ok();
    assert!(names.text().starts_with("53 of gotham"), "{names:?}");
    harlequin.ssh("wire ask tcp 192.0.2.2 80").ok();
}

/// Firewalls that forward nothing, as docker, ufw and firewalld load them, and systemd-networkd
/// with a file for all Ethernet interfaces: each is named with commands that help.
#[disposable::test]
fn programs_of_the_host_that_stop_the_network_are_named() {
    let (host, spec) = copy(RULES);
    let plan = || host.jailctl(["plan", &spec.path()]).ok();
    let is_named = |what: &str| {
        let planned = plan();
        format!("{}{}", planned.stdout(), planned.stderr()).contains(what)
    };
    let chain = "the chain `FORWARD` of the table `ip filter` drops the packets";
    assert!(!is_named("drops the packets"));
    host.sh("nft 'table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }'")
        .ok();
    assert!(is_named(chain));
    let doctor = host.run(["jailctl", "doctor", "harlequin"]);
    assert!(doctor.stdout().contains(chain), "{doctor:?}");
    for commands in [
        "nft insert rule ip filter FORWARD iifname \"jailctl*\" accept; nft insert rule ip filter FORWARD oifname \"jailctl*\" accept",
        "nft delete table ip filter",
    ] {
        host.sh(&commands.replace('"', "\\\"")).ok();
        assert!(!is_named("drops the packets"), "{commands}");
    }
    host.sh("nft 'table inet firewalld { chain filter_FORWARD { type filter hook forward priority 10; policy accept; ct state established accept; counter reject with icmpx admin-prohibited; }; }'")
        .ok();
    assert!(is_named(
        "the chain `filter_FORWARD` of the table `inet firewalld`"
    ));
    host.sh("nft flush chain inet firewalld filter_FORWARD")
        .ok();
    assert!(!is_named("drops the packets"));

    let takes = "systemd-networkd takes the interface";
    host.sh("mkdir -p /etc/systemd/network; printf '[Match]\\nType=ether\\n' >/etc/systemd/network/10.network")
        .ok();
    assert!(!is_named(takes), "it does not run");
    host.sh("mkdir -p /run/systemd/netif/links").ok();
    assert!(is_named(takes));
    host.sh("printf '[Match]\\nName=jailctl*\\n[Link]\\nUnmanaged=yes\\n' >/etc/systemd/network/00-jailctl.network")
        .ok();
    assert!(!is_named(takes));
}
