//! Private network of a jail: outgoing and incoming connections; the host's rules stay unchanged,
//! and the network ends with its sessions.

use disposable::{DisposableHost, Login, Running};

use super::{LOG, compile, harlequin};
use crate::support::{Spec, host_with_module};

/// Disposable host with a neighbour: a network namespace with the address 192.0.2.2; the host has
/// 192.0.2.1 and is its default gateway.
pub(crate) fn copy(more: &str) -> (DisposableHost, Spec) {
    let host = host_with_module();
    compile(&host, "wire", include_str!("port_probe.c"));
    host.sh("unshare --net sleep infinity </dev/null >/dev/null 2>&1 & echo $! >/run/neighbour; until [ \"$(readlink /proc/$!/ns/net)\" != \"$(readlink /proc/self/ns/net)\" ]; do sleep 0.01; done
             ip link add wayne0 type veth peer name wayne1 netns $! && ip addr add 192.0.2.1/24 dev wayne0 && ip link set wayne0 up
             nsenter -t $! -n sh -c 'ip addr add 192.0.2.2/24 dev wayne1 && ip link set wayne1 up && ip link set lo up && ip route add default via 192.0.2.1'
             nft 'table inet admin { chain input { type filter hook input priority 10; tcp dport 9 drop; }; }'").ok();
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, &["wire", "grep"]);
    spec.more.push_str(more);
    spec.build(&host).ok();
    (host, spec)
}

const TUTORIAL: &str = "[network]\nmode = \"private\"\nallow_in = [\"tcp/80\"]\nallow_out = [\"tcp/443\", \"udp/53\"]\n";

/// Command line that runs in the neighbour's network.
pub(crate) fn neighbour(command: &str) -> String {
    format!("nsenter -t $(</run/neighbour) -n {command}")
}

/// Starts a listener in the host's network or in the neighbour's.
pub(crate) fn serve(host: &DisposableHost, line: &str) -> Running {
    let mut server = host.spawn(["bash", "-c", line]);
    server.hear("listens");
    server
}

/// Starts a listener in a session.
pub(crate) fn serve_in(login: &Login<'_>, line: &str) -> Running {
    let mut server = login.start([], line);
    server.hear("listens");
    server
}

/// Network state of the host.
pub(crate) fn networks(host: &DisposableHost) -> String {
    host.sh("ip -o link | cut -d' ' -f2; nft list ruleset; ls -A /run/jailctl/net 2>/dev/null | sed /lock/d || :; for at in /proc/sys/net/ipv4/conf/*/forwarding; do ! read -r is <$at || echo $at $is; done 2>/dev/null; wc -l </proc/self/mountinfo").ok().stdout().to_owned()
}

/// Address of the only jail with a network.
pub(crate) fn jail_address(host: &DisposableHost) -> String {
    let policy = host.read("/var/lib/jailctl/arkham/policy");
    let line = policy.lines().find(|line| line.contains("\"address\""));
    let address = line.and_then(|line| line.split('"').nth(3));
    address.expect("an address").to_owned()
}

pub(crate) fn settle(host: &DisposableHost) {
    host.until("! pgrep -x jailctl-keeper >/dev/null && ! pgrep -u harlequin >/dev/null");
}

#[disposable::test]
fn the_network_of_the_tutorial() {
    let (host, _) = copy(TUTORIAL);
    let before = networks(&host);
    let _sshd = host.sshd();
    let harlequin = harlequin(&host);
    let bob = host.plain_user("bob");
    let rules = host.sh("nft list ruleset").ok().stdout().to_owned();

    // Incoming: port 80, and no other port with a listener.
    let web = serve_in(&harlequin, "wire serve tcp 80");
    let other = serve_in(&harlequin, "wire serve tcp 8080");
    let ask = |line: &str| host.sh(&neighbour(line)).text().to_owned();
    assert_eq!(
        ask("wire ask tcp 192.0.2.1 80"),
        "80 of arkham to 192.0.2.2"
    );
    assert_eq!(ask("wire ask tcp 192.0.2.1 8080"), "refused");
    let address = jail_address(&host);
    assert_eq!(
        ask(&format!("wire ask tcp {address} 80")),
        "80 of arkham to 192.0.2.2"
    );
    assert_eq!(ask(&format!("wire ask tcp {address} 8080")), "nothing");
    let from_host = |port| {
        bob.ssh(&format!("wire ask tcp {address} {port}"))
            .text()
            .to_owned()
    };
    assert!(from_host(80).starts_with("80 of arkham"));
    assert_eq!(from_host(8080), "nothing");
    assert!(
        harlequin
            .ssh("wire ask tcp 127.0.0.1 8080")
            .ok()
            .text()
            .starts_with("8080 of arkham"),
        "the control"
    );

    // Outgoing: the allowed ports of other hosts; as the control bob, who may use all.
    for (protocol, port, reached) in [
        ("tcp", 443, true),
        ("udp", 53, true),
        ("tcp", 25, false),
        ("udp", 123, false),
    ] {
        let _server = serve(&host, &neighbour(&format!("wire serve {protocol} {port}")));
        let ask = format!("wire ask {protocol} 192.0.2.2 {port}");
        let said = format!("{port} of gotham to 192.0.2.1");
        assert_eq!(bob.ssh(&ask).ok().text(), said, "the control");
        assert_eq!(
            harlequin.ssh(&ask).text(),
            if reached { said.as_str() } else { "nothing" },
            "{ask}"
        );
    }

    // Nothing of the host: neither its loopback nor listeners at its addresses.
    let _server = serve(&host, "wire serve tcp 443");
    for at in ["127.0.0.1", "192.0.2.1"] {
        let ask = format!("wire ask tcp {at} 443");
        assert!(
            bob.ssh(&ask).ok().text().starts_with("443 of gotham"),
            "the control"
        );
        let said = harlequin.ssh(&ask);
        assert_eq!(
            said.text(),
            if at == "127.0.0.1" {
                "refused"
            } else {
                "nothing"
            },
            "{ask}"
        );
    }
    let interfaces = harlequin.ssh("cat /proc/net/dev").ok();
    assert!(
        interfaces.stdout().contains("eth0:") && !interfaces.stdout().contains("wayne0"),
        "{interfaces:?}"
    );

    // The host has one more table, and all else is unchanged.
    let more = host.sh("nft list ruleset").ok().stdout().to_owned();
    assert!(more.contains("table ip jailctl-arkham {"), "{more}");
    assert!(more.contains(rules.trim()), "{rules}\n---\n{more}");
    let admin = host.sh("nft list table inet admin").ok();
    assert_eq!(admin.stdout().trim(), rules.trim());
    drop((web, other));
    settle(&host);
    assert_eq!(networks(&host), before);
    let log = host.read(LOG);
    assert!(
        log.contains("own mnt pid uts ipc cgroup net, mounted"),
        "{log}"
    );
}

#[disposable::test]
fn sessions_share_the_network_of_their_jail() {
    let (host, _) = copy(TUTORIAL);
    let before = networks(&host);
    let _sshd = host.sshd();
    let harlequin = harlequin(&host);
    let first = serve_in(&harlequin, "wire serve tcp 8080");
    let made = host
        .sh("ip -o link show | grep jailctl")
        .ok()
        .text()
        .to_owned();
    let second = serve_in(&harlequin, "wire serve tcp 8081");
    let enter = host
        .jailctl([
            "enter",
            "arkham",
            "--",
            "wire",
            "ask",
            "tcp",
            "127.0.0.1",
            "8081",
        ])
        .ok();
    assert!(enter.text().starts_with("8081 of arkham"), "{enter:?}");
    drop(first);
    host.until("[ $(pgrep -xc jailctl-keeper) = 1 ]");
    let again = harlequin.ssh("wire ask tcp 127.0.0.1 8081").ok();
    assert!(again.text().starts_with("8081 of arkham"), "{again:?}");
    assert_eq!(
        host.sh("ip -o link show | grep jailctl").ok().text(),
        made,
        "the same one"
    );
    drop(second);
    settle(&host);
    assert_eq!(networks(&host), before);

    // Many at once, which create, join and end it at the same time.
    let line = harlequin.line([], "true");
    let line: Vec<String> = line.iter().map(|word| format!("'{word}'")).collect();
    let line = line.join(" ");
    host.sh(&format!("echo 'MaxStartups 200:30:300' >/etc/ssh/sshd_config.d/90-many.conf; kill -HUP $(</run/sshd.pid); sleep 0.5
        for round in 1 2 3; do pids=; for n in {{1..8}}; do {line} & pids=\"$pids $!\"; done; for pid in $pids; do wait $pid; done; {line}; done")).ok();
    settle(&host);
    assert_eq!(networks(&host), before);
}

#[disposable::test]
fn leftovers_of_a_killed_init_are_cleaned_up() {
    let (host, _) = copy(TUTORIAL);
    let before = networks(&host);
    let _sshd = host.sshd();
    let harlequin = harlequin(&host);
    let kill = "pkill -KILL -x jailctl-keeper";
    for next in ["session", "removal"] {
        let web = serve_in(&harlequin, "wire serve tcp 80");
        host.sh(kill).ok();
        drop(web);
        settle(&host);
        let left = networks(&host);
        assert!(left.contains("table ip jailctl-arkham"), "{left}");
        if next == "session" {
            harlequin.ssh("true").ok();
            settle(&host);
        } else {
            host.jailctl(["remove", "arkham", "--purge"]).ok();
        }
        assert_eq!(networks(&host), before, "{next}");
    }
}

#[disposable::test]
fn rules_that_change_hold_for_who_is_in() {
    let (host, mut spec) = copy(TUTORIAL);
    let _sshd = host.sshd();
    let harlequin = harlequin(&host);
    let _other = serve_in(&harlequin, "wire serve tcp 8080");
    let ask = || {
        host.sh(&neighbour("wire ask tcp 192.0.2.1 8080"))
            .text()
            .to_owned()
    };
    assert_eq!(ask(), "refused");
    spec.more = spec.more.replace("tcp/80", "tcp/8080");
    let planned = host.jailctl(["plan", &spec.put(&host)]).ok();
    for line in [
        "nft      rules of the jail's network: jailctl-arkham",
        "-        tcp dport { 80 } accept",
        "+        tcp dport { 8080 } accept",
    ] {
        assert!(planned.stdout().contains(line), "{line}: {planned:?}");
    }
    spec.build(&host).ok();
    assert_eq!(ask(), "8080 of arkham to 192.0.2.2");
    assert_eq!(spec.build(&host).ok().text(), "arkham: nothing to do");
}

#[disposable::test]
fn jails_reach_each_other_only_where_both_say_so() {
    let (host, _) = copy(TUTORIAL);
    let key = host.key("selina");
    let mut elba = Spec::arkham(&key, &["wire"]);
    elba.name = "elba";
    elba.users = vec![("selina", vec![key.public.trim().to_owned()])];
    let rules = |allow_out: &str| {
        format!("[network]\nallow_in = [\"tcp/81\"]\nallow_out = [{allow_out}]\n")
    };
    let more = elba.more.clone();
    elba.more = format!("{more}{}", rules(""));
    elba.build(&host).ok();
    let before = networks(&host);
    let _sshd = host.sshd();
    let selina = host.login("selina", &key);
    let harlequin = harlequin(&host);
    let address = jail_address(&host);
    let web = serve_in(&harlequin, "wire serve tcp 80");
    let other = serve_in(&harlequin, "wire serve tcp 8080");
    for at in [address.as_str(), "192.0.2.1"] {
        assert_eq!(
            selina.ssh(&format!("wire ask tcp {at} 80")).text(),
            "nothing"
        );
    }
    host.until("[ $(pgrep -xc jailctl-keeper) = 2 ]");
    elba.more = format!("{more}{}", rules("\"tcp/80\", \"tcp/8080\""));
    elba.build(&host).ok();
    for at in [address.as_str(), "192.0.2.1"] {
        let said = selina.ssh(&format!("wire ask tcp {at} 80"));
        assert!(said.text().starts_with("80 of arkham"), "{said:?}");
    }
    assert_eq!(
        selina.ssh(&format!("wire ask tcp {address} 8080")).text(),
        "nothing"
    );

    drop((web, other));
    settle(&host);
    assert_eq!(networks(&host), before);
}

#[disposable::test]
fn a_host_that_passes_nothing_on_does_so_for_jails_alone() {
    let (host, spec) = copy(TUTORIAL);
    // A second neighbour, which the first would reach by way of the host.
    host.sh("unshare --net sleep infinity </dev/null >/dev/null 2>&1 & echo $! >/run/second; until [ \"$(readlink /proc/$!/ns/net)\" != \"$(readlink /proc/self/ns/net)\" ]; do sleep 0.01; done
             ip link add kane0 type veth peer name kane1 netns $! && ip addr add 198.51.100.1/24 dev kane0 && ip link set kane0 up
             nsenter -t $! -n sh -c 'ip addr add 198.51.100.2/24 dev kane1 && ip link set kane1 up && ip route add default via 198.51.100.1'").ok();
    assert_eq!(host.read("/proc/sys/net/ipv4/ip_forward"), "0\n");
    let said = host.jailctl(["plan", &spec.path()]).ok();
    assert!(
        format!("{said:?}").contains("the host does not forward packets"),
        "{said:?}"
    );
    let _sshd = host.sshd();
    let harlequin = harlequin(&host);
    let _server = serve(&host, "nsenter -t $(</run/second) -n wire serve tcp 443");
    let through = || {
        host.sh(&neighbour("wire ask tcp 198.51.100.2 443"))
            .text()
            .to_owned()
    };
    assert_eq!(through(), "nothing");
    let web = serve_in(&harlequin, "wire serve tcp 80");
    assert_eq!(
        host.read("/proc/sys/net/ipv4/conf/wayne0/forwarding"),
        "1\n"
    );
    assert_eq!(through(), "nothing");
    assert_eq!(
        harlequin.ssh("wire ask tcp 198.51.100.2 443").ok().text(),
        "443 of gotham to 198.51.100.1"
    );
    assert_eq!(host.read("/proc/sys/net/ipv4/ip_forward"), "0\n");
    drop(web);
    settle(&host);
    assert_eq!(
        host.read("/proc/sys/net/ipv4/conf/wayne0/forwarding"),
        "0\n"
    );

    // A host that forwards already keeps forwarding.
    host.sh("echo 1 >/proc/sys/net/ipv4/ip_forward").ok();
    assert!(
        !format!("{:?}", host.jailctl(["plan", &spec.path()]).ok())
            .contains("does not forward packets")
    );
    let reached = "443 of gotham to 192.0.2.2";
    assert_eq!(through(), reached);
    let web = serve_in(&harlequin, "wire serve tcp 80");
    assert_eq!(through(), reached);
    drop(web);
    settle(&host);
    assert_eq!(through(), reached);
}

#[disposable::test]
fn what_would_take_something_from_others_is_refused() {
    let (host, mut spec) = copy("");
    let plain = spec.more.clone();
    let with = |spec: &mut Spec, rules: &str| spec.more = format!("{plain}[network]\n{rules}\n");
    let _server = serve(&host, "wire serve tcp 80");
    let _other = serve(&host, "wire serve udp 53");
    with(&mut spec, "allow_in = [\"tcp/80\", \"udp/53\", \"tcp/81\"]");
    let before = networks(&host);
    let refused = spec.build(&host).exits(2);
    for words in [
        "could not forward `tcp/80` into this jail: a service of the host",
        "could not forward `udp/53` into this jail",
    ] {
        assert!(refused.stderr().contains(words), "{words}: {refused:?}");
    }
    assert_eq!(refused.stderr().matches("error:").count(), 2, "{refused:?}");
    with(&mut spec, "allow_in = [\"tcp/81\"]");
    host.sh("mv $(command -v nft) /root/nft").ok();
    let refused = spec.build(&host).exits(2);
    assert!(
        refused.stderr().contains("hint: install nftables"),
        "{refused:?}"
    );
    host.sh("printf '#!/bin/sh\\necho it is a bad day >&2; exit 1\\n' >/usr/sbin/nft; chmod 755 /usr/sbin/nft").ok();
    let refused = spec.build(&host).exits(4);
    assert!(refused.stderr().contains("it is a bad day"), "{refused:?}");
    host.sh("mv /root/nft /usr/sbin/nft").ok();
    spec.build(&host).ok();
    let mut elba = spec.clone();
    elba.name = "elba";
    elba.users[0].0 = "selina";
    let refused = elba.build(&host).exits(2);
    assert!(
        refused.stderr().contains(
            "could not forward `tcp/81` into this jail: it is forwarded into the jail `arkham`"
        ),
        "{refused:?}"
    );
    // Another port, and addresses of its own.
    elba.more = elba.more.replace("81", "82");
    elba.build(&host).ok();
    let link = |name: &str| {
        host.sh(&format!(
            "grep -o 'jailctl[0-9]*\\|10[.0-9]*' /var/lib/jailctl/{name}/policy"
        ))
        .ok()
        .text()
        .to_owned()
    };
    assert_ne!(link("arkham"), link("elba"));
    assert_eq!(networks(&host), before);
}

#[disposable::test]
fn names_are_asked_of_servers_that_the_jail_reaches() {
    let (host, spec) = copy("");
    let mut spec = spec;
    host.write(
        "/etc/resolv.conf",
        "nameserver 127.0.0.53\nnameserver 192.0.2.2\nsearch gotham.example\n",
    );
    spec.more.push_str(TUTORIAL);
    spec.build(&host).ok();
    assert_eq!(
        host.read("/srv/jails/arkham/etc/resolv.conf"),
        "nameserver 192.0.2.2\nsearch gotham.example\n"
    );
    host.write("/etc/resolv.conf", "nameserver 127.0.0.53\n");
    let said = spec.build(&host).ok();
    assert!(
        format!("{said:?}").contains("names cannot be resolved in the jail"),
        "{said:?}"
    );
    spec.more.push_str(
        "\n[[file]]\ntarget = \"/etc/resolv.conf\"\ncontent = \"nameserver 192.0.2.7\\n\"\n",
    );
    spec.build(&host).ok();
    assert_eq!(
        host.read("/srv/jails/arkham/etc/resolv.conf"),
        "nameserver 192.0.2.7\n"
    );
}

#[disposable::test]
fn a_failed_network_refuses_the_session_and_leaves_nothing() {
    let (host, _) = copy(TUTORIAL);
    let before = networks(&host);
    let _sshd = host.sshd();
    let bob = host.plain_user("bob");
    let harlequin = harlequin(&host);
    let link = host
        .sh("grep -o 'jailctl[0-9]*' /var/lib/jailctl/arkham/policy")
        .ok()
        .text()
        .to_owned();
    for (how, fix, why) in [
        ("mv /usr/sbin/nft /root/".to_owned(), "mv /root/nft /usr/sbin/".to_owned(), "could not load the rules of the jail's network"),
        ("mv /usr/sbin/nft /root/; printf '#!/bin/sh\\necho no rules today >&2; exit 1\\n' >/usr/sbin/nft; chmod 755 /usr/sbin/nft".to_owned(), "mv /root/nft /usr/sbin/".to_owned(), "could not load the rules of the jail's network: no rules today"),
        ("sed -i s/jailctl[0-9]/eth/ /var/lib/jailctl/arkham/policy".to_owned(), format!("sed -i 's/\"eth[0-9]*\"/\"{link}\"/' /var/lib/jailctl/arkham/policy"), "the interface of its network has an invalid name"),
        ("rm -rf /run/jailctl/net; echo >/run/jailctl/net".to_owned(), "rm /run/jailctl/net".to_owned(), "could not open the registry of the jails' networks"),
    ] {
        harlequin.ssh("true").ok();
        settle(&host);
        // pid 1 of a session has its name a moment after it was forked.
        host.until("[ -z \"$(ls -A /run/jailctl/net | sed /lock/d)\" ]");
        host.sh(&format!("{how}; : >{LOG}")).ok();
        harlequin.ssh("true").fails();
        bob.ssh("true").ok();
        let log = host.read(LOG);
        assert!(log.contains(why), "{how}: {log}");
        host.sh(&fix).ok();
        settle(&host);
        assert_eq!(networks(&host), before, "{how}");
    }
    harlequin.ssh("true").ok();
}

#[disposable::test]
fn what_is_forwarded_comes_from_the_jails_network() {
    let (host, _) = copy(TUTORIAL);
    // An administrator's setting, before the lines of the jail.
    host.write("/etc/ssh/sshd_config.d/01-admin.conf", "Match Group jail-arkham\n    AllowTcpForwarding yes\n    DisableForwarding no\n    PermitOpen any\n");
    let _sshd = host.sshd();
    let bob = host.plain_user("bob");
    let harlequin = harlequin(&host);
    let _server = serve(&host, "wire serve tcp 443");
    let through = |login: &Login<'_>, to: &str| login.ssh_with(["-W", to], "").stdout().to_owned();
    assert!(
        through(&bob, "127.0.0.1:443").starts_with("443 of gotham"),
        "the control"
    );
    assert_eq!(through(&harlequin, "127.0.0.1:443"), "");
    assert_eq!(through(&harlequin, "192.0.2.1:443"), "");
    let _own = serve_in(&harlequin, "wire serve tcp 8080");
    assert!(through(&harlequin, "127.0.0.1:8080").starts_with("8080 of arkham"));
}
