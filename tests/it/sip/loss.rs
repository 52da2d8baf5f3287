//! A network that drops packets: a namespace of its own, in which the kernel throws away one datagram of fourteen, those of
//! SIP and those of RTP. What is said in it is what other tests say on a good line.

use std::{
    io::Write,
    process::{Command, Stdio},
};

/// Brings the loopback up, drops datagrams, runs what it is given, and tells how many were dropped.
const INSIDE: &str = r#"
PATH="$PATH:/usr/sbin:/sbin"
ip link set lo up && nft -f - || exit 125
"$@"; code=$?
nft list table inet line
exit $code
"#;

const RULES: &str = "table inet line {\n chain arriving {\n  type filter hook input priority 0;\n  \
                     meta l4proto udp numgen random mod 14 < 1 counter drop\n }\n}\n";

/// Runs tests of this program in the namespace: what they printed, or nothing where this machine has no such namespaces.
fn on_a_bad_line(tests: &[&str]) -> Option<String> {
    let root = std::fs::read_to_string("/proc/self/status").unwrap().contains("\nUid:\t0\t");
    let namespace: &[&str] = if root { &["--net"] } else { &["--map-root-user", "--net"] };
    let mut unshare = Command::new("unshare");
    unshare.args(namespace).args(["sh", "-c", INSIDE, "sh"]).arg(std::env::current_exe().unwrap());
    unshare.arg("--exact").args(tests).args(["--test-threads", "2"]);
    let mut child =
        unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("unshare is there");
    // It may have ended already, where namespaces are forbidden.
    child.stdin.take().unwrap().write_all(RULES.as_bytes()).ok();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.code() == Some(125) || text.starts_with("unshare:") {
        println!("not tried, this machine makes no network namespace with nftables: {text}");
        return None;
    }
    assert!(output.status.success(), "{text}");
    Some(text)
}

#[test]
fn a_network_that_drops_packets_changes_nothing() {
    let tests = [
        "sip::keys::pound_verifies_however_it_comes",
        "sip::outcomes::a_call_that_nobody_answers_is_canceled",
        "sip::trunks::a_trunk_that_asks_for_a_password_gets_its_digest",
    ];
    let Some(text) = on_a_bad_line(&tests) else { return };
    assert!(text.contains("3 passed"), "{text}");
    let dropped = text.split("counter packets ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    assert!(dropped.parse::<u32>().unwrap() > 50, "the line was bad: {dropped}");
}
