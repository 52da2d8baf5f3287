//! Owns secrets given as files: `KEY_file` names a file whose content becomes `KEY`, so that the value stands neither in
//! the settings nor in the environment. It knows which settings are secret.

use std::{fs::File, io::Read, path::PathBuf};

use toml::Value;

use super::tree::{Path, Place, Tree};

/// What is put behind the name of a secret for the file that holds it.
const SUFFIX: &str = "_file";
/// Largest file of a secret, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// Secrets by their section and key; `*` stands for every entry of a list, a name for a table below the section.
const SECRETS: [[&str; 3]; 17] = [
    ["store", "", "url"],
    ["store", "", "password"],
    ["numbers", "", "hash_key"],
    ["callbacks", "", "secret"],
    ["callbacks", "", "secret_previous"],
    ["traces", "", "headers"],
    ["client", "", "api_key"],
    ["console", "oidc", "client_secret"],
    ["carriers", "*", "auth_token"],
    ["carriers", "*", "auth_token_previous"],
    ["carriers", "*", "api_key_secret"],
    // A table of secrets by their ids.
    ["carriers", "*", "shared_keys"],
    ["carriers", "*", "password"],
    ["carriers", "*", "client_key"],
    ["carriers", "*", "identity_key"],
    // Certificates are no secrets, but nobody writes them into settings either.
    ["carriers", "*", "client_certificate"],
    ["carriers", "*", "ca"],
];

/// Whether a setting is secret.
pub(super) fn is_secret(path: &Path) -> bool {
    match path.segments() {
        [section, key] => SECRETS.contains(&[section, "", key]),
        [section, entry, key, ..] => SECRETS.contains(&[section, "*", key]) || SECRETS.contains(&[section, entry, key]),
        [] | [_] => false,
    }
}

/// Puts the contents of files in the place of `…_file` settings. Relative paths begin at the folder of the file of
/// settings that names them.
pub(super) fn resolve(tree: &mut Tree) {
    for [section, entry, key] in SECRETS {
        let section = Path::of(&[section]);
        if entry == "*" {
            let entries = tree.get(&section).and_then(Value::as_array).map_or(0, Vec::len);
            for index in 0..entries {
                resolve_one(tree, &section.child(index.to_string()).child(key));
            }
        } else if !entry.is_empty() {
            resolve_one(tree, &section.child(entry).child(key));
        } else {
            resolve_one(tree, &section.child(key));
        }
    }
}

/// The same for what the commands need.
pub(super) fn resolve_client(tree: &mut Tree) {
    resolve_one(tree, &Path::of(&["client", "api_key"]));
}

fn resolve_one(tree: &mut Tree, secret: &Path) {
    let Some(above) = secret.parent() else { return };
    let named = above.child(format!("{}{SUFFIX}", secret.last()));
    let Some(files) = tree.take(&named) else { return };
    if tree.get(secret).is_some() {
        tree.fault(&named, format!("there is `{}` too; give one of them", secret.last()));
        return;
    }
    match files {
        Value::String(file) => put(tree, &named, secret, &file),
        Value::Table(files) => {
            for (id, file) in files {
                let Value::String(file) = file else {
                    tree.fault(&named.child(id), "expected the name of a file, in quotes");
                    continue;
                };
                put(tree, &named.child(id.clone()), &secret.child(id), &file);
            }
        }
        Value::Array(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {
            tree.fault(&named, "expected the name of a file, in quotes");
            stand_in(tree, secret);
        }
    }
}

fn put(tree: &mut Tree, named: &Path, secret: &Path, file: &str) {
    tree.move_place(named, secret);
    match read(&beside(&tree.place(named), file)) {
        Ok(text) => {
            tree.put(secret, Value::String(text));
        }
        Err(why) => {
            tree.fault(named, format!("{file}: {why}"));
            stand_in(tree, secret);
        }
    }
}

/// Keeps the secret from being called missing: what is wrong has been said.
fn stand_in(tree: &mut Tree, secret: &Path) {
    tree.put(secret, Value::String(String::from("unread")));
    tree.mark_bad(secret);
}

fn beside(place: &Place, file: &str) -> PathBuf {
    let folder = match place {
        Place::File { path, .. } => std::path::Path::new(&**path).parent(),
        Place::Environment(_) | Place::Flag(_) | Place::Nowhere => None,
    };
    folder.map_or_else(|| PathBuf::from(file), |folder| folder.join(file))
}

/// The text of a file that holds one secret, without the end of its line.
pub(super) fn read(path: &std::path::Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    let mut text = String::new();
    let read =
        file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|error| format!("cannot be read: {error}"))?;
    if u64::try_from(read).unwrap_or(u64::MAX) > MAX_BYTES {
        return Err(format!("is larger than {MAX_BYTES} bytes; it should hold one secret"));
    }
    let secret = text.trim();
    if secret.is_empty() { Err(String::from("is empty")) } else { Ok(secret.to_owned()) }
}
