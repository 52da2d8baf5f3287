//! Addresses that results are posted to, and those that they must never reach.

use super::*;

fn allows(reach: Reach, text: &str) -> bool {
    reach.allows(text.parse().unwrap())
}

/// Addresses that are never called, each with what it is.
#[test]
fn nowhere() {
    let table = [
        ("0.0.0.0", "this network"),
        ("0.1.2.3", "this network"),
        ("192.0.0.8", "protocol assignments"),
        ("192.0.2.1", "documentation"),
        ("192.88.99.1", "6to4 relay"),
        ("198.18.0.1", "benchmarking"),
        ("198.19.255.255", "benchmarking"),
        ("198.51.100.7", "documentation"),
        ("203.0.113.7", "documentation"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "broadcast"),
        ("::", "unspecified"),
        ("::ffff:127.0.0.1", "mapped IPv4"),
        ("::ffff:8.8.8.8", "mapped IPv4"),
        ("::127.0.0.1", "compatible IPv4"),
        ("64:ff9b::7f00:1", "NAT64"),
        ("64:ff9b:1::1", "local NAT64"),
        ("100::1", "discard"),
        ("2001::1", "Teredo"),
        ("2001:2::1", "benchmarking"),
        ("2001:20::1", "ORCHID"),
        ("2001:db8::1", "documentation"),
        ("2002:7f00:1::1", "6to4"),
        ("3fff::1", "documentation"),
        ("5f00::1", "segment routing"),
        ("fec0::1", "site-local"),
        ("ff02::1", "multicast"),
    ];
    for (address, what) in table {
        assert!(!allows(Reach::Public, address), "{address} is {what}");
        assert!(!allows(Reach::Private, address), "{address} is {what}, also where private addresses are allowed");
    }
}

#[test]
fn near() {
    let near = [
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "::1",
        "fc00::1",
        "fdff::1",
        "fe80::1",
    ];
    for address in near {
        assert!(!allows(Reach::Public, address), "{address}");
        assert!(allows(Reach::Private, address), "{address}");
    }
}

#[test]
fn everywhere_else() {
    for address in
        ["8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0", "198.17.255.255", "2606:4700::1"]
    {
        assert!(allows(Reach::Public, address), "{address}");
        assert!(allows(Reach::Private, address), "{address}");
    }
}

/// The many spellings of addresses that must not be called.
#[test]
fn odd_spellings() {
    let refused = [
        "https://127.0.0.1/",
        "https://127.1/",
        "https://0x7f.0.0.1/",
        "https://0x7f000001/",
        "https://2130706433/",
        "https://017700000001/",
        "https://0177.0.0.1/",
        "https://127.0.0.1./",
        "https://①②⑦.0.0.1/",
        "https://１２７.０.０.１/",
        "https://%31%32%37.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[0:0:0:0:0:0:0:1]/",
        "https://[64:ff9b::127.0.0.1]/",
        "https://0/",
        "https://localhost/",
        "https://LOCALHOST./",
        "https://a.localhost/",
        "https://printer.local/",
        "https://metadata.google.internal/",
        "https://169.254.169.254/latest/meta-data",
        "https://2852039166/",
        "https://user:password@example.com/",
        "https://user@example.com/",
        "https://example.com/#fragment",
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "javascript:alert(1)",
        "//example.com/",
        "example.com",
        "",
        "https://",
        "https:///",
    ];
    for url in refused {
        assert!(Reach::Public.check_url(url).is_err(), "{url}");
    }
    let long = format!("https://example.com/{}", "a".repeat(MOST_URL_BYTES));
    assert!(Reach::Public.check_url(&long).is_err());
    for url in
        ["https://example.com/results?a=b", "https://example.com:8443/", "https://8.8.8.8/", "https://[2606:4700::1]/"]
    {
        assert!(Reach::Public.check_url(url).is_ok(), "{url}");
    }
    for url in ["http://127.0.0.1:9000/results", "http://localhost:9000/", "https://10.0.0.1/"] {
        assert!(Reach::Private.check_url(url).is_ok(), "{url}");
    }
    assert!(Reach::Private.check_url("http://224.0.0.1/").is_err());
}

/// A name server that says something else each time.
struct Rebinding(std::sync::Mutex<Vec<Vec<IpAddr>>>);

impl LookUp for Rebinding {
    fn addresses(&self, _name: String) -> futures_util::future::BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        let answer = self.0.lock().unwrap().pop().unwrap_or_default();
        Box::pin(async move { Ok(answer) })
    }
}

#[tokio::test]
async fn only_checked_addresses_come_out() {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let answers = vec![vec![ip("127.0.0.1")], vec![ip("10.0.0.1"), ip("8.8.8.8")], vec![ip("::1")]];
    let resolver =
        GuardedResolver { reach: Reach::Public, look_up: Arc::new(Rebinding(std::sync::Mutex::new(answers))) };
    let resolve = || resolver.resolve("backend.example.com".parse().unwrap());
    assert!(resolve().await.is_err());
    let found: Vec<SocketAddr> = resolve().await.unwrap().collect();
    assert_eq!(found, [SocketAddr::new(ip("8.8.8.8"), 0)]);
    assert!(resolve().await.is_err());
    assert!(resolve().await.is_err(), "no answer at all");
}
