//! Clusters whose processes know each other by their certificates.

use super::*;
use crate::args::RunArgs;
use crate::cluster::certificates::Certificates;
use crate::cluster::distrust::Distrust;
use crate::file::{ClusterSection, File, TlsSection};
use crate::settings::Settings;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::net::Shutdown;
use std::path::PathBuf;
use std::sync::Arc;
use timely_communication::allocator::zero_copy::stream::Stream;

#[path = "../../../tests/common/authority.rs"]
mod authority;

use authority::Authority;

/// A process with these files, as the settings read them.
fn tls_shape(addresses: &[String], process: usize, files: [PathBuf; 3]) -> ClusterShape {
    named_shape(addresses, process, files, None)
}

/// The same, where the certificates of all processes are for one name.
fn named_shape(
    addresses: &[String],
    process: usize,
    files: [PathBuf; 3],
    name: Option<&str>,
) -> ClusterShape {
    let [certificate, key, authority] = files.map(Some);
    let files = TlsSection { certificate, key, authority, name: name.map(str::to_owned) };
    let cluster = ClusterSection { tls: files, ..ClusterSection::default() };
    let file = File { cluster, ..File::default() };
    let settings = Settings::resolve(&RunArgs::default(), file).unwrap();
    ClusterShape { access: settings.shape.access, ..shape(addresses, process) }
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
fn one_name_may_be_what_all_certificates_are_for() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let files = authority.sign(&dir.path().join("all"), "crest.internal");
    let wait = |shape: ClusterShape| {
        let hello = hello(&shape);
        std::thread::spawn(move || join(&shape, hello, Duration::from_secs(4), || false))
    };
    let two = addresses(2);
    let all = [0, 1].map(|process| wait(named_shape(&two, process, files.clone(), Some("crest.internal"))));
    assert!(all.map(|joining| joining.join().unwrap().is_ok()).iter().all(|met| *met));
    // For a host, which does not count then.
    let (two, of_host) = (addresses(2), authority.sign(&dir.path().join("host"), "127.0.0.1"));
    let right = wait(named_shape(&two, 0, files.clone(), Some("crest.internal")));
    let wrong = wait(named_shape(&two, 1, of_host, Some("crest.internal")));
    let error = right.join().unwrap().unwrap_err().to_string();
    assert!(error.contains("has a certificate for another host"), "{error}");
    assert!(wrong.join().unwrap().is_err());
    // A cluster of another size is refused at once, since all have the same name.
    let three = addresses(3);
    let small = wait(named_shape(&three[..2], 0, files.clone(), Some("crest.internal")));
    let large = wait(named_shape(&three, 2, files, Some("crest.internal")));
    for joining in [small, large] {
        let error = joining.join().unwrap().unwrap_err();
        assert!(error.to_string().contains("the number of processes is"), "{error}");
        assert_eq!(error.cause(), Cause::Mismatch);
    }
}

#[test]
fn a_process_of_a_larger_cluster_is_said_to_be_one() {
    let (dir, authority, three) = (tempfile::tempdir().unwrap(), Authority::new(), addresses(3));
    let files = authority.sign(dir.path(), "127.0.0.1");
    let certificates =
        Certificates::new(tls_shape(&three, 0, files).access.tls.as_ref().unwrap(), &three[..2]);
    let [_, caller] = connection();
    let wrong = certificates.unwrap().wrong(&caller, 2);
    assert_eq!(wrong, Some(Distrust::Unknown(2)));
}

#[test]
fn a_caller_without_a_certificate_is_refused() {
    let (dir, authority, two) = (tempfile::tempdir().unwrap(), Authority::new(), addresses(2));
    let joining = {
        let shape = tls_shape(&two, 0, authority.sign(dir.path(), "127.0.0.1"));
        let hello = hello(&shape);
        std::thread::spawn(move || join(&shape, hello, Duration::from_secs(3), || false))
    };
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut client = ClientConnection::new(Arc::new(config), "127.0.0.1".try_into().unwrap()).unwrap();
    let mut stream = loop {
        match TcpStream::connect(&two[0]) {
            Ok(stream) => break stream,
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let mut heard = Vec::new();
    assert!(rustls::Stream::new(&mut client, &mut stream).read_to_end(&mut heard).is_err());
    assert_eq!(heard, b"");
    let error = joining.join().unwrap().unwrap_err().to_string();
    assert!(error.contains("has no certificate"), "{error}");
}

#[test]
fn a_key_that_is_not_the_certificate_s_is_said_to_be_wrong() {
    let (dir, authority, two) = (tempfile::tempdir().unwrap(), Authority::new(), addresses(2));
    let [certificate, key, ca] = authority.sign(&dir.path().join("one"), "127.0.0.1");
    let [_, other, _] = authority.sign(&dir.path().join("other"), "127.0.0.1");
    let refusal = |files: [PathBuf; 3]| {
        let shape = tls_shape(&two, 0, files);
        Certificates::new(shape.access.tls.as_ref().unwrap(), &two).err().unwrap().to_string()
    };
    let error = refusal([certificate, other.clone(), ca.clone()]);
    assert!(error.contains("cluster.tls.key") && error.contains("not the certificate's"), "{error}");
    assert!(error.contains(other.to_str().unwrap()), "{error}");
    // A certificate in whose PEM is something else.
    let garbage = dir.path().join("garbage.pem");
    std::fs::write(&garbage, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let error = refusal([garbage, key, ca]);
    assert!(error.contains("cluster.tls.certificate"), "{error}");
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
    let wait = |shape: ClusterShape| {
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
