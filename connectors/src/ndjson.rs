//! Final snapshots as lines of JSON, in the order of their windows' ends, to standard output or any other
//! writer.
//!
//! In: snapshots in the order in which each board computes them. Out: the final ones, each exactly once, by
//! window end, then by board in the order of the job, then as the board computed them, so that the output is
//! the same however the boards are spread over threads. A line waits until every board is complete to its end. Those of
//! the whole of a bounded input come last.

use crate::snapshot::{LAST_END, SinkError, Snapshot, SnapshotSink};
use crate::snapshot_line::append_line;
use crest_host::condition::Condition;
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of lines that wait for the writer before the sink is not ready for more. These lines are the result of
/// the job and none may be lost, so the job then waits for the reader at the other end of the pipe.
const MAX_WAITING_BYTES: usize = 64 << 20;
/// Bytes of lines that are kept in one piece, more or less.
const BLOCK: usize = 256 << 10;
/// Between two attempts to write to an output that is full and never blocks.
const FULL_PAUSE: Duration = Duration::from_millis(5);

/// Writes final snapshots, one JSON line each, from a thread of its own.
pub struct NdjsonSink {
    shared: Arc<Shared>,
    order: Mutex<Order>,
}

/// What the sink and its writing thread share.
#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condition,
}

#[derive(Default)]
struct Queue {
    blocks: VecDeque<Block>,
    bytes: usize,
    writing: bool,
    closed: bool,
    failure: Option<(io::ErrorKind, String)>,
}

/// Some lines, one after the other.
#[derive(Default)]
struct Block {
    text: Vec<u8>,
    lines: usize,
}

impl NdjsonSink {
    /// Writes to `writer` the final snapshots of `boards`, which are all that will ever publish.
    pub fn new(writer: impl Write + Send + 'static, boards: &[Arc<str>]) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        let write = move || theirs.write_all_to(writer);
        crest_host::thread::spawn("snapshot-lines", write).map_err(|error| {
            let reason = format!("the thread that writes them cannot be started: {error}");
            io::Error::new(error.kind(), reason)
        })?;
        Ok(NdjsonSink { shared, order: Mutex::new(Order::new(boards)) })
    }

    /// Writes to standard output.
    pub fn stdout(boards: &[Arc<str>]) -> io::Result<Self> {
        Self::new(io::stdout(), boards)
    }

    /// Whether writing has failed (the pipe was closed), so that nothing further will be written.
    pub fn broken(&self) -> bool {
        self.shared.queue.lock().failure.is_some()
    }
}

impl SnapshotSink for NdjsonSink {
    fn publish(&self, snapshot: &Arc<Snapshot>) {
        if let Err(error) = self.order.lock().hold(snapshot) {
            self.shared.queue.lock().fail(&error.into());
            self.shared.changed.notify_all();
        }
    }

    fn ready(&self) -> bool {
        let queue = self.shared.queue.lock();
        queue.bytes < MAX_WAITING_BYTES || queue.failure.is_some()
    }

    fn shows_provisionals(&self) -> bool {
        false
    }

    fn finals_complete(&self, board: &Arc<str>, end: i64) {
        let mut order = self.order.lock();
        // The order's lock is kept while the lines are queued, so that no later ones overtake them.
        self.shared.push(order.complete(board, end));
    }

    fn flush(&self, deadline: Instant) -> Result<(), SinkError> {
        let mut queue = self.shared.queue.lock();
        let busy = |queue: &mut Queue| queue.failure.is_none() && (queue.writing || !queue.blocks.is_empty());
        self.shared.changed.wait_while_until(&mut queue, busy, deadline);
        if busy(&mut queue) {
            let lines: usize = queue.blocks.iter().map(|block| block.lines).sum();
            let waiting = format!("{lines} lines still wait for the reader");
            return Err(SinkError::Write(io::Error::new(io::ErrorKind::TimedOut, waiting)));
        }
        match &queue.failure {
            None => Ok(()),
            Some((kind, message)) => Err(SinkError::Write(io::Error::new(*kind, message.clone()))),
        }
    }
}

impl Drop for NdjsonSink {
    /// Lets the thread go once it has written what waits; call `flush` to know that it has.
    fn drop(&mut self) {
        self.shared.queue.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn push(&self, blocks: Vec<Block>) {
        let mut queue = self.queue.lock();
        if queue.failure.is_none() && !blocks.is_empty() {
            queue.bytes += blocks.iter().map(|block| block.text.len()).sum::<usize>();
            queue.blocks.extend(blocks);
            self.changed.notify_all();
        }
    }

    /// The writing thread: until the sink is dropped and its lines are written, or writing fails.
    fn write_all_to(&self, writer: impl Write) {
        let mut writer = BufWriter::with_capacity(64 << 10, Patient(writer));
        let mut queue = self.queue.lock();
        loop {
            while queue.blocks.is_empty() {
                if queue.closed {
                    return;
                }
                self.changed.wait(&mut queue);
            }
            let blocks = std::mem::take(&mut queue.blocks);
            queue.writing = true;
            drop(queue);
            let result = blocks
                .iter()
                .try_for_each(|block| writer.write_all(&block.text))
                .and_then(|()| writer.flush());
            queue = self.queue.lock();
            queue.writing = false;
            queue.bytes -= blocks.iter().map(|block| block.text.len()).sum::<usize>();
            if let Err(error) = result {
                queue.fail(&error);
            }
            self.changed.notify_all();
            if queue.failure.is_some() {
                return;
            }
        }
    }
}

impl Queue {
    /// Nothing further is written.
    fn fail(&mut self, error: &io::Error) {
        self.failure = Some((error.kind(), error.to_string()));
        self.blocks = VecDeque::new();
    }
}

/// Holds the lines of final snapshots until every board is complete to the end of their windows.
struct Order {
    /// The boards in the order of the job, each with the end up to which it is complete.
    boards: Vec<(Arc<str>, i64)>,
    /// By window end (`i64::MAX` for the whole input) and the board's place, in the order in which they came.
    held: BTreeMap<(i64, usize), Vec<Block>>,
}

impl Order {
    fn new(boards: &[Arc<str>]) -> Self {
        let boards = boards.iter().map(|board| (board.clone(), i64::MIN)).collect();
        Order { boards, held: BTreeMap::new() }
    }

    fn place(&mut self, board: &Arc<str>) -> usize {
        self.boards.iter().position(|(name, _)| name == board).unwrap_or_else(|| {
            self.boards.push((board.clone(), i64::MIN));
            self.boards.len() - 1
        })
    }

    fn hold(&mut self, snapshot: &Snapshot) -> serde_json::Result<()> {
        if !snapshot.is_final {
            return Ok(());
        }
        let place = self.place(&snapshot.board);
        // Those of the whole input come after all others of their board, and go after all others of the job.
        let is_last = self.boards[place].1 >= LAST_END;
        let end = if is_last { i64::MAX } else { snapshot.window_end };
        let blocks = self.held.entry((end, place)).or_default();
        if blocks.last().is_none_or(|block| block.text.len() >= BLOCK) {
            // Where there was a full one, the next is likely to be full too, and need not grow.
            let room = if blocks.is_empty() { 0 } else { BLOCK + BLOCK / 8 };
            blocks.push(Block { text: Vec::with_capacity(room), lines: 0 });
        }
        let Some(block) = blocks.last_mut() else { return Ok(()) };
        block.lines += 1;
        append_line(&mut block.text, snapshot)
    }

    /// The board is complete to `end`: what may go now, in order.
    fn complete(&mut self, board: &Arc<str>, end: i64) -> Vec<Block> {
        let place = self.place(board);
        if end <= self.boards[place].1 {
            return Vec::new();
        }
        self.boards[place].1 = end;
        let all = self.boards.iter().map(|(_, end)| *end).min().unwrap_or(i64::MIN);
        let mut free = Vec::new();
        while let Some(first) = self.held.first_entry() {
            if first.key().0 > all {
                break;
            }
            free.extend(first.remove());
        }
        free
    }
}

/// Waits where the other end has made the pipe or terminal that it shares with this process one that never blocks.
struct Patient<W>(W);

impl<W> Patient<W> {
    fn until_it_takes<T>(&mut self, mut call: impl FnMut(&mut W) -> io::Result<T>) -> io::Result<T> {
        loop {
            match call(&mut self.0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    crest_host::thread::sleep(FULL_PAUSE)
                }
                done => return done,
            }
        }
    }
}

impl<W: Write> Write for Patient<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.until_it_takes(|writer| writer.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.until_it_takes(W::flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::tests_support::snapshot;
    use std::sync::mpsc::{Receiver, Sender, channel};

    struct Pipe(Sender<Vec<u8>>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn sink(boards: &[&str]) -> (NdjsonSink, Receiver<Vec<u8>>) {
        let (sender, receiver) = channel();
        let boards: Vec<Arc<str>> = boards.iter().map(|b| Arc::from(*b)).collect();
        (NdjsonSink::new(Pipe(sender), &boards).unwrap(), receiver)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    fn lines(receiver: &Receiver<Vec<u8>>) -> Vec<String> {
        let bytes: Vec<u8> = receiver.try_iter().flatten().collect();
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn lines_are_the_snapshot_in_the_order_of_ends_boards_and_windows() {
        let (sink, output) = sink(&["a", "b"]);
        let publish = |board: &str, window: &str, end, is_final| {
            sink.publish(&Arc::new(snapshot(board, window, end, is_final)));
        };
        publish("b", "w", 10, true);
        publish("b", "v", 10, true);
        publish("b", "w", 20, true);
        sink.finals_complete(&"b".into(), 20);
        sink.flush(soon()).unwrap();
        assert!(lines(&output).is_empty(), "board a may still have something for these ends");

        publish("a", "x", 10, false);
        publish("a", "x", 10, true);
        sink.finals_complete(&"a".into(), 10);
        sink.flush(soon()).unwrap();
        let expected = [("a", "x"), ("b", "w"), ("b", "v")]
            .map(|(board, window)| serde_json::to_string(&snapshot(board, window, 10, true)).unwrap());
        assert_eq!(lines(&output), expected);

        sink.finals_complete(&"a".into(), i64::MAX);
        sink.finals_complete(&"b".into(), i64::MAX);
        sink.flush(soon()).unwrap();
        assert_eq!(lines(&output), [serde_json::to_string(&snapshot("b", "w", 20, true)).unwrap()]);
    }

    #[test]
    fn the_order_of_the_boards_calls_does_not_matter() {
        let mut outputs = Vec::new();
        for boards in [["a", "b"], ["b", "a"]] {
            let (sink, output) = sink(&["a", "b"]);
            for board in boards {
                for end in [10, 20, 30] {
                    sink.publish(&Arc::new(snapshot(board, "w", end, true)));
                    sink.finals_complete(&board.into(), end);
                }
                sink.finals_complete(&board.into(), i64::MAX);
            }
            sink.flush(soon()).unwrap();
            outputs.push(lines(&output));
        }
        assert_eq!(outputs[0].len(), 6);
        assert_eq!(outputs[0], outputs[1]);
    }

    #[test]
    fn a_closed_pipe_is_an_error_that_flush_tells() {
        let (sink, output) = sink(&["a"]);
        drop(output);
        sink.publish(&Arc::new(snapshot("a", "w", 10, true)));
        sink.finals_complete(&"a".into(), 10);
        let Err(SinkError::Write(error)) = sink.flush(soon()) else { panic!("it must fail") };
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert!(sink.broken());
        sink.publish(&Arc::new(snapshot("a", "w", 20, true)));
        sink.finals_complete(&"a".into(), 20);
        assert!(sink.flush(soon()).is_err());
    }
}
