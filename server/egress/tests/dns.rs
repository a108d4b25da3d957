//! Names that lead astray, by a name server of the tests' own: it rebinds, mixes families, and points to itself by CNAMEs.

use std::{
    collections::{BTreeSet, HashMap},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Mutex,
};

use tokio::net::UdpSocket;

use super::{
    forms::{ELSEWHERE, Ear, LOOPBACK},
    *,
};

const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;

/// One answer to a question for a name, whatever its type: the records that are given, of this type or CNAME.
type Reply = Vec<Record>;

#[derive(Clone)]
enum Record {
    Address(IpAddr),
    Alias(String),
}

fn v4(address: [u8; 4]) -> Record {
    Record::Address(Ipv4Addr::from(address).into())
}

fn v6(text: &str) -> Record {
    Record::Address(text.parse::<Ipv6Addr>().unwrap().into())
}

fn alias(name: &str) -> Record {
    Record::Alias(name.to_owned())
}

/// A name server (RFC 1035) over UDP. Each question for a name takes that name's next reply; the last stays.
async fn name_server(zone: Vec<(impl Into<String>, Vec<Reply>)>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let mut zone: HashMap<String, Vec<Reply>> = zone.into_iter().map(|(name, it)| (name.into(), it)).collect();
    // Each type of question has its own turn, as both are asked of each lookup.
    let mut turns: HashMap<(String, u16), usize> = HashMap::new();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, asker)) = socket.recv_from(&mut buffer).await {
            let (name, kind) = read_question(&buffer[..length]);
            let replies = zone.entry(name.clone()).or_default();
            let turn = turns.entry((name, kind)).or_default();
            let reply = replies.get((*turn).min(replies.len().saturating_sub(1))).cloned().unwrap_or_default();
            *turn += 1;
            socket.send_to(&write_answer(&buffer[..length], kind, &reply), asker).await.unwrap();
        }
    });
    address
}

/// The name and the type of the one question of a message.
fn read_question(message: &[u8]) -> (String, u16) {
    let (name, after) = read_name(message, 12);
    (name, u16::from_be_bytes([message[after], message[after + 1]]))
}

/// The name at a place of a message, and the place behind it. Names are not compressed here but by a pointer to the question.
fn read_name(message: &[u8], mut at: usize) -> (String, usize) {
    let mut labels = Vec::new();
    loop {
        match usize::from(message[at]) {
            0 => return (labels.join("."), at + 1),
            0xc0 => return (read_name(message, message[at + 1].into()).0, at + 2),
            length => {
                labels.push(String::from_utf8(message[at + 1..=at + length].to_vec()).unwrap());
                at += length + 1;
            }
        }
    }
}

fn write_name(name: &str) -> Vec<u8> {
    let labels = name.split('.').flat_map(|label| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat());
    labels.chain([0]).collect()
}

fn write_answer(question: &[u8], kind: u16, reply: &[Record]) -> Vec<u8> {
    let of_kind = |record: &&Record| match record {
        Record::Address(IpAddr::V4(_)) => kind == A,
        Record::Address(IpAddr::V6(_)) => kind == AAAA,
        Record::Alias(_) => true,
    };
    let records: Vec<(u16, Vec<u8>)> = reply
        .iter()
        .filter(of_kind)
        .map(|record| match record {
            Record::Address(IpAddr::V4(address)) => (A, address.octets().to_vec()),
            Record::Address(IpAddr::V6(address)) => (AAAA, address.octets().to_vec()),
            Record::Alias(name) => (CNAME, write_name(name)),
        })
        .collect();
    let mut answer = question.to_vec();
    // A response, recursion desired and available, no error.
    answer[2..4].copy_from_slice(&[0x81, 0x80]);
    answer[6..8].copy_from_slice(&u16::try_from(records.len()).unwrap().to_be_bytes());
    for (kind, data) in records {
        // The question's name, the class IN, no time to live.
        answer.extend([0xc0, 12]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1, 0, 0, 0, 0]);
        answer.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        answer.extend(data);
    }
    answer
}

/// A resolver that asks that server for both families and follows aliases, as a system's does.
struct Stub(SocketAddr);

impl Resolve for Stub {
    fn resolve(&self, name: Name) -> Resolving {
        let server = self.0;
        Box::pin(async move {
            let mut found = Vec::new();
            for kind in [A, AAAA] {
                let mut name = name.as_str().to_owned();
                for _ in 0..8 {
                    let (addresses, alias) = ask(server, &name, kind).await?;
                    found.extend(addresses);
                    let Some(alias) = alias else { break };
                    name = alias;
                }
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

async fn ask(server: SocketAddr, name: &str, kind: u16) -> std::io::Result<(Vec<SocketAddr>, Option<String>)> {
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    let header = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let question = [&header[..], &write_name(name), &kind.to_be_bytes(), &[0, 1]].concat();
    socket.send_to(&question, server).await?;
    let mut buffer = [0; 512];
    let length = socket.recv(&mut buffer).await?;
    let (answer, mut at) = (&buffer[..length], question.len());
    let (mut addresses, mut alias) = (Vec::new(), None);
    for _ in 0..u16::from_be_bytes([answer[6], answer[7]]) {
        let (_, after) = read_name(answer, at);
        let (kind, length) = (answer[after + 1], usize::from(answer[after + 9]));
        let data = &answer[after + 10..after + 10 + length];
        match (u16::from(kind), data) {
            (CNAME, _) => alias = Some(read_name(answer, after + 10).0),
            (A, data) => addresses.push((<[u8; 4]>::try_from(data).unwrap(), 0).into()),
            (_, data) => addresses.push((<[u8; 16]>::try_from(data).unwrap(), 0).into()),
        }
        at = after + 10 + length;
    }
    Ok((addresses, alias))
}

/// What stands for a public address here: it is the only one that is allowed, and this machine hears it.
const PUBLIC: [u8; 4] = [127, 0, 0, 2];

fn public_only() -> AddressPolicy {
    AddressPolicy { allowed: vec!["127.0.0.2/32".parse().unwrap()], ..AddressPolicy::default() }
}

#[tokio::test]
async fn names_with_any_forbidden_address_get_no_byte_through() {
    let loopback = || v4([127, 0, 0, 1]);
    let public = || v4(PUBLIC);
    let zone: Vec<(&'static str, Vec<Reply>)> = vec![
        ("loopback.example", vec![vec![loopback()]]),
        ("zero.example", vec![vec![v4([0, 0, 0, 0])]]),
        ("metadata.example", vec![vec![v4([169, 254, 169, 254])]]),
        ("private.example", vec![vec![v4([10, 0, 0, 1])]]),
        ("public-first.example", vec![vec![public(), loopback()]]),
        ("public-last.example", vec![vec![loopback(), public()]]),
        ("loopback6.example", vec![vec![v6("::1")]]),
        ("mapped.example", vec![vec![v6("::ffff:127.0.0.1")]]),
        ("compatible.example", vec![vec![v6("::127.0.0.1")]]),
        ("translated.example", vec![vec![v6("::ffff:0:127.0.0.1")]]),
        ("nat64.example", vec![vec![v6("64:ff9b::127.0.0.1")]]),
        ("nat64-local.example", vec![vec![v6("64:ff9b:1::127.0.0.1")]]),
        ("6to4.example", vec![vec![v6("2002:7f00:1::1")]]),
        ("teredo.example", vec![vec![v6("2001:0:808:808::80ff:fffe")]]),
        ("unique-local.example", vec![vec![v6("fd00:ec2::254")]]),
        ("both-families.example", vec![vec![public(), v6("::1")]]),
        ("both-families-mapped.example", vec![vec![public(), v6("::ffff:127.0.0.1")]]),
        ("alias.example", vec![vec![alias("loopback.example")]]),
        ("alias-of-alias.example", vec![vec![alias("alias.example")]]),
        ("alias-to-both.example", vec![vec![alias("both-families.example")]]),
        ("alias-and-address.example", vec![vec![public(), alias("loopback6.example")]]),
    ];
    let names: Vec<&str> = zone.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), 21);
    let ear = Ear::new();
    let server = name_server(zone).await;
    let config = EgressConfig { addresses: public_only(), ..development(ear.port) };
    let resolver = GuardedResolver::new(Stub(server), public_only());
    let egress = Egress::with_resolver(config, resolver).unwrap();
    for name in names {
        let outcome = egress.post(request(&format!("http://{name}:{}/", ear.port), PATIENT)).await;
        assert_eq!(outcome.failure, Some(FailureKind::BlockedAddress), "{name}: {}", outcome.detail);
        assert!(outcome.detail.contains("resolves to an address"), "{name}: {}", outcome.detail);
    }
    assert_eq!(ear.bytes(), 0);
}

/// Each address of the forms alone, before and behind a public one, and by an alias.
#[tokio::test]
async fn every_forbidden_address_is_refused_wherever_it_stands_in_an_answer() {
    let address = |host: &&str| match Url::parse(&format!("http://{host}/")).ok()?.host()? {
        url::Host::Ipv4(address) => Some(IpAddr::from(address)),
        url::Host::Ipv6(address) => Some(IpAddr::from(address)),
        url::Host::Domain(_) => None,
    };
    let addresses: BTreeSet<IpAddr> = [LOOPBACK, ELSEWHERE].concat().iter().filter_map(address).collect();
    assert!(addresses.len() >= 40, "{} addresses, in four places each", addresses.len());
    let (mut zone, mut names) = (Vec::new(), Vec::new());
    for (number, address) in addresses.into_iter().enumerate() {
        let (forbidden, name) = (Record::Address(address), |place: &str| format!("{place}-{number}.example"));
        for (place, reply) in [
            ("alone", vec![forbidden.clone()]),
            ("before", vec![forbidden.clone(), v4(PUBLIC)]),
            ("behind", vec![v4(PUBLIC), forbidden]),
            ("alias", vec![alias(&name("alone"))]),
        ] {
            names.push((name(place), address));
            zone.push((name(place), vec![reply]));
        }
    }
    let ear = Ear::new();
    let resolver = GuardedResolver::new(Stub(name_server(zone).await), public_only());
    let config = EgressConfig { addresses: public_only(), ..development(ear.port) };
    let egress = Egress::with_resolver(config, resolver).unwrap();
    for (name, address) in names {
        let outcome = egress.post(request(&format!("http://{name}:{}/", ear.port), PATIENT)).await;
        assert_eq!(outcome.failure, Some(FailureKind::BlockedAddress), "{name}, {address}: {}", outcome.detail);
        assert!(outcome.detail.contains("resolves to an address"), "{name}, {address}: {}", outcome.detail);
    }
    assert_eq!(ear.bytes(), 0);
}

/// Accepts on a "public" address and on loopback, by the same port. Tells which one heard a request.
async fn two_listeners() -> (u16, Arc<Mutex<Vec<&'static str>>>) {
    let public = TcpListener::bind((Ipv4Addr::from(PUBLIC), 0)).await.unwrap();
    let port = public.local_addr().unwrap().port();
    let private = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    for (listener, name) in [(public, "public"), (private, "private")] {
        let heard = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut byte = [0];
                if stream.read(&mut byte).await.is_ok_and(|read| read > 0) {
                    heard.lock().unwrap().push(name);
                    let _ = read_request(&mut stream).await;
                    // Closed after each, so that each attempt resolves anew.
                    let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
                    stream.write_all(answer).await.unwrap();
                }
            }
        });
    }
    (port, heard)
}

#[tokio::test]
async fn name_that_is_rebound_after_its_first_answer_reaches_nothing_more() {
    let (port, heard) = two_listeners().await;
    let rebinding = vec![vec![v4(PUBLIC)], vec![v4([127, 0, 0, 1])]];
    let aliased = vec![vec![alias("rebinding.example")]];
    let server = name_server(vec![("rebinding.example", rebinding), ("alias.example", aliased)]).await;
    let config = EgressConfig { addresses: public_only(), ..development(port) };
    let egress = Egress::with_resolver(config, GuardedResolver::new(Stub(server), public_only())).unwrap();
    for (name, failure) in [
        ("rebinding.example", None),
        ("rebinding.example", Some(FailureKind::BlockedAddress)),
        ("alias.example", Some(FailureKind::BlockedAddress)),
    ] {
        let outcome = egress.post(request(&format!("http://{name}:{port}/"), PATIENT)).await;
        assert_eq!(outcome.failure, failure, "{name}: {}", outcome.detail);
    }
    assert_eq!(*heard.lock().unwrap(), ["public"]);
}

/// Checks one answer and hands out the next, as a guard would that asks twice.
struct Fooled {
    checked: GuardedResolver<Stub>,
    used: Stub,
}

impl Resolve for Fooled {
    fn resolve(&self, name: Name) -> Resolving {
        let (checked, used) = (self.checked.resolve(name.as_str().parse().unwrap()), self.used.resolve(name));
        Box::pin(async move {
            drop(checked.await?);
            used.await
        })
    }
}

#[tokio::test]
async fn name_that_is_rebound_between_check_and_connection_gets_no_byte() {
    let (port, heard) = two_listeners().await;
    let server = name_server(vec![("rebinding.example", vec![vec![v4(PUBLIC)], vec![v4([127, 0, 0, 1])]])]).await;
    let names = Fooled { checked: GuardedResolver::new(Stub(server), public_only()), used: Stub(server) };
    let config = EgressConfig { addresses: public_only(), ..development(port) };
    let egress = Egress::with_resolver(config, names).unwrap();
    let outcome = egress.post(request(&format!("http://rebinding.example:{port}/"), PATIENT)).await;
    assert_eq!(outcome.failure, Some(FailureKind::BlockedAddress), "{}", outcome.detail);
    assert!(outcome.detail.contains("the connection led"), "{}", outcome.detail);
    assert_eq!(*heard.lock().unwrap(), [""; 0]);
}
