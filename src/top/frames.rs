//! Server-sent events, as the bytes of a stream come.

use std::io::{self, BufRead, BufReader, Read};

/// The longest line that is read: the longest ranking, ten thousand items of a kilobyte, and room to spare.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// An event.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its name; empty where it has none.
    pub event: String,
    /// Its lines of data.
    pub data: String,
}

/// Reads events.
pub struct Frames<R> {
    lines: BufReader<R>,
}

impl<R: Read> Frames<R> {
    /// Reads a stream from its beginning.
    pub fn new(stream: R) -> Self {
        Frames { lines: BufReader::new(stream) }
    }

    /// The next event; `None` at the end of the stream. Comments are passed over.
    ///
    /// # Errors
    /// The stream's, and what cannot be an event.
    pub fn next(&mut self) -> io::Result<Option<Frame>> {
        let mut frame = Frame { event: String::new(), data: String::new() };
        let mut any = false;
        while let Some(line) = self.line()? {
            if line.is_empty() {
                if any {
                    return Ok(Some(frame));
                }
                frame.event.clear();
                continue;
            }
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match name {
                "event" => value.clone_into(&mut frame.event),
                "data" => {
                    if any {
                        frame.data.push('\n');
                    }
                    frame.data.push_str(value);
                    any = true;
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// The next line without its end; an unfinished one at the end of the stream is none.
    fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        self.lines.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return match line.len() as u64 + 1 {
                MAX_LINE_BYTES => Err(io::Error::other("a line of the stream has no end")),
                _ => Ok(None),
            };
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        String::from_utf8(line).map(Some).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(stream: &str) -> Vec<(String, String)> {
        let mut frames = Frames::new(stream.as_bytes());
        let mut all = Vec::new();
        while let Some(Frame { event, data }) = frames.next().unwrap() {
            all.push((event, data));
        }
        all
    }

    #[test]
    fn events_are_told_apart_and_comments_passed_over() {
        let stream = ": hello\n\nevent: snapshot\ndata: {\"a\": 1}\n\n:\n\r\nevent:status\r\nid: 7\r\ndata:x\r\ndata: y\r\n\r\n";
        let expected = [("snapshot", "{\"a\": 1}"), ("status", "x\ny")];
        assert_eq!(all(stream), expected.map(|(event, data)| (event.to_owned(), data.to_owned())));
    }

    #[test]
    fn what_was_cut_off_is_no_event() {
        for cut in ["event: snapshot\ndata: {\"a\"", "event: snapshot\ndata: {}\n", "data", ""] {
            assert_eq!(all(cut), [], "{cut:?}");
        }
        assert_eq!(all("event: lost\n\ndata: x\n\n"), [(String::new(), "x".to_owned())]);
        assert!(Frames::new(&b"data: \xff\n\n"[..]).next().is_err());
    }
}
