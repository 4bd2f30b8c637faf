# What scripts/kafka and scripts/redis share: one server process that belongs to a folder. Sourced, not run.
#
# The folder holds the server's data, its log and NAME.pid. A process is known by its id together with its
# start time, so that a stale file never leads to a foreign process, and nothing is ever killed by name.
# The sourcing script sets `name`, `usage`, `start_options` (which take a value) and `start_switches` (which take none), then
# calls `parse_arguments`, which sets `command`, `dir`, `port`, `owner` and what else it takes; a switch that is given is `yes`.
# shellcheck shell=bash disable=SC2154

die() {
    printf 'scripts/%s: %s\n' "$name" "$*" >&2
    exit 1
}

# Where the program `$1` is not installed, says which Debian package has it.
need() {
    command -v "$1" >/dev/null || die "$1 is not installed: apt-get install $2"
}

whole_number() { # text, least, greatest
    [[ $1 =~ ^[0-9]{1,9}$ ]] && ((10#$1 >= $2 && 10#$1 <= $3))
}

parse_arguments() {
    command=${1:-} dir='' port='' owner='' host=127.0.0.1
    shift || true
    local options='--dir'
    case $command in
        start) options="--dir --port --owner --host $start_options" ;;
        help | -h | --help) printf '%s\n' "$usage" && exit 0 ;;
        '') printf '%s\n' "$usage" >&2 && exit 2 ;;
    esac
    while (($#)); do
        if [[ $command == start && " $start_switches " == *" $1 "* ]]; then
            printf -v "${1#--}" yes
            shift
            continue
        fi
        [[ " $options " == *" $1 "* ]] || die "$command does not take $1; see scripts/$name help"
        (($# > 1)) || die "$1 wants a value"
        check_option "$1" "$2"
        printf -v "${1#--}" %s "$2"
        shift 2
    done
    case $command in
        start) [[ -n $port && -n $dir ]] || die 'start wants --port and --dir' ;;
        stop | kill) [[ -n $dir ]] || die "$command wants --dir" ;;
    esac
}

check_option() { # option, value
    case $1 in
        --port) whole_number "$2" 1 65535 || die "--port $2: not a port from 1 to 65535" ;;
        --partitions) whole_number "$2" 1 10000 || die "--partitions $2: not a number from 1 to 10000" ;;
        --owner) [[ $2 != *[!0-9]* && -n $(birth "$2") ]] || die "--owner $2: no such process" ;;
        --dir) [[ -n $2 ]] || die '--dir wants a folder' ;;
        --host) [[ $2 =~ ^[0-9]+(\.[0-9]+){3}$ ]] || die "--host $2: not an IPv4 address" ;;
    esac
}

# The start time of process `$1`, in whatever unit the system has; nothing when there is no such process.
# A zombie counts as gone once its last thread is, since only then its port is closed.
birth() {
    local stat
    if [[ -d /proc/self ]]; then
        { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 0
        read -ra stat <<<"${stat##*) }" # the name before it may hold spaces
        [[ ${stat[0]} == Z ]] && ((stat[17] <= 1)) || printf %s "${stat[19]}"
    else
        ps -o lstart= -p "$1" 2>/dev/null | tr -d ' ' || true
    fi
}

# Sets `pid` to the running server of the folder; fails when there is none.
running() {
    local born=''
    pid=''
    { read -r pid born <"$dir/$name.pid"; } 2>/dev/null || return 1
    [[ -n $born && $(birth "$pid") == "$born" ]]
}

port_open() {
    (: <>"/dev/tcp/$host/$1") 2>/dev/null
}

# Waits up to `$1` seconds for the server to be gone.
gone_within() {
    local tries=$(($1 * 20))
    while running; do
        ((tries-- > 0)) || return 1
        sleep 0.05
    done
}

stop_server() {
    if running; then
        kill -TERM "$pid" 2>/dev/null || true
        gone_within 20 || kill_server
    fi
    rm -f "$dir/$name.pid"
}

kill_server() {
    if running; then
        kill -KILL "$pid" 2>/dev/null || true
        gone_within 20 || die "process $pid does not end"
    fi
    rm -f "$dir/$name.pid"
}

# Makes the folder and refuses what cannot start. With an owner, the folder must be new: it goes with him.
claim_folder() {
    mkdir -p -- "$dir"
    dir=$(cd -- "$dir" && pwd)
    ! running || die "already running in $dir, as process $pid"
    ! port_open "$port" || die "port $port is in use"
    [[ -n $owner && ! -e $dir/owner ]] || return 0
    [[ -z $(ls -A -- "$dir") ]] || die "--owner: $dir is not empty, and would be removed with process $owner"
    printf '%s %s\n' "$owner" "$(birth "$owner")" >"$dir/owner"
    set -m # a group of its own, so that it outlives the owner's
    watch_owner </dev/null >/dev/null 2>&1 &
    disown
    set +m
}

# Lives as long as the owner and the folder do; then ends the server and removes the folder.
watch_owner() {
    local born
    trap '' HUP INT TERM
    trap - EXIT
    read -r owner born <"$dir/owner"
    while [[ -e $dir/owner && $(birth "$owner") == "$born" ]]; do
        sleep 0.3
    done
    [[ -e $dir/owner ]] || return 0
    kill_server
    sleep 1 # one that was just being launched has written its process id by now
    kill_server
    rm -rf -- "$dir"
}

# Runs a command as the folder's server, in a process group of its own, and returns when the function
# `answers` says so.
launch() {
    local log=$dir/$name.log patience=${CREST_START_SECONDS:-90} deadline
    whole_number "$patience" 1 100000 || die "CREST_START_SECONDS=$patience: not a number of seconds"
    deadline=$((SECONDS + patience))
    rm -f "$dir/$name.pid" # of one that crashed
    trap 'kill_server' EXIT # also when interrupted before it answers
    set -m
    (
        trap '' HUP
        self=$BASHPID # in a substitution it is another
        printf '%s %s\n' "$self" "$(birth "$self")" >"$dir/$name.pid"
        exec "$@"
    ) </dev/null >>"$log" 2>&1 &
    disown
    set +m
    while [[ ! -s $dir/$name.pid ]]; do sleep 0.01; done
    until answers; do
        running || fail_start 'it ended before it answered'
        ((SECONDS < deadline)) || fail_start "it does not answer after $patience s"
        sleep 0.05
    done
    running || fail_start "port $port is answered by another process"
    trap - EXIT
    printf '%s answers on %s:%s (process %s, folder %s)\n' "$name" "$host" "$port" "$pid" "$dir"
}

fail_start() {
    printf 'The end of %s:\n' "$dir/$name.log" >&2
    tail -n 20 -- "$dir/$name.log" >&2
    die "$1"
}
