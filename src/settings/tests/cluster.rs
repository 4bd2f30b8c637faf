//! Who may take part in a cluster: when a secret is wanted, where it comes from, and that nobody is shown it; and which files
//! TLS takes.

use super::*;
use crate::settings::ClusterAccess;

const SECRET: &str = "hidden-0123456789";

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn access(line: &str, file: &str) -> ClusterAccess {
    settings(line, file).unwrap().shape.access
}

fn secret(text: &str) -> Option<Secret> {
    Some(Secret::new(text))
}

#[test]
fn a_secret_is_wanted_where_other_machines_may_reach_an_address() {
    let line = |hosts: &tempfile::NamedTempFile, more: &str| {
        format!("-n 2 -p 1 --hostfile {} {more}", hosts.path().display())
    };
    let wanted = "may be reached by other machines, so that the cluster needs a secret: CREST_CLUSTER_SECRET or \
                  --cluster-secret-file, the same for all processes (or --cluster-insecure)";
    for reached in
        ["10.0.0.1:2101", "a:2101", "0.0.0.0:2101", "[::]:2101", "[2001:db8::1]:2101", "127.0.0.1.x:1"]
    {
        let hosts = file(&format!("127.0.0.1:2101\n{reached}\n"));
        assert_eq!(refusal(&line(&hosts, ""), ""), format!("--hostfile = {reached}: {wanted}"));
        assert_eq!(access(&line(&hosts, &format!("--cluster-secret {SECRET}")), "").secret, secret(SECRET));
        for (flag, file) in [("--cluster-insecure", ""), ("", "[cluster]\ninsecure = true\n")] {
            let access = access(&line(&hosts, flag), file);
            assert_eq!((access.secret, access.insecure), (None, true));
        }
        let alone = line(&hosts, "").replace("-n 2 -p 1", "-n 1 -p 0");
        assert_eq!(access(&alone, ""), ClusterAccess::default(), "one process listens nowhere");
    }
    for own in ["127.0.0.1:2102", "127.8.8.8:2101", "[::1]:2101", "localhost:2101", "[::ffff:127.0.0.1]:2101"]
    {
        let hosts = file(&format!("127.0.0.1:2101\n{own}\n"));
        assert_eq!(access(&line(&hosts, ""), ""), ClusterAccess::default(), "{own}");
    }
    assert_eq!(access("-n 4", ""), ClusterAccess::default());
}

#[test]
fn a_secret_comes_from_the_nearest_place_that_has_one() {
    let kept = file("  in a file 0123456789\n");
    let by_file = format!("--cluster-secret-file {}", kept.path().display());
    let both = format!("[cluster]\nsecret_file = {:?}\n", kept.path());
    let inline = format!("[cluster]\nsecret = \"{SECRET}\"\n");
    assert_eq!(
        access(&by_file, &inline).secret,
        secret("in a file 0123456789"),
        "without the white space around it"
    );
    assert_eq!(access(&by_file, &inline).secret_file.as_deref(), Some(kept.path()));
    assert_eq!(access("", &both).secret, secret("in a file 0123456789"));
    assert_eq!(access("", &inline).secret, secret(SECRET));
    let typed_and_set = |line: &str, set: &str| {
        let mut run = typed(line);
        run.from_environment.insert(set.to_owned());
        Settings::resolve(&run, File::default()).map(|settings| settings.shape.access.secret)
    };
    let all = format!("--cluster-secret {SECRET} {by_file}");
    assert_eq!(typed_and_set(&all, "cluster_secret").unwrap(), secret("in a file 0123456789"));
    assert_eq!(typed_and_set(&all, "cluster_secret_file").unwrap(), secret(SECRET));
    assert_eq!(refusal(&all, ""), "--cluster-secret = ***: must not stand beside --cluster-secret-file");
}

#[test]
fn a_secret_that_is_guessed_or_cannot_be_read_is_refused_and_not_shown() {
    let length = "must be 16 to 4096 bytes long";
    assert_eq!(refusal("--cluster-secret hidden", ""), format!("--cluster-secret = ***: {length}"));
    assert_eq!(
        refusal("", "[cluster]\nsecret = \"\"\n"),
        format!("crest.toml: cluster.secret = ***: {length}")
    );
    let mut run = typed("");
    run.cluster.cluster_secret = Some(String::new());
    run.from_environment.insert("cluster_secret".into());
    let text = Settings::resolve(&run, File::default()).unwrap_err().to_string();
    assert_eq!(text, format!("CREST_CLUSTER_SECRET = ***: {length}"), "an empty variable is no secret");
    let short = file("hidden\n");
    let (line, shown) = (format!("--cluster-secret-file {}", short.path().display()), short.path().display());
    assert_eq!(refusal(&line, ""), format!("--cluster-secret-file = {shown}: must hold 16 to 4096 bytes"));
    let text = refusal("--cluster-secret-file /nowhere/secret", "");
    assert!(
        text.starts_with("--cluster-secret-file = /nowhere/secret: cannot be read: No such file"),
        "{text}"
    );
}

#[test]
fn config_and_what_is_printed_for_developers_hide_the_secret() {
    let kept = file(SECRET);
    let by_file = format!("--cluster-secret-file {}", kept.path().display());
    for (line, file, shown) in [
        (format!("--cluster-secret {SECRET}"), String::new(), "[cluster]\nsecret = \"***\"\n".to_owned()),
        (by_file, String::new(), format!("[cluster]\nsecret_file = {:?}\n", kept.path())),
        (
            String::new(),
            format!("[cluster]\nsecret = \"{SECRET}\"\n"),
            "[cluster]\nsecret = \"***\"\n".to_owned(),
        ),
    ] {
        let settings = settings(&line, &file).unwrap();
        let text = settings.to_toml().unwrap();
        assert!(text.contains(&shown) && !text.contains("hidden"), "{text}");
        assert!(!format!("{settings:?}").contains("hidden"));
    }
    assert!(!settings("", "").unwrap().to_toml().unwrap().contains("cluster"));
}

fn pem(kind: &str) -> String {
    format!("-----BEGIN {kind}-----\naGlkZGVu\n-----END {kind}-----\n")
}

/// A certificate, a key and an authority, as far as the settings look at them.
fn tls_files() -> [tempfile::NamedTempFile; 3] {
    ["CERTIFICATE", "PRIVATE KEY", "CERTIFICATE"].map(|kind| file(&pem(kind)))
}

const TLS: [&str; 3] = ["certificate", "key", "authority"];

#[test]
fn tls_takes_each_of_its_files_from_the_flag_before_the_file_and_config_shows_them() {
    let (typed, kept) = (tls_files(), tls_files());
    let filed = |name: &str| {
        let files = TLS.iter().zip(&kept).map(|(key, file)| format!("{key} = {:?}", file.path()));
        format!("[cluster]\ntls = {{ {}, name = {name:?} }}\n", files.collect::<Vec<_>>().join(", "))
    };
    let line = format!("--cluster-tls-key {} --cluster-tls-name own.example", typed[1].path().display());
    for (line, name, key) in [("", "10.0.0.1", &kept[1]), (line.as_str(), "own.example", &typed[1])] {
        let resolved = settings(line, &filed("10.0.0.1")).unwrap();
        let tls = resolved.shape.access.tls.clone().unwrap();
        assert_eq!((tls.chain.len(), tls.authorities.len(), tls.key.secret_der()), (1, 1, &b"hidden"[..]));
        assert_eq!(tls.name.unwrap().to_str(), name);
        let shown = resolved.to_toml().unwrap();
        let again = settings("", &shown).unwrap().shape.access.tls.unwrap().files;
        assert_eq!(again, tls.files);
        let files = [again.certificate, again.key, again.authority].map(Option::unwrap);
        assert_eq!(files.each_ref().map(|file| &**file), [kept[0].path(), key.path(), kept[2].path()]);
        assert_eq!(again.name.as_deref(), Some(name));
        assert!(!format!("{resolved:?}").contains("hidden"), "a key is shown to nobody");
    }
    assert_eq!(settings("", "").unwrap().shape.access.tls, None);
}

#[test]
fn tls_without_one_of_its_files_is_refused() {
    let files = tls_files();
    let line = |missing: usize| {
        let given = TLS.iter().zip(&files).enumerate().filter(|(index, _)| *index != missing);
        let given = given.map(|(_, (name, file))| format!("--cluster-tls-{name} {}", file.path().display()));
        given.collect::<Vec<_>>().join(" ")
    };
    for (missing, name) in TLS.iter().enumerate() {
        let first = usize::from(missing == 0);
        let (given, shown) = (TLS[first], files[first].path().display());
        let needs = format!("needs cluster.tls.{name} (or --cluster-tls-{name}) too");
        assert_eq!(refusal(&line(missing), ""), format!("--cluster-tls-{given} = {shown}: {needs}"));
    }
    let text = refusal("", "[cluster.tls]\nname = \"own.example\"\n");
    let all = TLS.map(|name| format!("cluster.tls.{name} (or --cluster-tls-{name})")).join(" and ");
    assert_eq!(text, format!("crest.toml: cluster.tls.name = own.example: needs {all} too"));
}

#[test]
fn files_of_tls_that_hold_something_else_are_refused_and_not_shown() {
    let files = tls_files();
    let with = |index: usize, path: &Path| {
        let paths = TLS.iter().zip(&files).enumerate().map(|(at, (name, file))| {
            let path = if at == index { path } else { file.path() };
            format!("--cluster-tls-{name} {}", path.display())
        });
        paths.collect::<Vec<_>>().join(" ")
    };
    let wrong = |index: usize, path: &Path| {
        let text = refusal(&with(index, path), "");
        let start = format!("--cluster-tls-{} = {}: ", TLS[index], path.display());
        assert!(!text.contains("hidden"), "{text}");
        text.strip_prefix(&start).unwrap_or_else(|| panic!("{text}")).to_owned()
    };
    let nothing = "holds nothing of this kind in PEM (-----BEGIN …-----)";
    let (text, half) = (file("hidden\n"), file("-----BEGIN CERTIFICATE-----\nhidden\n"));
    for (index, other) in [(0, 1), (1, 0), (2, 1)] {
        assert_eq!(wrong(index, text.path()), nothing);
        assert_eq!(wrong(index, files[other].path()), nothing, "a key is no certificate");
        assert_eq!(wrong(index, half.path()), "is no PEM (-----BEGIN …-----)");
        assert!(wrong(index, Path::new("/nowhere/x.pem")).starts_with("cannot be read: No such file"));
    }
    let line = format!("{} --cluster-tls-name two..dots", with(0, files[0].path()));
    let name = "--cluster-tls-name = two..dots: must be the name of a host or an IP address";
    assert_eq!(refusal(&line, ""), name);
}
