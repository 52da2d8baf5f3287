//! What the settings of a trunk are by default, and what is said about each that is wrong.

use super::*;

fn read(settings: &str) -> Result<Config, String> {
    toml::from_str(settings).map_err(|error| error.message().to_owned())
}

/// All that is wrong, as `member: why`.
fn faults(settings: &str) -> Vec<String> {
    let config = read(&format!("trunk = 'sip:sip.example.net;transport=tls'\n{settings}")).unwrap();
    config.faults().iter().map(|fault| format!("{}: {}", fault.member, fault.why)).collect()
}

#[test]
fn a_trunk_is_enough() {
    let config = read("trunk = 'sip:sip.example.net'").unwrap();
    assert_eq!(config.faults(), []);
    let by_hand = Config::for_trunk("sip:sip.example.net".parse().unwrap());
    assert_eq!(format!("{config:?}"), format!("{by_hand:?}"));
    assert_eq!((config.srtp, config.max_calls), (Srtp::OverTls, 500));
    assert_eq!(config.media_ports.pairs(), 4096);
    assert_eq!(config.own_domain(&config.trunk), "sip.example.net");
    let warned: Vec<_> = config.warnings().iter().map(|warning| warning.member).collect();
    assert_eq!(warned, ["trunk"], "numbers in the clear are worth a word");
}

#[test]
fn everything_can_be_set() {
    let config = read(
        r#"
        trunk = "sips:sip.example.net"
        trunks = ["sip:backup.example.net;transport=tls"]
        outbound_proxy = "sips:proxy.example.net"
        username = "customer"
        password = "hunter2"
        from_domain = "customer.example"
        number_format = "digits"
        register = true
        register_for = "10m"
        bind = "0.0.0.0:5060"
        public_address = "203.0.113.7"
        media_ports = "10000-10099"
        wildcard_certificates = true
        srtp = "required"
        redirect_hosts = ["gateway.example.net"]
        max_calls = 50
        trunk_calls_per_second = 5.0
        probe_interval = "0s"
        answer_within = "5s"
        asserted_identity = "+815012345678"
        privacy = "id"
        identity_certificate_url = "https://cert.example.com/shaken.pem"
        identity_key = "hunter3"
        identity_attestation = "C"
        identity_origin = "123e4567-e89b-12d3-a456-426655440000"
        name_servers = ["127.0.0.1:53"]
        "#,
    )
    .unwrap();
    assert_eq!(config.faults(), []);
    assert_eq!(config.number_format.write(&"+815012345678".parse().unwrap()), "815012345678");
    assert_eq!(config.first_hop(&config.trunk).to_string(), "sips:proxy.example.net");
    assert!(config.allows_redirect_to("Gateway.example.net.") && config.allows_redirect_to("backup.example.net"));
    assert!(!config.allows_redirect_to("premium.example.org") && !config.allows_redirect_to("proxy.example.net"));
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter"), "{shown}");
    assert!(!shown.contains("+8150"), "{shown}");
}

#[test]
fn each_fault_says_what_to_write() {
    for (settings, said) in [
        ("username = ''", "username: write 1 to 256"),
        ("password = 'x'", "username: is missing beside `password`"),
        ("register = true", "username: is missing: a registration"),
        ("username = 'x'\nregister = true", "password: is missing"),
        ("from_domain = 'sip:a'", "from_domain: write a host"),
        ("redirect_hosts = ['a b']", "redirect_hosts: write at most 32 hosts"),
        ("trunks = ['sip:sip.example.net;transport=tls']", "trunks: holds a trunk twice"),
        ("trunks = ['sip:b.example']\nsrtp = 'required'", "srtp: is \"required\", but not every trunk"),
        ("public_address = '0.0.0.0'", "public_address: write the address"),
        ("media_ports = '10000-10009'", "media_ports: has too few ports"),
        ("bind = '0.0.0.0:16400'", "media_ports: holds the port of `bind`"),
        ("client_certificate = 'x'", "client_key: is missing"),
        ("client_key = 'x'", "client_certificate: is missing"),
        ("max_calls = 0", "max_calls: write a number from 1"),
        ("trunk_calls_per_second = 0.0", "trunk_calls_per_second: write a number"),
        ("register_for = '1s'", "register_for: write a duration"),
        ("probe_interval = '1s'", "probe_interval: write a duration"),
        ("answer_within = '60s'", "answer_within: write a duration"),
        ("identity_origin = 'me'", "identity_origin: write a UUID"),
        ("identity_certificate_url = 'http://a.example/'", "identity_certificate_url: write where"),
    ] {
        let faults = faults(settings);
        assert!(faults.iter().any(|fault| fault.starts_with(said)), "{settings}: {faults:?}");
    }
    for (settings, said) in [
        ("srtp = 'maybe'", "unknown variant `maybe`"),
        ("asserted_identity = '12'", "write caller, or a number"),
        ("media_ports = '10001-10100'", "write two ports"),
        ("media_ports = '10100-10000'", "write two ports"),
        ("media_ports = '10-100'", "write two ports"),
        ("probe_interval = 'often'", "`often` is no duration"),
        ("trunk_uri = 'x'", "unknown field"),
    ] {
        let error = read(&format!("trunk = 'sip:a.example'\n{settings}")).unwrap_err();
        assert!(error.contains(said), "{settings}: {error}");
    }
}
