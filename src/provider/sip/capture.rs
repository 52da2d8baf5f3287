//! Owns the text captures of calls for support: what was said in SIP, masked by the core already, a file a call. A disk
//! that is slow, full or gone costs captures and nothing else.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
};

use crate::{
    id::CallId,
    provider::{Captured, SipMessage},
    sip::{CallKey, Direction, Rung},
    time::Timestamp,
};

/// Most notes that wait for the disk; what comes beyond is counted and lost.
const MAX_WAITING: usize = 4_096;
/// Most files kept; the oldest goes first.
const MAX_FILES: usize = 1_000;
/// Longest file, in bytes. A call with some challenges and refreshes takes 20 KB.
const MAX_FILE_BYTES: usize = 256 * 1024;
/// How every file ends.
const EXTENSION: &str = "sip.txt";

/// Writes captures; the writer ends with it.
#[derive(Debug)]
pub(super) struct Capture(SyncSender<Note>);

#[derive(Debug)]
enum Note {
    /// What the call is known by from now on.
    Named(CallKey, String),
    Said {
        call: CallKey,
        at: Timestamp,
        direction: Direction,
        text: String,
    },
}

impl Capture {
    /// Begins to write into a folder, which is made where it is missing.
    ///
    /// # Errors
    /// It cannot be made, read or written to, or there is no thread to be had.
    pub(super) fn start(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let files = Files::find(folder)?;
        let (sender, notes) = sync_channel(MAX_WAITING);
        std::thread::Builder::new().name(String::from("sip-capture")).spawn(move || write(files, &notes))?;
        Ok(Self(sender))
    }

    /// Names the file of a call. What is said in a call without a name is not captured.
    pub(super) fn name(&self, call: CallKey, name: &str) {
        self.put(Note::Named(call, name.to_owned()));
    }

    /// Captures a message.
    pub(super) fn said(&self, rung: &Rung) {
        if let Some(call) = rung.call {
            self.put(Note::Said { call, at: rung.at, direction: rung.direction, text: rung.text.clone() });
        }
    }

    fn put(&self, note: Note) {
        if self.0.try_send(note).is_err() {
            metrics::counter!("ringproof_sip_captures_lost_total").increment(1);
        }
    }
}

fn write(mut files: Files, notes: &Receiver<Note>) {
    while let Ok(note) = notes.recv() {
        let written = match note {
            Note::Named(call, name) => files.begin(call, &name),
            Note::Said { call, at, direction, text } => files.append(call, &entry(at, direction, &text)),
        };
        if let Err(error) = written {
            metrics::counter!("ringproof_sip_captures_lost_total").increment(1);
            tracing::debug!(%error, "a capture was not written");
        }
    }
}

/// What the folder holds of a call. Reads a file: not on a thread that others wait for.
pub(super) fn read(folder: &Path, call: CallId) -> Captured {
    match fs::read(folder.join(format!("{call}.{EXTENSION}"))) {
        Ok(bytes) => Captured::Messages(messages(&String::from_utf8_lossy(&bytes))),
        Err(_) => Captured::Gone,
    }
}

const SENT: &str = "--> sent";
const RECEIVED: &str = "<-- received";

fn entry(at: Timestamp, direction: Direction, text: &str) -> String {
    let arrow = match direction {
        Direction::Sent => SENT,
        Direction::Received => RECEIVED,
    };
    format!("{} {arrow}\n{}\n\n", at.to_rfc3339(), text.trim_end())
}

/// The entries of a file.
fn messages(text: &str) -> Vec<SipMessage> {
    let mut all: Vec<SipMessage> = Vec::new();
    for line in text.lines() {
        if let Some((at, direction)) = beginning(line) {
            all.push(SipMessage { at, direction, text: String::new() });
        } else if let Some(message) = all.last_mut() {
            message.text.push_str(line);
            message.text.push('\n');
        }
    }
    all.iter_mut().for_each(|message| message.text.truncate(message.text.trim_end().len()));
    all
}

/// The line that an entry begins with.
fn beginning(line: &str) -> Option<(Timestamp, Direction)> {
    let (at, arrow) = line.split_once(' ')?;
    let direction = match arrow {
        SENT => Direction::Sent,
        RECEIVED => Direction::Received,
        _ => return None,
    };
    Some((Timestamp::parse(at).ok()?, direction))
}

struct Files {
    folder: PathBuf,
    /// Names of the files that there are, the oldest first: names begin with a time.
    names: std::collections::VecDeque<String>,
    /// Calls whose file is known, with how much is in it.
    open: BTreeMap<CallKey, (PathBuf, usize)>,
}

impl Files {
    fn find(folder: &Path) -> io::Result<Self> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.ends_with(EXTENSION) {
                names.push(name);
            }
        }
        names.sort();
        Ok(Self { folder: folder.to_owned(), names: names.into(), open: BTreeMap::new() })
    }

    fn begin(&mut self, call: CallKey, name: &str) -> io::Result<()> {
        let name = format!("{name}.{EXTENSION}");
        let path = self.folder.join(&name);
        fs::write(&path, "")?;
        self.names.push_back(name);
        while self.names.len() > MAX_FILES {
            if let Some(oldest) = self.names.pop_front() {
                // Whoever took it away already did what was wanted.
                let _gone = fs::remove_file(self.folder.join(oldest));
            }
        }
        self.open.insert(call, (path, 0));
        // Keys grow: the smallest belongs to the call that began first.
        while self.open.len() > MAX_FILES {
            self.open.pop_first();
        }
        Ok(())
    }

    fn append(&mut self, call: CallKey, text: &str) -> io::Result<()> {
        let Some((path, length)) = self.open.get_mut(&call) else { return Ok(()) };
        if *length + text.len() > MAX_FILE_BYTES {
            return Ok(());
        }
        *length += text.len();
        let mut file = fs::OpenOptions::new().append(true).open(path)?;
        io::Write::write_all(&mut file, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_call_has_a_file_and_the_oldest_go_first() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        let mut files_of = Files::find(folder.path()).unwrap();
        for n in 0..MAX_FILES as u64 + 2 {
            files_of.begin(CallKey(n), &format!("call_{n:05}")).unwrap();
        }
        let names = files(folder.path());
        assert_eq!(names.len(), MAX_FILES + 1);
        assert_eq!((names[0].as_str(), names.last().unwrap().as_str()), ("call_00002.sip.txt", "notes.txt"));
        let said = entry(Timestamp::from_ms(1_500), Direction::Sent, "INVITE sip:x SIP/2.0\r\n\r\n");
        files_of.append(CallKey(7), &said).unwrap();
        files_of.append(CallKey(0), &said).unwrap();
        files_of.append(CallKey(7), &"x".repeat(MAX_FILE_BYTES)).unwrap();
        let text = fs::read_to_string(folder.path().join("call_00007.sip.txt")).unwrap();
        assert_eq!(text, "1970-01-01T00:00:01.500Z --> sent\nINVITE sip:x SIP/2.0\n\n");
        assert_eq!(Files::find(folder.path()).unwrap().names.len(), MAX_FILES, "they are found again");
    }

    #[test]
    fn what_was_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let call = CallId {
            verification: crate::id::VerificationId::new(
                Timestamp::from_ms(1_500),
                [1; 16],
                crate::id::Partition::of(5),
            ),
            index: 0,
        };
        assert_eq!(read(folder.path(), call), Captured::Gone);
        let mut files = Files::find(folder.path()).unwrap();
        files.begin(CallKey(1), &call.to_string()).unwrap();
        assert_eq!(read(folder.path(), call), Captured::Messages(Vec::new()));
        let all = [
            (1_500, Direction::Sent, "INVITE sip:x SIP/2.0\r\nVia: y\r\n\r\nv=0\r\n--> sent"),
            (1_620, Direction::Received, "SIP/2.0 486 Busy Here\r\n\r\n"),
        ];
        for (at, direction, text) in all {
            files.append(CallKey(1), &entry(Timestamp::from_ms(at), direction, text)).unwrap();
        }
        let Captured::Messages(read) = read(folder.path(), call) else { panic!("it is there") };
        let told: Vec<_> = read.iter().map(|m| (m.at.as_ms(), m.direction, m.text.as_str())).collect();
        assert_eq!(
            told,
            [
                (1_500, Direction::Sent, "INVITE sip:x SIP/2.0\nVia: y\n\nv=0\n--> sent"),
                (1_620, Direction::Received, "SIP/2.0 486 Busy Here"),
            ]
        );
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(Capture::start(&file.path().join("below")).is_err());
    }
}
