//! What disks and killed processes can do wrong.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crest_connectors::state::{StateError, StateStore};

fn open(path: &Path) -> Result<StateStore, StateError> {
    StateStore::open(&path.display().to_string(), &BTreeMap::new())
}

/// This test binary once more, to run one test with a variable set, which that test does other things by.
fn this_test_again(name: &str) -> Vec<String> {
    let binary = std::env::current_exe().unwrap().display().to_string();
    [&binary, "--exact", name, "--nocapture"].map(str::to_owned).into()
}

#[test]
fn a_folder_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"not a folder").unwrap();
    for path in [file.clone(), file.join("below")] {
        let refused = open(&path).unwrap_err();
        assert!(matches!(refused, StateError::Refused { .. }), "{refused}");
        assert!(refused.to_string().contains(&path.display().to_string()), "{refused}");
    }

    let missing = folder.path().join("missing");
    let refused = StateStore::open_to_read(&missing.display().to_string(), &BTreeMap::new()).unwrap_err();
    assert!(matches!(refused, StateError::Refused { .. }), "{refused}");
    assert!(!missing.exists(), "opening to read makes nothing");
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_written_is_refused() {
    // Nobody, not even root, can make files in /sys.
    for path in ["/sys", "/sys/crest-data"] {
        let refused = open(Path::new(path)).unwrap_err();
        assert!(matches!(refused, StateError::Refused { .. }), "{refused}");
        assert!(refused.to_string().contains(path), "{refused}");
    }
    StateStore::open_to_read("/sys", &BTreeMap::new()).unwrap();
}

#[test]
fn what_is_no_object_is_neither_listed_nor_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).unwrap();
    store.put("panes/1", vec![1]).unwrap();
    store.replace_manifest(b"m".to_vec(), None).unwrap();
    fs::create_dir(folder.path().join("lost+found")).unwrap();
    fs::write(folder.path().join("lost+found/1"), b"x").unwrap();
    fs::write(folder.path().join("panes/.hidden"), b"x").unwrap();
    fs::write(folder.path().join("a note"), b"x").unwrap();
    let names: Vec<String> = store.list("").unwrap().into_iter().map(|object| object.name).collect();
    assert_eq!(names, ["panes/1"]);
    assert_eq!(store.get("panes").unwrap(), None, "a folder is no object");
    assert_eq!(store.get("panes/1/2").unwrap(), None, "an object is no folder");
    store.delete(&["panes".to_owned(), "panes/1/2".to_owned()]).unwrap();
    assert_eq!(store.get("panes/1").unwrap(), Some(vec![1]));
}

#[test]
fn a_root_that_is_gone_is_not_made_again() {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("mounted");
    let store = open(&root).unwrap();
    fs::remove_dir_all(&root).unwrap();
    for failed in [store.put("panes/1", vec![1]).err(), store.replace_manifest(vec![1], None).err()] {
        assert!(failed.as_ref().is_some_and(StateError::is_transient), "{failed:?}");
    }
    assert!(!root.exists());
}

/// A writer is killed while it writes objects and a manifest that names them, over and over. Whatever the
/// instant, the manifest is whole, what it names is there, and nothing half-written is left once the store was
/// opened again.
#[test]
fn a_killed_writer_leaves_one_whole_manifest() {
    const VARIABLE: &str = "CREST_TEST_WRITER_FOLDER";
    const OBJECTS: usize = 4;
    if let Ok(folder) = std::env::var(VARIABLE) {
        return write_for_ever(Path::new(&folder), OBJECTS);
    }
    let folder = tempfile::tempdir().unwrap();
    for round in 0..12 {
        let again = this_test_again("folder::a_killed_writer_leaves_one_whole_manifest");
        let mut writer = Command::new(&again[0])
            .args(&again[1..])
            .env(VARIABLE, folder.path())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(writer.stderr.take().unwrap()).lines();
        let ready = lines.map_while(Result::ok).any(|line| line.contains("writing"));
        thread::sleep(Duration::from_millis(3 + 7 * round));
        writer.kill().unwrap(); // SIGKILL
        writer.wait().unwrap();
        assert!(ready);

        let store = open(folder.path()).unwrap();
        let unfinished = fs::read_dir(folder.path().join(".unfinished")).unwrap().count();
        assert_eq!(unfinished, 0, "what was left half-written is gone");
        let Some(manifest) = store.manifest().unwrap() else { continue };
        let text = String::from_utf8(manifest.bytes).unwrap();
        let (number, filling) = text.split_once('\n').unwrap();
        assert_eq!(filling, "m".repeat(100_000), "the manifest is whole");
        for object in 0..OBJECTS {
            let bytes = store.get(&format!("panes/{number}/{object}")).unwrap();
            assert_eq!(bytes.map(|bytes| bytes.len()), Some(20_000), "{number}/{object} is there");
        }
    }
    assert!(open(folder.path()).unwrap().manifest().unwrap().is_some(), "something was written in 12 rounds");
}

fn write_for_ever(folder: &Path, objects: usize) {
    let store = open(folder).unwrap();
    let mut found = store.manifest().unwrap();
    eprintln!("writing");
    let mut number = 0_u64;
    loop {
        number += 1;
        let name = format!("{}-{number}", std::process::id());
        let panes = (0..objects).map(|object| (format!("panes/{name}/{object}"), vec![7; 20_000]));
        store.put_all(panes.collect()).unwrap();
        let manifest = format!("{name}\n{}", "m".repeat(100_000)).into_bytes();
        store.replace_manifest(manifest, found.as_ref().map(|found| &found.version)).unwrap();
        found = store.manifest().unwrap();
    }
}

/// On a file system of its own, in a name space of its own that ends with the process: this needs the right to
/// make one, as root or by user name spaces. Where neither is to be had, it says so, and
/// only the device that is always full speaks for it (in the tests of the staging area).
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_loses_nothing() {
    const VARIABLE: &str = "CREST_TEST_FULL_DISK";
    if let Ok(folder) = std::env::var(VARIABLE) {
        fill(Path::new(&folder));
        return println!("the disk was filled");
    }
    let folder = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=256k crest-test \"$CREST_TEST_FULL_DISK\" && exec \"$@\"";
    let output = Command::new("unshare")
        .args(["--mount", "--map-root-user", "sh", "-c", mount, "sh"])
        .args(this_test_again("folder::a_full_disk_loses_nothing"))
        .env(VARIABLE, folder.path())
        .output();
    let Ok(output) = output else { return skip("there is no `unshare`") };
    let told =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if !told.contains("running 1 test") {
        return skip(&format!("no file system may be mounted here: {told}"));
    }
    assert!(output.status.success() && told.contains("the disk was filled"), "{told}");
}

/// Says that the test can do nothing here, past the capture of its output. Where `CREST_TEST_ALL` is set, it fails.
#[cfg(target_os = "linux")]
fn skip(why: &str) {
    assert!(std::env::var_os("CREST_TEST_ALL").is_none(), "CREST_TEST_ALL is set, and it needs more: {why}");
    let _ = writeln!(std::io::stderr(), "\nSKIPPED a_full_disk_loses_nothing: {why}");
}

fn fill(folder: &Path) {
    let store = open(folder).unwrap();
    let version = store.replace_manifest(b"before".to_vec(), None).unwrap();
    let mut written = Vec::new();
    let full = loop {
        let name = format!("panes/{}", written.len());
        match store.put(&name, vec![1; 50_000]) {
            Ok(()) => written.push(name),
            Err(error) => break error,
        }
        assert!(written.len() < 10, "256 KiB hold no ten times 50,000 bytes");
    };
    assert!(matches!(&full, StateError::NoSpace { url } if url.contains("/panes/")), "{full}");
    let many = (0..20).map(|number| (format!("more/{number}"), vec![1; 50_000])).collect();
    assert!(matches!(store.put_all(many), Err(StateError::NoSpace { .. })));
    let manifest = store.replace_manifest(vec![2; 100_000], Some(&version));
    assert!(matches!(manifest, Err(StateError::NoSpace { .. })), "{manifest:?}");

    assert_eq!(store.manifest().unwrap().unwrap().bytes, b"before", "the old one is whole");
    for object in store.list("").unwrap() {
        assert_eq!(object.bytes, 50_000, "{} is whole", object.name);
    }
    assert_eq!(fs::read_dir(folder.join(".unfinished")).unwrap().count(), 0);

    let names: Vec<String> = store.list("").unwrap().into_iter().map(|object| object.name).collect();
    store.delete(&names).unwrap();
    store.put(&written[0], vec![1; 50_000]).unwrap();
    store.replace_manifest(b"after".to_vec(), Some(&version)).unwrap();
}
