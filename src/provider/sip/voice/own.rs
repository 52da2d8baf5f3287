//! Owns reading a customer's own recordings from a folder. What they are for is known by their names elsewhere.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::library::{Own, OwnRecordings};
use crate::{
    callflow::{Diagnostic, Rule},
    sip::media::clip,
};

/// Most recordings of a customer that are read.
pub const MAX_RECORDINGS: usize = 4_096;
/// Most folders of languages.
const MAX_FOLDERS: usize = 64;
/// Largest file that says what a recording says, in bytes.
const MAX_TRANSCRIPT_BYTES: u64 = 4_096;

/// The recordings of a folder and of the folders in it, each of a language; and what cannot be played.
pub(super) fn read(folder: &Path) -> (OwnRecordings, Vec<Diagnostic>) {
    let (mut own, mut faults) = (OwnRecordings::new(), Vec::new());
    let mut left = MAX_RECORDINGS;
    let mut read_into = |name: &str, folder: &Path, faults: &mut Vec<Diagnostic>| {
        let recordings = read_one(folder, &mut left, faults);
        if !recordings.is_empty() {
            own.insert(name.to_ascii_lowercase(), recordings);
        }
    };
    read_into("", folder, &mut faults);
    for path in entries(folder, &mut faults).into_iter().filter(|path| path.is_dir()).take(MAX_FOLDERS) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        read_into(&name, &path, &mut faults);
    }
    if left == 0 {
        let help = "remove those that no flow plays";
        faults.push(fault(folder, &format!("holds more than {MAX_RECORDINGS} recordings"), help));
    }
    (own, faults)
}

fn read_one(folder: &Path, left: &mut usize, faults: &mut Vec<Diagnostic>) -> BTreeMap<String, Own> {
    let mut recordings = BTreeMap::new();
    let is_wav = |path: &PathBuf| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("wav"));
    for path in entries(folder, faults).into_iter().filter(is_wav) {
        let Some(fewer) = left.checked_sub(1) else { break };
        *left = fewer;
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        match bytes(&path) {
            Ok(file) => match clip::read(&file) {
                Ok(samples) => {
                    let transcript = transcript(&path.with_extension("txt"));
                    recordings.insert(stem, Own { path, clip: Arc::from(samples), transcript });
                }
                Err(why) => {
                    let help = "telephones play 8000 samples a second of one channel: \
                                sox in.wav -r 8000 -c 1 -e u-law out.wav";
                    faults.push(fault(&path, &why.to_string(), help));
                }
            },
            Err(why) => faults.push(fault(&path, &format!("cannot be read: {why}"), "correct its rights")),
        }
    }
    recordings
}

/// What is in a folder, by name.
fn entries(folder: &Path, faults: &mut Vec<Diagnostic>) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = match fs::read_dir(folder) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(why) => {
            faults.push(fault(folder, &format!("cannot be read: {why}"), "correct its rights"));
            Vec::new()
        }
    };
    paths.sort();
    paths
}

/// A file, or what is enough of it to see that it is too large.
fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    use io::Read as _;
    let most = u64::try_from(clip::MAX_FILE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What was read out, where somebody wrote it down.
fn transcript(path: &Path) -> Option<String> {
    let size = fs::metadata(path).ok()?.len();
    let text = (size <= MAX_TRANSCRIPT_BYTES).then(|| fs::read_to_string(path).ok()).flatten()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn fault(path: &Path, message: &str, help: &str) -> Diagnostic {
    Diagnostic {
        file: path.display().to_string(),
        line: 1,
        column: 1,
        rule: Rule::Audio,
        message: message.to_owned(),
        suggestion: help.to_owned(),
    }
}
