//! Who may take part in a cluster: when a secret is wanted, where it comes from, and that nobody is shown it.

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
