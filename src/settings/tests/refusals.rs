//! What the settings refuse, and in which words.

/// What was typed, the file, and how it is refused.
pub const REFUSALS: &[(&str, &str, &str)] = &[
    ("--pane 10", "", "--pane = \"10\": must be a duration such as 10s, 500ms or 1h"),
    (
        "",
        "[[board]]\nname = \"b\"\nfilter = { price = { not = [nan] } }\n",
        "crest.toml: board.b.filter.price = NaN: must be a finite number",
    ),
    (
        "",
        "[[board]]\nname = \"b\"\nfilter = { a = [] }\n",
        "crest.toml: board.b.filter.a = empty: must have at least one value or condition",
    ),
    (
        "",
        "[[board]]\nname = \"b\"\nfilter = { a = {} }\n",
        "crest.toml: board.b.filter.a = empty: must have at least one value or condition",
    ),
    (
        "",
        "[schema]\nitem = []\n",
        "crest.toml: schema.item = []: must be a list of field names, or each board names its own",
    ),
    (
        "",
        "[schema]\nweight_scale = 100\n",
        "crest.toml: schema.weight_scale = 100: needs schema.weight, the field that is counted in such units",
    ),
    (
        "--summary out.json --rejects ./out.json",
        "",
        "--summary = \"out.json\": must not be the file of --rejects",
    ),
    ("--pane 7ms", "", "--pane = 7ms: must be whole milliseconds from 100ms to 1d"),
    (
        "",
        "[time]\npane = \"7ms\"\n",
        "crest.toml: time.pane = 7ms: must be whole milliseconds from 100ms to 1d",
    ),
    (
        "",
        "[time]\nrefresh = \"x\"\n",
        "crest.toml: time.refresh = \"x\": must be a duration such as 10s, 500ms or 1h",
    ),
    (
        "--window w=1m",
        "",
        "--window = \"w=1m\": must be name=size/slide, such as last_1m=1m/10s, or a name alone for the whole input",
    ),
    (
        "--window a/b=1m/10s",
        "",
        "--window (board.default.windows.name) = \"a/b\": must be 1 to 64 letters, digits, '_', '-' or '.'",
    ),
    (
        "--window w=65s/10s",
        "",
        "--window (board.default.window.w.size) = 65s: must be a whole number of panes of 10s",
    ),
    (
        "--window w=1m/2m",
        "",
        "--window (board.default.window.w.slide) = 2m: must be at most the window's size, 1m",
    ),
    ("-k 0", "", "-k = 0: must be from 1 to 10000"),
    (
        "",
        "[[board]]\nname = \"a b\"\n",
        "crest.toml: board.name = \"a b\": must be 1 to 64 letters, digits, '_', '-' or '.'",
    ),
    ("", "[[board]]\nname = \"a\"\nk = 0\n", "crest.toml: board.a.k = 0: must be from 1 to 10000"),
    (
        "",
        "[[board]]\nname = \"a\"\nties = \"shared\"\n",
        "crest.toml: board.a.ties = \"shared\": must be \"ordinal\", \"competition\" or \"dense\"",
    ),
    (
        "",
        "[[board]]\nname = \"a\"\nmin_count = 0\n",
        "crest.toml: board.a.min_count = 0: must be a whole number of at least 1",
    ),
    (
        "",
        "[[board]]\nname = \"a\"\nblocklist = \"redis://:hidden@h/0\"\n",
        "crest.toml: board.a.blocklist = \"redis://:***@h/0\": must be a file of ids or a set of Redis: \
         \"redis://:***@h/0\": expected the path of a file, or redis://[user:password@]host:port/db?set=KEY",
    ),
    (
        "",
        "[[board]]\nname = \"a\"\nby = [\"k\"]\n",
        "crest.toml: board.a.by = \"k\": must not be one of board, window, k, final, from, to, which the API asks with",
    ),
    (
        "",
        "[[board]]\nname = \"a\"\nwindows = [{ name = \"w\", size = \"1\", slide = \"1m\" }]\n",
        "crest.toml: board.a.window.w.size = \"1\": must be a duration such as 10s, 500ms or 1h",
    ),
    (
        "",
        "[sketch]\nkind = \"exact\"\n",
        "crest.toml: sketch.kind = \"exact\": must be \"ledger\" or \"classic\"",
    ),
    (
        "",
        "[source]\nurl = \"http://x\"\n",
        "crest.toml: source.url = \"http://x\": must be kafka://host:port/topic, log:FOLDER, archive:URL, state:URL,URL, file:GLOB, or - for standard input",
    ),
    (
        "--source http://u:p@x",
        "",
        "--source = \"http://u:***@x\": must be kafka://host:port/topic, log:FOLDER, archive:URL, state:URL,URL, file:GLOB, or - for standard input",
    ),
    (
        "--snapshots x",
        "",
        "--snapshots = \"x\": must be redis://host:port/db, kafka://host:port/topic, - for standard output, or memory",
    ),
    ("--snapshots - --snapshots -", "", "--snapshots = \"-\": is there twice"),
    (
        "--source kafka://h:1/^t --snapshots kafka://h:1/tops",
        "",
        "--snapshots = \"kafka://h:1/tops\": must not be a topic that is read",
    ),
    (
        "--source kafka://h:1/t",
        "[snapshots]\nurl = [\"-\", \"kafka://h:1/t\"]\n",
        "crest.toml: snapshots.url = \"kafka://h:1/t\": must not be a topic that is read",
    ),
    (
        "--snapshots kafka://h:1/a,b",
        "",
        "--snapshots = \"kafka://h:1/a,b\": \"a,b\" is more than one topic, and events are written to one",
    ),
    (
        "",
        "[snapshots]\nurl = []\n",
        "crest.toml: snapshots.url = []: must name at least one of redis://host:port/db, kafka://host:port/topic, - and memory",
    ),
    (
        "",
        "[snapshots]\nttl = \"long\"\n",
        "crest.toml: snapshots.ttl = \"long\": must be a duration such as 10s, 500ms or 1h",
    ),
    ("", "[snapshots]\nttl = \"0s\"\n", "crest.toml: snapshots.ttl = 0s: must be at least 1s"),
    (
        "--source - --state ./s",
        "",
        "--state = \"./s\": must be off, since standard input cannot be read again; state needs a kafka://, log:, archive:, state: or file: source",
    ),
    (
        "--demo",
        "[state]\nurl = \"s3://b/p\"\n",
        "crest.toml: state.url = \"s3://b/p\": must be off, since synthetic traffic cannot be read again; state needs a kafka://, log:, archive:, state: or file: source",
    ),
    (
        "--source file:a --state=",
        "",
        "--state = \"\": must be a folder, s3://bucket/prefix, gs://bucket/prefix, az://container/prefix, or off",
    ),
    (
        "--source file:a --state ./s",
        "[state.retention]\npane = \"long\"\n",
        "crest.toml: state.retention.pane = \"long\": must be a duration such as 7d, or forever",
    ),
    (
        "--source file:a --state ./s",
        "[state.retention]\n2m = \"1d\"\n",
        "crest.toml: state.retention.2m = \"1d\": must be one of pane, 1m, 10m, 1h, 1d",
    ),
    ("--http 8080", "", "--http = \"8080\": must be host:port (or off)"),
    ("-p 1", "", "--process = 1: must be 0, since there is one process; --processes says how many"),
    ("-n 2 -p 2", "", "--process = 2: must be from 0 to 1, since there are 2 processes"),
    (
        "--source - --start latest",
        "",
        "--start = latest: only a kafka://, log: or archive: source can begin elsewhere",
    ),
    ("--demo --on-gap fail", "", "--on-gap = fail: only a kafka://, log: or archive: source can have gaps"),
    (
        "",
        "[source]\nurl = \"kafka://h:1/t\"\non_gap = \"ignore\"\n",
        "crest.toml: source.on_gap = \"ignore\": must be fail or skip",
    ),
    (
        "--source -",
        "[source]\nframing = \"csv\"\n",
        "crest.toml: source.framing = \"csv\": must be auto, lines, array or documents",
    ),
    (
        "--source file:a",
        "[source]\ncompression = \"gz\"\n",
        "crest.toml: source.compression = \"gz\": must be auto, none, gzip or zstd",
    ),
    (
        "--source kafka://h:1/t",
        "[source]\nframing = \"array\"\n",
        "crest.toml: source.framing = \"array\": only file: and standard input have it",
    ),
    (
        "--source log:x",
        "[source]\ncompression = \"auto\"\n",
        "crest.toml: source.compression = \"auto\": only file: and standard input have it",
    ),
    (
        "--source log:x?keep=0s",
        "",
        "--source = \"log:x?keep=0s\": keep=0s: expected a time such as 90s, 30m, 12h or 7d, of 36500d at most",
    ),
    (
        "--source - --ingest kafka://h:1/",
        "",
        "--ingest = \"kafka://h:1/\": expected kafka://host:port[,host:port]/topic",
    ),
    (
        "--source - --snapshots redis://a:1,b:2",
        "",
        "--snapshots = \"redis://a:1,b:2\": expected redis://[user:password@]host:port/db, rediss://… (TLS), redis+cluster://host:port,host:port or redis+sentinel://host:port,host:port/master/db",
    ),
    (
        "--source kafka://h:1/t",
        "[[board]]\nname = \"a\"\nk = 5\nby = [\"region\"]\nwindows = [ { name = \"w\", size = \"1m\", slide = \"10s\" } ]\n[[changes]]\nboard = \"b\"\nwindow = \"w\"\nto = \"https://h/x\"\n",
        "crest.toml: changes[0].board = \"b\": must be one of a",
    ),
    (
        "--source kafka://h:1/t",
        "[[board]]\nname = \"a\"\nk = 5\nby = [\"region\"]\nwindows = [ { name = \"w\", size = \"1m\", slide = \"10s\" } ]\n[[changes]]\nboard = \"a\"\nwindow = \"v\"\nto = \"https://h/x\"\n",
        "crest.toml: changes[0].window = \"v\": must be a window of the board a with a size: w",
    ),
    (
        "--source kafka://h:1/t",
        "[[board]]\nname = \"a\"\nk = 5\nby = [\"region\"]\nwindows = [ { name = \"w\", size = \"1m\", slide = \"10s\" } ]\n[[changes]]\nboard = \"a\"\nwindow = \"w\"\nk = 6\nto = \"https://h/x\"\n",
        "crest.toml: changes[0].k = 6: must be from 1 to 5",
    ),
    (
        "--source kafka://h:1/t",
        "[[board]]\nname = \"a\"\nk = 5\nby = [\"region\"]\nwindows = [ { name = \"w\", size = \"1m\", slide = \"10s\" } ]\n[[changes]]\nboard = \"a\"\nwindow = \"w\"\nto = \"redis://h\"\n",
        "crest.toml: changes[0].to = \"redis://h\": must be https://host/path or kafka://host:port/topic",
    ),
    (
        "--source kafka://h:1/t",
        "[[board]]\nname = \"a\"\nk = 5\nby = [\"region\"]\nwindows = [ { name = \"w\", size = \"1m\", slide = \"10s\" } ]\n[[changes]]\nboard = \"a\"\nwindow = \"w\"\nto = \"https://h/token\"\n",
        "crest.toml: changes[0].to = \"https://h/***\": needs a secret, which the receiver knows it by: secret, secret_file or CREST_CHANGES_SECRET",
    ),
    (
        "--source kafka://h:1/t",
        "[[board]]\nname = \"a\"\nk = 5\nby = [\"region\"]\nwindows = [ { name = \"w\", size = \"1m\", slide = \"10s\" } ]\n[[changes]]\nboard = \"a\"\nwindow = \"w\"\nto = \"https://h/x\"\nsecret = \"short\"\n",
        "crest.toml: changes[0].secret = ***: must be 16 to 4096 bytes long",
    ),
    (
        "--source kafka://h:1/t",
        "[[board]]\nname = \"a\"\nk = 5\nby = [\"region\"]\nwindows = [ { name = \"w\", size = \"1m\", slide = \"10s\" } ]\n[[changes]]\nboard = \"a\"\nwindow = \"w\"\nto = \"kafka://h:1/c\"\nsecret = \"sixteen bytes and more\"\n",
        "crest.toml: changes[0].secret = ***: only what goes to a webhook is signed",
    ),
    (
        "--source kafka://h:1/t",
        "[[board]]\nname = \"a\"\nk = 5\nby = [\"region\"]\nwindows = [ { name = \"w\", size = \"1m\", slide = \"10s\" } ]\n[[changes]]\nboard = \"a\"\nwindow = \"w\"\nto = \"kafka://h:1/c\"\n[[changes]]\nboard = \"a\"\nwindow = \"w\"\nto = \"kafka://h:1/d\"\n",
        "crest.toml: changes[1].name = \"a/w\": is there twice, and no two may have the same ids: give each a name of its own",
    ),
    (
        "--source kafka://h:1/t",
        "[[board]]\nname = \"a\"\nk = 5\nby = [\"region\"]\nwindows = [ { name = \"w\", size = \"1m\", slide = \"10s\" } ]\n[[changes]]\nboard = \"a\"\nwindow = \"w\"\nto = \"kafka://h:1/t\"\n",
        "crest.toml: changes[0].to = \"kafka://h:1/t\": must not be a topic that is read",
    ),
    (
        "--source kafka://h:1/t --snapshots kafka://h:1/c",
        "[[board]]\nname = \"a\"\nk = 5\nby = [\"region\"]\nwindows = [ { name = \"w\", size = \"1m\", slide = \"10s\" } ]\n[[changes]]\nboard = \"a\"\nwindow = \"w\"\nto = \"kafka://h:1/c\"\n",
        "crest.toml: changes[0].to = \"kafka://h:1/c\": must not be the topic of whole rankings",
    ),
    (
        "--source kafka://h:1/t",
        "[[board]]\nname = \"a\"\nk = 5\nby = [\"region\"]\nwindows = [ { name = \"w\", size = \"1m\", slide = \"10s\" } ]\n[[changes]]\nboard = \"a\"\nwindow = \"w\"\nto = \"kafka://h:1/c\"\ngroups = { color = \"red\" }\n",
        "crest.toml: changes[0].groups.color = {\"red\"}: no board that is meant is grouped by it; there are region",
    ),
];
