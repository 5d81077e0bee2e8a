//! Limits by controllers that few hosts have mounted. Here the disposable host mounts them for
//! itself.

use super::control_groups::Parent;
use super::harlequin;
use crate::support::{Spec, host_with_module};

#[disposable::test]
fn packets_and_huge_pages_are_limited_where_v1_has_the_controllers() {
    let host = host_with_module();
    let parent = Parent::make();
    let line = parent.line();
    let name = line.split(['/', '"']).nth(2).expect("the test's group");
    host.sh(&format!(
        "for it in net_cls,net_prio hugetlb; do mkdir -p /run/cg/$it; mount -t cgroup -o $it $it /run/cg/$it; mkdir /run/cg/$it/{name}; done"
    ))
    .ok();
    let key = host.key("harlequin");
    let mut spec = Spec::arkham(&key, &[]);
    let limits = "net_cls_classid = 0x100001\nnet_prio = 3\nhugetlb = \"4M\"\n";
    spec.more += &["[limits]\n", &line, limits].concat();
    spec.build(&host).ok();
    let _sshd = host.sshd();
    let login = harlequin(&host);
    let mut inside = login.start([], "echo up; read -r line");
    inside.hear("up");
    let packets = format!("/run/cg/net_cls,net_prio/{name}/arkham");
    let pages = format!("/run/cg/hugetlb/{name}/arkham");
    let read = |file: &str| host.run(["cat", file]).ok().text().to_owned();
    let class = read(&format!("{packets}/net_cls.classid"));
    let priorities = read(&format!("{packets}/net_prio.ifpriomap"));
    let most = read(&format!("{pages}/hugetlb.2MB.limit_in_bytes"));
    let members = [&packets, &pages].map(|group| read(&format!("{group}/tasks")).lines().count());
    drop(inside);
    let gone = format!("! [ -e {packets} ] && ! [ -e {pages} ]");
    host.until(&gone);
    host.sh(&format!(
        "for it in net_cls,net_prio hugetlb; do rmdir /run/cg/$it/{name}; umount /run/cg/$it; done"
    ))
    .ok();
    assert_eq!(class, "1048577");
    // The kernel shows those of the machine; the disposable host has one.
    assert!(
        priorities.lines().any(|line| line == "lo 3"),
        "{priorities}"
    );
    assert_eq!(most, "4194304");
    assert_eq!(members, [3, 3], "sshd's two, and a shell");
    // Without them the same spec is refused.
    spec.more.push_str("tasks = 64\n");
    let refused = spec.build(&host).exits(2);
    assert!(
        refused.stderr().contains("controller `net_cls`"),
        "{refused:?}"
    );
    parent.until_empty();
}
