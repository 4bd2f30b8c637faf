//! Clusters whose processes know each other by their certificates.

use super::*;
use crate::args::RunArgs;
use crate::file::{ClusterSection, File, TlsSection};
use crate::settings::Settings;
use std::net::Shutdown;
use std::path::PathBuf;
use timely_communication::allocator::zero_copy::stream::Stream;

#[path = "../../../tests/common/authority.rs"]
mod authority;

use authority::Authority;

/// A process with these files, as the settings read them.
fn tls_shape(addresses: &[String], process: usize, [certificate, key, authority]: [PathBuf; 3]) -> Shape {
    let files =
        TlsSection { certificate: Some(certificate), key: Some(key), authority: Some(authority), name: None };
    let cluster = ClusterSection { tls: files, ..ClusterSection::default() };
    let file = File { cluster, ..File::default() };
    let settings = Settings::resolve(&RunArgs::default(), file).unwrap();
    Shape { access: settings.shape.access, ..shape(addresses, process) }
}

fn start_tls(addresses: &[String], process: usize, files: [PathBuf; 3]) -> Joining {
    let shape = tls_shape(addresses, process, files);
    let hello = hello(&shape);
    start(shape, hello)
}

#[test]
fn processes_with_certificates_of_one_authority_meet() {
    let (dir, authority, addresses) = (tempfile::tempdir().unwrap(), Authority::new(), addresses(3));
    let files = |process: usize| authority.sign(&dir.path().join(process.to_string()), "127.0.0.1");
    complete([0, 1, 2].map(|process| start_tls(&addresses, process, files(process))).into());
}

#[test]
fn who_is_not_trusted_is_named_at_the_deadline() {
    let (dir, ours, other) = (tempfile::tempdir().unwrap(), Authority::new(), Authority::new());
    let right = ours.sign(&dir.path().join("right"), "127.0.0.1");
    let expired = ours.sign_for_the_past(&dir.path().join("expired"), "127.0.0.1");
    let elsewhere = ours.sign(&dir.path().join("elsewhere"), "127.0.0.2");
    let foreign = other.sign(&dir.path().join("foreign"), "127.0.0.1");
    let refuses = "does not accept this process's certificate";
    let cases = [
        (0, Some(expired.clone()), "has a certificate that has expired", refuses),
        (1, Some(expired), "has a certificate that has expired", refuses),
        (0, Some(elsewhere.clone()), "has a certificate for another host", refuses),
        // It is trusted until it says which process it is, and then hears nothing more.
        (1, Some(elsewhere), "has a certificate for another host", "waited for process 0"),
        // The caller is the first to see the other one's certificate.
        (1, Some(foreign), refuses, "has a certificate of another authority"),
        (0, None, "hangs up where TLS begins", "speaks TLS, as this process does not"),
        (1, None, "does not speak TLS", "speaks TLS, as this process does not"),
    ];
    let wait = |shape: Shape| {
        std::thread::spawn(move || join(&shape, hello(&shape), Duration::from_secs(4), || false))
    };
    let waiting = cases.map(|(wrong, files, seen_by_right, seen_by_wrong)| {
        let addresses = addresses(2);
        let good = wait(tls_shape(&addresses, 1 - wrong, right.clone()));
        let bad = wait(match files {
            Some(files) => tls_shape(&addresses, wrong, files),
            None => shape(&addresses, wrong),
        });
        [(good, seen_by_right), (bad, seen_by_wrong)]
    });
    for (joining, expected) in waiting.into_iter().flatten() {
        let error = joining.join().unwrap().unwrap_err();
        assert_eq!(error.cause(), Cause::Failure, "it may be a stranger who brings it about: {error}");
        assert!(error.to_string().contains(expected), "{expected:?} is not in {error}");
    }
}

/// The two ends of a connection of a cluster of two.
fn connection() -> [Link; 2] {
    let (dir, authority, addresses) = (tempfile::tempdir().unwrap(), Authority::new(), addresses(2));
    let files = authority.sign(dir.path(), "127.0.0.1");
    let joining = [0, 1].map(|process| start_tls(&addresses, process, files.clone()));
    joining.map(|joining| joining.join().unwrap().unwrap().sockets.into_iter().flatten().next().unwrap())
}

#[test]
fn both_ends_say_much_at_once_and_each_hears_all_and_that_it_was_all() {
    let said: Vec<u8> = (0..8 << 20).map(|i: u32| (i ^ (i >> 8)) as u8).collect();
    let ends = connection();
    std::thread::scope(|scope| {
        for end in &ends {
            let (mut writer, said) = (end.try_clone().unwrap(), &said);
            scope.spawn(move || {
                writer.write_all(said).unwrap();
                writer.shutdown(Shutdown::Write).unwrap();
            });
            scope.spawn(move || {
                let mut heard = Vec::new();
                let mut end = end;
                end.read_to_end(&mut heard).unwrap();
                assert!(heard == *said);
            });
        }
    });
}

#[test]
fn a_connection_that_is_cut_off_is_an_error_and_no_end() {
    let [mut first, second] = connection();
    (&second).write_all(b"half of it").unwrap();
    drop(second);
    let mut heard = Vec::new();
    let error = first.read_to_end(&mut heard).unwrap_err();
    assert_eq!((&heard[..], error.kind()), (&b"half of it"[..], std::io::ErrorKind::UnexpectedEof));
}
