//! Connection tracking: one jail's network cannot exhaust the table of all others.

use super::{compile, harlequin, network};

/// Program that sends a datagram from as many ports as its argument.
const FLOOD: &str = r#"
    #include <arpa/inet.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <unistd.h>
    int main(int argc, char **argv) {
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(53) };
        inet_pton(AF_INET, argv[1], &to.sin_addr);
        for (int n = atoi(argv[2]); n > 0; n--) {
            struct sockaddr_in from = { .sin_family = AF_INET, .sin_port = htons(1024 + n) };
            int s = socket(AF_INET, SOCK_DGRAM, 0);
            if (bind(s, (void *)&from, sizeof from) != 0) return 3;
            sendto(s, "x", 1, 0, (void *)&to, sizeof to);
            close(s);
        }
        puts("sent");
    }"#;

#[disposable::test]
fn the_hosts_table_of_connections_is_not_filled_by_a_jail() {
    let (host, mut spec) = network::copy("[network]\nallow_out = [\"udp/53\"]\n");
    compile(&host, "flood", FLOOD);
    spec.binaries.push("flood");
    spec.build(&host).ok();
    let _sshd = host.sshd();
    let login = harlequin(&host);
    let mut running = login.start([], "flood 192.0.2.2 6000; read -r line");
    running.hear("sent");
    let known = "[ $(</proc/sys/net/netfilter/nf_conntrack_count) -gt 3000 ] && [ $(</proc/sys/net/netfilter/nf_conntrack_count) -lt 4500 ]";
    host.sh(known).ok();
    // Other networks are not affected.
    let _server = network::serve(&host, &network::neighbour("wire serve tcp 80"));
    let bob = host.plain_user("bob");
    let said = bob.ssh("wire ask tcp 192.0.2.2 80").ok();
    assert!(said.text().starts_with("80 of gotham"), "{said:?}");
    drop(running);
}

#[disposable::test]
fn the_port_of_sshd_is_never_forwarded() {
    let (host, mut spec) = network::copy("");
    spec.more += "[network]\nallow_in = [\"tcp/22\", \"udp/22\"]\n";
    let refused = spec.build(&host).exits(2);
    assert!(
        refused
            .stderr()
            .contains("could not forward `tcp/22` into this jail: sshd listens on it"),
        "{refused:?}"
    );
    assert_eq!(refused.stderr().matches("error:").count(), 1, "{refused:?}");
    host.sh("sed -i '1i Port 2222' /etc/ssh/sshd_config").ok();
    spec.build(&host).ok();
    spec.more = spec.more.replace("22", "2222");
    spec.build(&host).exits(2);
}
