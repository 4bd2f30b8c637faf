//! A connection to one Redis server, to the master that Sentinel names, or to a cluster.

use crate::endpoint::{RedisUrl, Topology};
use ::redis::cluster::{ClusterClient, ClusterClientBuilder, ClusterConnection};
use ::redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use ::redis::{
    Client, Cmd, Connection, ConnectionAddr, ConnectionInfo, ConnectionLike, ErrorKind, FromRedisValue,
    RedisError, RedisResult, Script, ServerErrorKind, TlsMode, Value, from_redis_value,
};
use crest_host::clock;
use std::time::Duration;

/// How long the first contact may take.
pub(super) const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two attempts at it.
const OPEN_PAUSE: Duration = Duration::from_millis(100);

/// How long a server may take to accept a connection …
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// … and to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Whom to connect to.
pub(super) enum Target {
    One(Box<Client>),
    /// In the order of preference.
    Sentinel(Vec<SentinelClient>),
    Cluster(Box<ClusterClient>),
}

/// A connection.
pub(super) enum Link {
    One(Box<Connection>),
    Cluster(Box<ClusterConnection>),
}

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Writing,
    /// A replica will do, and is preferred where Sentinel knows one.
    Reading,
}

impl Target {
    /// The clients of a URL, which do not connect yet.
    ///
    /// # Errors
    /// What is wrong and what is allowed, without secrets.
    pub(super) fn new(url: &RedisUrl, purpose: Purpose) -> Result<Self, String> {
        let nodes = &url.nodes;
        if nodes.iter().any(|node| matches!(node.addr(), ConnectionAddr::TcpTls { .. })) {
            // The crate under redis wants to be told which cryptography to use, once for the process; where
            // something else has chosen, that is fine.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let target = match (&url.topology, nodes.as_slice()) {
            (Topology::Sentinel { master }, _) => sentinel(nodes, master, purpose),
            (Topology::Single, [node]) => Client::open(node.clone()).map(|c| Target::One(Box::new(c))),
            (Topology::Single | Topology::Cluster, _) => cluster(nodes.clone()),
        };
        target.map_err(|error| RedisUrl::reason(&error))
    }

    /// Connects, and lets the server answer once.
    pub(super) fn connect(&mut self) -> RedisResult<Link> {
        let mut link = match self {
            Target::One(client) => Link::one(client.get_connection_with_timeout(CONNECT_TIMEOUT)?)?,
            Target::Sentinel(clients) => first_that_works(clients)?,
            Target::Cluster(client) => Link::Cluster(Box::new(client.get_connection()?)),
        };
        let ping = ::redis::cmd("PING");
        match &mut link {
            Link::One(connection) => ping.exec(connection)?,
            Link::Cluster(connection) => ping.exec(&mut **connection)?,
        }
        Ok(link)
    }

    /// The first contact, with a little patience for a server that is just starting.
    pub(super) fn connect_at_start(&mut self) -> RedisResult<Link> {
        let deadline = clock::now() + OPEN_TIMEOUT;
        loop {
            match self.connect() {
                Ok(link) => return Ok(link),
                Err(error) => {
                    let loading = error.kind() == ErrorKind::Server(ServerErrorKind::BusyLoading);
                    if clock::now() >= deadline || !(error.is_io_error() || loading) {
                        return Err(error);
                    }
                }
            }
            crest_host::thread::sleep(OPEN_PAUSE);
        }
    }
}

/// The first connection that can be made. If there is none, returns the last error, which is that of the master.
fn first_that_works(clients: &mut [SentinelClient]) -> RedisResult<Link> {
    let connect = |client: &mut SentinelClient| {
        Link::one(client.get_client()?.get_connection_with_timeout(CONNECT_TIMEOUT)?)
    };
    let nobody = || RedisError::from((ErrorKind::InvalidClientConfig, "no sentinel is named"));
    let mut found = Err(nobody());
    for client in clients {
        found = connect(client);
        if found.is_ok() {
            break;
        }
    }
    found
}

impl Link {
    fn one(connection: Connection) -> RedisResult<Self> {
        connection.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        connection.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(Link::One(Box::new(connection)))
    }

    /// Runs calls of a script, each of which returns some words; one that fails does not hold up the others.
    ///
    /// # Errors
    /// The connection failed, and it is not known which calls were run.
    pub(super) fn run(
        &mut self,
        script: &Script,
        calls: &[Cmd],
    ) -> RedisResult<Vec<RedisResult<Vec<String>>>> {
        let mut results = self.send(calls)?;
        let unknown = |result: &RedisResult<Vec<String>>| {
            result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Server(ServerErrorKind::NoScript))
        };
        if results.iter().any(unknown) {
            // A server that was started anew, or has just become the master, does not know the script.
            self.load(script)?;
            let again: Vec<usize> = (0..calls.len()).filter(|call| unknown(&results[*call])).collect();
            let repeated: Vec<Cmd> = again.iter().map(|call| calls[*call].clone()).collect();
            for (call, result) in again.into_iter().zip(self.send(&repeated)?) {
                results[call] = result;
            }
        }
        Ok(results)
    }

    /// Asks one thing of each of several keys; one that fails does not hold up the others.
    ///
    /// # Errors
    /// The connection failed.
    pub(super) fn ask(&mut self, calls: &[Cmd]) -> RedisResult<Vec<RedisResult<Value>>> {
        if let Link::Cluster(connection) = self
            && !calls.is_empty()
        {
            let mut pipeline = ::redis::cluster::cluster_pipe();
            for call in calls {
                pipeline.add_command(call.clone());
            }
            match pipeline.query::<Vec<Value>>(connection) {
                Ok(values) => return Ok(values.into_iter().map(Ok).collect()),
                Err(error) if error.is_io_error() => return Err(error),
                // It does not say which of them failed: they are asked one by one.
                Err(_) => {}
            }
        }
        self.send(calls)
    }

    /// Asks two things of each of several slots, the two in one transaction, so that they are of one instant.
    ///
    /// # Errors
    /// The connection failed.
    pub(super) fn ask_together(
        &mut self,
        pairs: &[(Cmd, Cmd)],
    ) -> RedisResult<Vec<RedisResult<[RedisResult<Value>; 2]>>> {
        let answers: Vec<RedisResult<Value>> = match self {
            Link::One(connection) => {
                let mut pipeline = ::redis::pipe();
                pipeline.ignore_errors();
                for (first, second) in pairs {
                    pipeline.cmd("MULTI").ignore();
                    pipeline.add_command(first.clone()).ignore();
                    pipeline.add_command(second.clone()).ignore();
                    pipeline.cmd("EXEC");
                }
                pipeline.query(connection)?
            }
            Link::Cluster(connection) => {
                let mut answers = Vec::with_capacity(pairs.len());
                for (first, second) in pairs {
                    let mut pair = ::redis::pipe();
                    pair.atomic().add_command(first.clone()).add_command(second.clone());
                    // The answer of EXEC alone, behind those of MULTI and of the two that wait for it.
                    match connection.req_packed_commands(&pair.get_packed_pipeline(), 3, 1) {
                        Err(error) if error.is_io_error() => return Err(error),
                        answer => answers.push(answer.map(|mut values| values.pop().unwrap_or(Value::Nil))),
                    }
                }
                answers
            }
        };
        let pair = |answer: RedisResult<Value>| Ok(from_redis_value::<[RedisResult<Value>; 2]>(answer?)?);
        Ok(answers.into_iter().map(pair).collect())
    }

    fn send<T: FromRedisValue>(&mut self, calls: &[Cmd]) -> RedisResult<Vec<RedisResult<T>>> {
        match self {
            Link::One(connection) => {
                let mut pipeline = ::redis::pipe();
                pipeline.ignore_errors();
                for call in calls {
                    pipeline.add_command(call.clone());
                }
                pipeline.query(connection)
            }
            // The nodes' answers are awaited one by one, since a slot may be on the move.
            Link::Cluster(connection) => calls
                .iter()
                .map(|call| match call.query(&mut **connection) {
                    Err(error) if error.is_io_error() => Err(error),
                    result => Ok(result),
                })
                .collect(),
        }
    }

    fn load(&mut self, script: &Script) -> RedisResult<()> {
        let loaded = match self {
            Link::One(connection) => script.load(&mut **connection),
            Link::Cluster(connection) => script.load(&mut **connection),
        };
        loaded.map(drop)
    }
}

fn cluster(nodes: Vec<ConnectionInfo>) -> RedisResult<Target> {
    let builder =
        ClusterClientBuilder::new(nodes).connection_timeout(CONNECT_TIMEOUT).response_timeout(ANSWER_TIMEOUT);
    Ok(Target::Cluster(Box::new(builder.retries(2).build()?)))
}

/// For reading, a replica is the first choice, and the master the second.
fn sentinel(nodes: &[ConnectionInfo], master: &str, purpose: Purpose) -> RedisResult<Target> {
    let main = sentinel_client(nodes, master, SentinelServerType::Master)?;
    Ok(Target::Sentinel(match purpose {
        Purpose::Writing => vec![main],
        Purpose::Reading => vec![sentinel_client(nodes, master, SentinelServerType::Replica)?, main],
    }))
}

/// The user and password are those of the servers; the sentinels are asked without.
fn sentinel_client(
    nodes: &[ConnectionInfo],
    master: &str,
    server: SentinelServerType,
) -> RedisResult<SentinelClient> {
    let addresses = nodes.iter().map(|node| node.addr().clone());
    let mut builder = SentinelClientBuilder::new(addresses, master, server)?;
    if let Some(node) = nodes.first() {
        let settings = node.redis_settings();
        builder = builder.set_client_to_redis_db(settings.db());
        if let Some(user) = settings.username() {
            builder = builder.set_client_to_redis_username(user);
        }
        if let Some(password) = settings.password() {
            builder = builder.set_client_to_redis_password(password);
        }
        if matches!(node.addr(), ConnectionAddr::TcpTls { .. }) {
            builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
        }
    }
    builder.build()
}
