//! Owns the durable form of the ordered table, a `redb` file, and the one thread that writes it: it gathers the changes
//! that wait, writes them in one transaction, and answers each only after that transaction is on the disk.

use std::{
    fs,
    ops::ControlFlow,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use redb::{
    Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, TableDefinition, backends::FileBackend,
};

use super::{
    super::StoreError,
    ops,
    table::{Read, Visit, Write},
};
use crate::time::Clock;

/// A change that waits: done within the transaction; the returned closure is told whether that became durable.
pub(super) type Job = Box<dyn FnOnce(&mut dyn Write) -> Answer + Send>;

/// What a [`Job`] leaves behind: given the fault of the transaction, or none, it answers who waits.
pub(super) type Answer = Box<dyn FnOnce(Option<String>) + Send>;

/// The file, and the thread that writes it.
pub(super) struct Disk {
    database: Arc<Database>,
    jobs: Option<mpsc::SyncSender<Job>>,
    writer: Option<JoinHandle<()>>,
}

impl Disk {
    pub(super) fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let database = Arc::new(open_database(dir)?);
        let (jobs, waiting) = mpsc::sync_channel(WAITING_JOBS);
        let of_writer = Arc::clone(&database);
        let writer = std::thread::Builder::new()
            .name(String::from("store"))
            .spawn(move || write_all(&of_writer, clock.as_ref(), &waiting))
            .map_err(|error| StoreError::Away(error.to_string()))?;
        Ok(Self { database, jobs: Some(jobs), writer: Some(writer) })
    }

    /// Hands a change to the writer. When more wait than it can hold, this one is refused at once.
    pub(super) fn submit(&self, job: Job) -> Result<(), StoreError> {
        let jobs = self.jobs.as_ref().ok_or_else(stopped)?;
        jobs.try_send(job).map_err(|error| match error {
            mpsc::TrySendError::Full(_) => StoreError::Away(String::from("too many changes wait for the disk")),
            mpsc::TrySendError::Disconnected(_) => stopped(),
        })
    }

    /// Reads a snapshot: everything that was answered before is in it.
    pub(super) fn read<T>(&self, read: impl FnOnce(&dyn Read) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let transaction = self.database.begin_read().map_err(away)?;
        read(&Snapshot(transaction.open_table(TABLE).map_err(away)?))
    }
}

impl Drop for Disk {
    /// Lets the writer finish what was handed to it.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn open_database(dir: &Path) -> Result<Database, StoreError> {
    let refused = |error: std::io::Error| {
        StoreError::Setup(format!("{} cannot be used: {error}; give ringproof a directory of its own", dir.display()))
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(refused)?;
    let path = dir.join(FILE);
    let file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(refused)?;
    let unusable = |error| {
        if matches!(error, DatabaseError::DatabaseAlreadyOpen) {
            StoreError::Setup(format!(
                "{} is used by another ringproof; stop it, or use Redis for several beside each other",
                dir.display()
            ))
        } else {
            StoreError::Setup(format!("{} cannot be read as a store: {error}", dir.display()))
        }
    };
    let backend = FileBackend::new(file).map_err(unusable)?;
    let database = Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(backend).map_err(unusable)?;
    let transaction = database.begin_write().map_err(away)?;
    transaction.open_table(TABLE).map_err(away)?;
    transaction.commit().map_err(away)?;
    Ok(database)
}

fn write_all(database: &Database, clock: &dyn Clock, waiting: &mpsc::Receiver<Job>) {
    loop {
        let first = match waiting.recv_timeout(IDLE_SWEEP) {
            Ok(job) => Some(job),
            Err(mpsc::RecvTimeoutError::Timeout) => None,
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        };
        let is_idle = first.is_none();
        let group: Vec<Job> = first.into_iter().chain(waiting.try_iter().take(JOBS_PER_GROUP)).collect();
        let sweep = if is_idle { SWEEP_WHEN_IDLE } else { SWEEP_PER_GROUP.max(group.len() * SWEEP_PER_JOB) };
        write_group(database, clock, group, sweep);
    }
}

fn write_group(database: &Database, clock: &dyn Clock, group: Vec<Job>, sweep: usize) {
    let mut answers = Vec::with_capacity(group.len());
    let written = (|| {
        let mut transaction = database.begin_write().map_err(away)?;
        transaction.set_durability(Durability::Immediate).map_err(away)?;
        {
            let mut table = Open { table: transaction.open_table(TABLE).map_err(away)?, fault: None };
            answers.extend(group.into_iter().map(|job| job(&mut table)));
            ops::sweep(&mut table, clock.now(), sweep)?;
            if let Some(fault) = table.fault {
                return Err(StoreError::Away(fault));
            }
        }
        transaction.commit().map_err(away)
    })();
    let fault = written.err().map(|error| error.to_string());
    answers.into_iter().for_each(|answer| answer(fault.clone()));
}

type Bytes = &'static [u8];

/// A read transaction's view.
struct Snapshot(redb::ReadOnlyTable<Bytes, Bytes>);

/// The table within the write transaction. It keeps the first fault: after one, nothing of the transaction is committed.
struct Open<'t> {
    table: redb::Table<'t, Bytes, Bytes>,
    fault: Option<String>,
}

impl Open<'_> {
    fn noted<T>(&mut self, result: Result<T, redb::StorageError>) -> Result<T, StoreError> {
        result.map_err(|error| {
            self.fault.get_or_insert_with(|| error.to_string());
            away(error)
        })
    }
}

fn get(table: &impl ReadableTable<Bytes, Bytes>, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(table.get(key).map_err(away)?.map(|value| value.value().to_vec()))
}

fn up(
    table: &impl ReadableTable<Bytes, Bytes>,
    from: &[u8],
    to: &[u8],
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    if from < to {
        for entry in table.range(from..to).map_err(away)? {
            let (key, value) = entry.map_err(away)?;
            if let ControlFlow::Break(()) = visit(key.value(), value.value()) {
                break;
            }
        }
    }
    Ok(())
}

fn down(
    table: &impl ReadableTable<Bytes, Bytes>,
    from: &[u8],
    to: &[u8],
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    if from < to {
        for entry in table.range(from..to).map_err(away)?.rev() {
            let (key, value) = entry.map_err(away)?;
            if let ControlFlow::Break(()) = visit(key.value(), value.value()) {
                break;
            }
        }
    }
    Ok(())
}

impl Read for Snapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        get(&self.0, key)
    }

    fn up(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        up(&self.0, from, to, visit)
    }

    fn down(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        down(&self.0, from, to, visit)
    }
}

impl Read for Open<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        get(&self.table, key)
    }

    fn up(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        up(&self.table, from, to, visit)
    }

    fn down(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        down(&self.table, from, to, visit)
    }
}

impl Write for Open<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let result = self.table.insert(key, value).map(drop);
        self.noted(result)
    }

    fn remove(&mut self, key: &[u8]) -> Result<(), StoreError> {
        let result = self.table.remove(key).map(drop);
        self.noted(result)
    }
}

fn away(error: impl std::fmt::Display) -> StoreError {
    StoreError::Away(error.to_string())
}

fn stopped() -> StoreError {
    StoreError::Away(String::from("the writer of the embedded store has stopped"))
}

const TABLE: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("ringproof-1");
const FILE: &str = "ringproof.redb";
/// Memory for pages of the file.
const CACHE_BYTES: usize = 8 << 20;
/// Most changes that wait for the writer.
const WAITING_JOBS: usize = 16_384;
/// Most further changes that one transaction takes along.
const JOBS_PER_GROUP: usize = 511;
/// Expired entries removed with each group, and with each change of a larger one: more than a change leaves behind.
const SWEEP_PER_GROUP: usize = 64;
const SWEEP_PER_JOB: usize = 4;
/// Expired entries removed in one go while nothing else is to do.
const SWEEP_WHEN_IDLE: usize = 2_000;
/// How often an idle writer looks for expired entries.
const IDLE_SWEEP: Duration = Duration::from_secs(10);
