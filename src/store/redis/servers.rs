//! Owns how the addresses of the configuration become clients of the library: one server, sentinels, a cluster. It sends
//! no command.

use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
};

use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, RedisError, TlsCertificates,
    TlsMode,
    cluster::{ClusterClient, ClusterClientBuilder},
    sentinel::{SentinelClientBuilder, SentinelServerType},
};

use super::{
    super::{Servers, StoreError, Topology},
    faults,
    link::{COMMAND_TIMEOUT, DECISION_TIMEOUT},
};

/// Where connections come from.
pub(super) enum Source {
    /// One server.
    One(Client),
    /// Sentinels. The next one is asked first each time, so that a dead one does not block for ever.
    Sentinel(Box<Sentinels>),
    /// A cluster, and its nodes of the address for subscriptions.
    Cluster(Box<ClusterClient>, Nodes),
}

/// Sentinels, and what they are asked for.
pub(super) struct Sentinels {
    servers: Servers,
    certificates: Option<TlsCertificates>,
    master: String,
    db: i64,
    turn: AtomicUsize,
}

/// Nodes of a cluster, taken in turn.
pub(super) struct Nodes {
    clients: Vec<Client>,
    turn: AtomicUsize,
}

impl Source {
    pub(super) fn of(servers: &Servers) -> Result<Self, StoreError> {
        let wrong = |error: RedisError| faults::judge(&error).into_error();
        let certificates = servers.ca_file.as_ref().map(|file| {
            fs::read(file)
                .map(|root_cert| TlsCertificates { client_tls: None, root_cert: Some(root_cert) })
                .map_err(|error| StoreError::Setup(format!("ca_file {} cannot be read: {error}", file.display())))
        });
        let certificates = certificates.transpose()?;
        match &servers.topology {
            Topology::One { db } => {
                let (host, port) =
                    servers.addresses.first().ok_or_else(|| StoreError::Setup(String::from("no host")))?;
                let info = connection_info(servers, host, *port, *db).map_err(wrong)?;
                client(info, certificates.as_ref()).map(Self::One).map_err(wrong)
            }
            Topology::Sentinel { master, db } => {
                let (servers, master, turn) = (servers.clone(), master.clone(), AtomicUsize::new(0));
                Ok(Self::Sentinel(Box::new(Sentinels { servers, certificates, master, db: *db, turn })))
            }
            Topology::Cluster => {
                let infos = servers
                    .addresses
                    .iter()
                    .map(|(host, port)| connection_info(servers, host, *port, 0))
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(wrong)?;
                let clients = infos
                    .iter()
                    .map(|info| client(info.clone(), certificates.as_ref()))
                    .collect::<Result<_, _>>()
                    .map_err(wrong)?;
                let cluster = cluster(servers, infos, certificates).map_err(wrong)?;
                Ok(Self::Cluster(Box::new(cluster), Nodes { clients, turn: AtomicUsize::new(0) }))
            }
        }
    }

    /// A client of the server that is to be connected to now.
    pub(super) async fn client(&self) -> Result<Client, RedisError> {
        match self {
            Self::One(client) => Ok(client.clone()),
            Self::Sentinel(sentinels) => sentinels.master().await,
            Self::Cluster(_, nodes) => {
                let turn = nodes.turn.fetch_add(1, Ordering::Relaxed);
                let node = nodes.clients.iter().cycle().nth(turn % nodes.clients.len().max(1));
                node.cloned().ok_or_else(|| RedisError::from((redis::ErrorKind::InvalidClientConfig, "no node")))
            }
        }
    }

    /// Whether this error means that another server is the master now.
    pub(super) fn moves_on(&self, error: &RedisError) -> bool {
        let demoted = error.kind() == redis::ErrorKind::Server(redis::ServerErrorKind::ReadOnly);
        demoted && matches!(self, Self::Sentinel(_))
    }
}

impl Nodes {
    pub(super) const fn count(&self) -> usize {
        self.clients.len()
    }
}

impl Sentinels {
    async fn master(&self) -> Result<Client, RedisError> {
        let mut addresses: Vec<_> =
            self.servers.addresses.iter().map(|(host, port)| address(&self.servers, host, *port)).collect();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % addresses.len().max(1);
        addresses.rotate_left(turn);
        let mut builder = SentinelClientBuilder::new(addresses, &self.master, SentinelServerType::Master)?
            .set_client_to_redis_db(self.db);
        if self.servers.tls {
            builder =
                builder.set_client_to_redis_tls_mode(TlsMode::Secure).set_client_to_sentinel_tls_mode(TlsMode::Secure);
        }
        if let Some(certificates) = &self.certificates {
            builder = builder
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_certificates(certificates.clone());
        }
        if let Some(username) = &self.servers.username {
            builder = builder.set_client_to_redis_username(username);
        }
        if let Some(password) = &self.servers.password {
            builder = builder.set_client_to_redis_password(password);
        }
        builder.build()?.async_get_client().await
    }
}

fn cluster(
    servers: &Servers,
    infos: Vec<ConnectionInfo>,
    certificates: Option<TlsCertificates>,
) -> Result<ClusterClient, RedisError> {
    let mut builder = ClusterClientBuilder::new(infos)
        .connection_timeout(COMMAND_TIMEOUT)
        .response_timeout(COMMAND_TIMEOUT)
        .overall_response_timeout(Some(DECISION_TIMEOUT))
        .retries(CLUSTER_RETRIES);
    if servers.tls {
        builder = builder.tls(TlsMode::Secure);
    }
    if let Some(certificates) = certificates {
        builder = builder.certs(certificates);
    }
    builder.build()
}

fn client(info: ConnectionInfo, certificates: Option<&TlsCertificates>) -> Result<Client, RedisError> {
    match certificates {
        Some(certificates) => Client::build_with_tls(info, certificates.clone()),
        None => Client::open(info),
    }
}

fn connection_info(servers: &Servers, host: &str, port: u16, db: i64) -> Result<ConnectionInfo, RedisError> {
    let mut settings = RedisConnectionInfo::default().set_db(db).set_skip_set_lib_name();
    if let Some(username) = &servers.username {
        settings = settings.set_username(username);
    }
    if let Some(password) = &servers.password {
        settings = settings.set_password(password);
    }
    Ok(address(servers, host, port).into_connection_info()?.set_redis_settings(settings))
}

fn address(servers: &Servers, host: &str, port: u16) -> ConnectionAddr {
    let host = host.to_owned();
    if servers.tls {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    }
}

/// How often the library itself repeats a command that a cluster sends elsewhere.
const CLUSTER_RETRIES: u32 = 3;
