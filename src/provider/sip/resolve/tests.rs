//! Lookups against a name server of our own on the loopback: order, weights, what is missing, and what never answers.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

use hickory_resolver::proto::{
    op::{Message, OpCode, ResponseCode},
    rr::rdata::{A, AAAA, NAPTR},
};
use tokio::net::UdpSocket;

use super::*;

/// Numbers that look random and are the same in each run (a linear congruential generator).
struct Counted(AtomicU64);

impl Entropy for Counted {
    fn fill(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let next =
                |state: u64| state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let state = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| Some(next(state))).unwrap();
            *byte = (state >> 56) as u8;
        }
    }
}

fn entropy() -> Arc<dyn Entropy> {
    Arc::new(Counted(AtomicU64::new(7)))
}

/// A zone: names (without a dot at the end) and their records. Names that begin with `silent` get no answer, those that
/// begin with `broken` a failure.
#[derive(Default)]
struct Zone {
    records: Vec<(String, RData)>,
    asked: AtomicUsize,
    silent: std::sync::atomic::AtomicBool,
}

impl Zone {
    fn srv(mut self, name: &str, priority: u16, weight: u16, port: u16, target: &str) -> Self {
        let server = SRV::new(priority, weight, port, name_of(target));
        self.records.push((name.to_owned(), RData::SRV(server)));
        self
    }

    fn naptr(mut self, name: &str, order: u16, preference: u16, service: &str, replacement: &str) -> Self {
        let naptr = NAPTR::new(
            order,
            preference,
            b"s".to_vec().into_boxed_slice(),
            service.as_bytes().to_vec().into_boxed_slice(),
            Box::default(),
            name_of(replacement),
        );
        self.records.push((name.to_owned(), RData::NAPTR(naptr)));
        self
    }

    fn a(mut self, name: &str, address: [u8; 4]) -> Self {
        self.records.push((name.to_owned(), RData::A(A(Ipv4Addr::from(address)))));
        self
    }

    fn aaaa(mut self, name: &str, address: &str) -> Self {
        let address: Ipv6Addr = address.parse().unwrap();
        self.records.push((name.to_owned(), RData::AAAA(AAAA(address))));
        self
    }

    fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        let question = Message::from_vec(question).ok()?;
        let query = question.queries.first()?;
        let name = query.name().to_ascii().trim_end_matches('.').to_ascii_lowercase();
        self.asked.fetch_add(1, Ordering::Relaxed);
        if name.contains("silent") || self.silent.load(Ordering::Relaxed) {
            return None;
        }
        let mut answer = Message::response(question.metadata.id, OpCode::Query);
        answer.add_query(query.clone());
        let known = self.records.iter().any(|(owner, _)| *owner == name);
        answer.metadata.response_code = match () {
            () if name.contains("broken") => ResponseCode::ServFail,
            () if known => ResponseCode::NoError,
            () => ResponseCode::NXDomain,
        };
        for (_, data) in self.records.iter().filter(|(owner, _)| *owner == name) {
            if data.record_type() == query.query_type() {
                answer.add_answer(Record::from_rdata(query.name().clone(), 300, data.clone()));
            }
        }
        answer.to_vec().ok()
    }

    async fn serve(self) -> (SocketAddr, Arc<Self>) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let zone = Arc::new(self);
        let served = Arc::clone(&zone);
        tokio_util::task::TaskTracker::new().spawn(async move {
            let mut buffer = [0; 4096];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                if let Some(answer) = served.answer(&buffer[..length]) {
                    socket.send_to(&answer, from).await.unwrap();
                }
            }
        });
        (address, zone)
    }
}

fn name_of(text: &str) -> Name {
    let mut name: Name = text.parse().unwrap();
    name.set_fqdn(true);
    name
}

const BOTH: Families = Families { v4: true, v6: true };

async fn found(resolver: &Resolver, uri: &str) -> Result<Vec<String>, String> {
    let hops = resolver.find(&uri.parse().unwrap()).await;
    hops.map(|hops| hops.iter().map(ToString::to_string).collect()).map_err(|error| error.to_string())
}

#[tokio::test]
async fn numbers_need_no_name_server() {
    let nowhere = "127.0.0.1:1".parse().unwrap();
    let resolver = Resolver::new(&[nowhere], BOTH, entropy());
    for (uri, hop) in [
        ("sip:192.0.2.1", "udp 192.0.2.1:5060"),
        ("sip:192.0.2.1:5070;transport=tcp", "tcp 192.0.2.1:5070"),
        ("sips:192.0.2.1", "tls 192.0.2.1:5061"),
        ("sip:[2001:db8::1];transport=tls", "tls [2001:db8::1]:5061"),
    ] {
        assert_eq!(found(&resolver, uri).await, Ok(vec![hop.to_owned()]), "{uri}");
    }
    let only_v4 = Resolver::new(&[nowhere], Families::of("192.0.2.9".parse().unwrap()), entropy());
    assert!(found(&only_v4, "sip:[2001:db8::1]").await.unwrap_err().contains("family of `bind`"));
    assert_eq!(Families::of("0.0.0.0".parse().unwrap()), BOTH);
    assert_eq!(Families::of("::1".parse().unwrap()), Families { v4: false, v6: true });
}

#[tokio::test]
async fn naptr_leads_to_srv_leads_to_addresses_in_their_order() {
    let zone = Zone::default()
        .naptr("trunk.example", 20, 10, "SIP+D2U", "_sip._udp.trunk.example")
        .naptr("trunk.example", 10, 20, "SIP+D2T", "_sip._tcp.trunk.example")
        .naptr("trunk.example", 10, 10, "SIPS+D2T", "_sips._tcp.trunk.example")
        .naptr("trunk.example", 5, 10, "SIP+D2S", "_sip._sctp.trunk.example")
        .srv("_sips._tcp.trunk.example", 10, 0, 5061, "tls.trunk.example")
        .srv("_sip._tcp.trunk.example", 20, 0, 5060, "second.trunk.example")
        .srv("_sip._tcp.trunk.example", 10, 0, 5062, "first.trunk.example")
        .srv("_sip._udp.trunk.example", 10, 0, 5060, "first.trunk.example")
        .a("tls.trunk.example", [192, 0, 2, 3])
        .a("first.trunk.example", [192, 0, 2, 1])
        .aaaa("first.trunk.example", "2001:db8::1")
        .a("second.trunk.example", [192, 0, 2, 2]);
    let (address, zone) = zone.serve().await;
    let resolver = Resolver::new(&[address], BOTH, entropy());
    let all = [
        "tls 192.0.2.3:5061",
        "tcp 192.0.2.1:5062",
        "tcp [2001:db8::1]:5062",
        "tcp 192.0.2.2:5060",
        "udp 192.0.2.1:5060",
        "udp [2001:db8::1]:5060",
    ];
    assert_eq!(found(&resolver, "sip:trunk.example").await.unwrap(), all);
    let asked = zone.asked.load(Ordering::Relaxed);
    assert_eq!(found(&resolver, "sip:Trunk.Example").await.unwrap(), all);
    assert_eq!(zone.asked.load(Ordering::Relaxed), asked, "what is known is not asked again");
    // Only what is secure, for sips.
    assert_eq!(found(&resolver, "sips:trunk.example").await.unwrap(), ["tls 192.0.2.3:5061"]);
    // A transport skips NAPTR, a port skips SRV too.
    assert_eq!(
        found(&resolver, "sip:trunk.example;transport=udp").await.unwrap(),
        ["udp 192.0.2.1:5060", "udp [2001:db8::1]:5060"]
    );
    assert_eq!(
        found(&resolver, "sip:first.trunk.example:5080;transport=tcp").await.unwrap(),
        ["tcp 192.0.2.1:5080", "tcp [2001:db8::1]:5080"]
    );
    let v6 = Resolver::new(&[address], Families { v4: false, v6: true }, entropy());
    assert_eq!(found(&v6, "sip:trunk.example;transport=udp").await.unwrap(), ["udp [2001:db8::1]:5060"]);
    let error = found(&v6, "sip:second.trunk.example:5060").await.unwrap_err();
    assert!(error.contains("family of `bind`"), "{error}");
}

#[tokio::test]
async fn without_naptr_and_srv_there_is_still_the_address() {
    let zone = Zone::default()
        .a("plain.example", [192, 0, 2, 1])
        .srv("_sip._tcp.stream.example", 1, 1, 5070, "plain.example")
        .srv("_sip._udp.closed.example", 0, 0, 0, ".")
        .a("closed.example", [192, 0, 2, 9])
        .srv("_sip._udp.half.example", 1, 1, 5060, "gone.example")
        .srv("_sip._udp.half.example", 2, 1, 5060, "plain.example");
    let (address, _) = zone.serve().await;
    let resolver = Resolver::new(&[address], BOTH, entropy());
    assert_eq!(found(&resolver, "sip:plain.example").await.unwrap(), ["udp 192.0.2.1:5060"]);
    assert_eq!(found(&resolver, "sips:plain.example").await.unwrap(), ["tls 192.0.2.1:5061"]);
    assert_eq!(found(&resolver, "sip:plain.example;transport=tls").await.unwrap(), ["tls 192.0.2.1:5061"]);
    assert_eq!(found(&resolver, "sip:stream.example").await.unwrap(), ["tcp 192.0.2.1:5070"]);
    assert_eq!(found(&resolver, "sip:half.example").await.unwrap(), ["udp 192.0.2.1:5060"]);
    for (uri, said) in [
        ("sip:nobody.example", "DNS knows no address for nobody.example"),
        ("sip:closed.example", "DNS knows no address for closed.example"),
        ("sip:broken.example", "the name server fails at the question for broken.example"),
    ] {
        let error = found(&resolver, uri).await.unwrap_err();
        assert!(error.starts_with(said), "{error}");
    }
}

#[tokio::test]
async fn weights_share_the_load_and_priorities_come_first() {
    let zone = Zone::default()
        .srv("_sip._udp.load.example", 10, 0, 1, "never.example")
        .srv("_sip._udp.load.example", 10, 25, 2, "some.example")
        .srv("_sip._udp.load.example", 10, 75, 3, "more.example")
        .srv("_sip._udp.load.example", 20, 100, 4, "last.example")
        .a("never.example", [192, 0, 2, 1])
        .a("some.example", [192, 0, 2, 2])
        .a("more.example", [192, 0, 2, 3])
        .a("last.example", [192, 0, 2, 4]);
    let (address, _) = zone.serve().await;
    let resolver = Resolver::new(&[address], BOTH, entropy());
    let mut firsts = BTreeMap::<u16, u32>::new();
    for _ in 0..2_000 {
        let hops = resolver.find(&"sip:load.example;transport=udp".parse().unwrap()).await.unwrap();
        assert_eq!(hops.len(), 4);
        assert_eq!(hops[3].address.port(), 4, "a lower priority comes after all of a higher one");
        *firsts.entry(hops[0].address.port()).or_default() += 1;
    }
    let share = |port: u16| firsts.get(&port).copied().unwrap_or(0);
    assert!((1_380..1_600).contains(&share(3)), "{firsts:?}");
    assert!((400..600).contains(&share(2)), "{firsts:?}");
    assert!((1..80).contains(&share(1)), "weight 0 has a very small chance: {firsts:?}");
}

#[tokio::test]
async fn silence_is_bounded_and_the_last_good_list_stands_in() {
    let zone =
        Zone::default().srv("_sip._udp.once.example", 1, 1, 5060, "host.example").a("host.example", [192, 0, 2, 1]);
    let (address, zone) = zone.serve().await;
    let resolver = Resolver::new(&[address], BOTH, entropy());
    let started = tokio::time::Instant::now();
    let error = found(&resolver, "sip:silent.example").await.unwrap_err();
    assert!(error.starts_with("no name server answers the question for silent.example"), "{error}");
    assert!(started.elapsed() < FIND_WITHIN + Duration::from_secs(1), "{:?}", started.elapsed());

    let uri = "sip:once.example;transport=udp";
    let good = found(&resolver, uri).await.unwrap();
    zone.silent.store(true, Ordering::Relaxed);
    resolver.dns.as_ref().unwrap().clear_cache();
    assert_eq!(found(&resolver, uri).await.unwrap(), good);
    assert!(found(&resolver, "sip:other.example").await.is_err(), "of others nothing is known");
}
